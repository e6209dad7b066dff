"""Downloads against a server that stops midway, ignores ranges, lies, or is not there."""

import hashlib
import http.server
import os
import random
import shutil
import signal
import socket
import threading
import time
from collections import namedtuple
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from jdiff_checker.errors import OutputError, WeightsError
from jdiff_checker.scoring import Metric
from jdiff_checker.weights import folder as folders
from jdiff_checker.weights.fetch import STAGING, fetch
from jdiff_checker.weights.folder import Presence, WeightsFolder
from jdiff_checker.weights.published import HUB, PUBLISHED, WeightsFile

CONTENT = random.Random(7).randbytes(300_000)
CUT = 120_000
CHUNK = 10_000
REVISION = "ab" * 20


@dataclass
class Server:
    """What it does to the next requests, and what those were."""

    url: str
    content: bytes = CONTENT
    statuses: list[int | None] = field(default_factory=list)
    """Error answers, one a request; None for an answer without an error."""
    cuts: list[int] = field(default_factory=list)
    """After how many bytes to hang up, one a download."""
    interrupt_after: int | None = None
    """After how many bytes of a download to press Ctrl-C."""
    arrived: Callable[[], bool] = lambda: True
    """Whether the download is so far that it can be interrupted."""
    ranges: bool = True
    announces_length: bool = True
    redirect: str | None = None
    requests: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    """Method, path and headers."""

    @property
    def asked(self) -> list[str | None]:
        """The Range header of each download."""
        return [headers.get("range") for method, _, headers in self.requests if method == "GET"]


class Handler(http.server.BaseHTTPRequestHandler):
    """As much of the hub as `hf_hub_download` needs; other paths are plain files."""

    settings: Server

    def do_HEAD(self) -> None:
        server = self.settings
        if self._begin():
            return
        self.send_response(302 if server.redirect else 200)
        if server.redirect:
            self.send_header("Location", server.redirect)
        self.send_header("X-Repo-Commit", REVISION)
        self.send_header("ETag", '"of the file"')
        self.send_header("X-Linked-Size", str(len(CONTENT)))
        # As the hub does; the storage it offers here could not be resumed.
        self.send_header("X-Xet-Hash", "cd" * 32)
        self.send_header("X-Xet-Refresh-Route", f"{server.url}/xet")
        self.send_header("Content-Length", str(len(server.content)))
        self.end_headers()

    def do_GET(self) -> None:
        server = self.settings
        if self._begin():
            return
        if server.redirect:
            self.send_response(302)
            self.send_header("Location", server.redirect)
            self.end_headers()
            return
        wanted = self.headers.get("Range") if server.ranges else None
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0
        rest = server.content[start:]
        self.send_response(206 if wanted else 200)
        if wanted:
            self.send_header("Content-Range", f"bytes {start}-/{len(server.content)}")
        if server.announces_length:
            self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        if server.interrupt_after is not None:
            self.wfile.write(rest[:server.interrupt_after])
            server.interrupt_after = None
            while not server.arrived():
                time.sleep(0.01)
            os.kill(os.getpid(), signal.SIGINT)
            return
        self.wfile.write(rest[:server.cuts.pop(0)] if server.cuts else rest)

    def _begin(self) -> bool:
        """Note the request; True if it was answered with an error."""
        server = self.settings
        headers = {name.lower(): value for name, value in self.headers.items()}
        server.requests.append((self.command, self.path, headers))
        status = server.statuses.pop(0) if server.statuses else None
        if status is not None:
            self.send_response(status)
            self.end_headers()
        return status is not None

    def log_message(self, *_: object) -> None:
        pass


def serve() -> Iterator[Server]:
    handler = type("OneServersHandler", (Handler,), {})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as listening:
        handler.settings = Server(f"http://127.0.0.1:{listening.server_port}")
        thread = threading.Thread(target=listening.serve_forever, args=(0.01,))
        thread.start()
        yield handler.settings
        listening.shutdown()
        thread.join()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "no token"))
    # Smaller pieces than the library's 10 MB.
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", CHUNK)
    for served in serve():
        monkeypatch.setenv("HF_ENDPOINT", served.url)
        yield served


@pytest.fixture
def other_server() -> Iterator[Server]:
    yield from serve()


@pytest.fixture
def folder(tmp_path: Path) -> WeightsFolder:
    return WeightsFolder(tmp_path / "weights")


@pytest.fixture
def plain_file(server: Server) -> WeightsFile:
    """A file of another site than the hub."""
    return WeightsFile("Net", "net/net.bin", f"{server.url}/net.bin", len(CONTENT),
                       hashlib.sha256(CONTENT).hexdigest(), (Metric.DINO,), "test")


@pytest.fixture
def hub_file(plain_file: WeightsFile) -> WeightsFile:
    return replace(plain_file, url=f"{HUB}/owner/net/resolve/{REVISION}/net.bin")


@pytest.fixture(params=["hub", "plain"])
def file(request: pytest.FixtureRequest) -> WeightsFile:
    """A file of each kind."""
    return request.getfixturevalue(f"{request.param}_file")


def left(folder: WeightsFolder) -> list[str]:
    """The files in the folder, unfinished ones included, without the memo of hashes."""
    return sorted(path.name for path in folder.root.rglob("*")
                  if path.is_file() and path.name != folders.MEMO)


def part(folder: WeightsFolder) -> Path:
    """The unfinished download of a hub file."""
    (found,) = (folder.root / STAGING).rglob("*.incomplete")
    return found


# --- a download that succeeds ------------------------------------------------------------------


def test_a_file_arrives_whole_and_is_known(
    folder: WeightsFolder, file: WeightsFile, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[WeightsFile] = []
    assert fetch(folder, [file], on_start=started.append) == started == [file]
    assert folder.path(file).read_bytes() == CONTENT
    assert left(folder) == ["net.bin"]
    assert not (folder.root / STAGING).exists()

    def refuse(path: Path) -> str:
        raise AssertionError(f"{path} was read again")

    monkeypatch.setattr(folders, "sha256_of", refuse)
    assert WeightsFolder(folder.root).state(file).presence is Presence.PUBLISHED
    asked = len(server.requests)
    assert fetch(folder, [file], on_start=started.append) == []
    assert started == [file]
    assert len(server.requests) == asked


def test_every_published_file_of_the_hub_has_an_address_that_is_understood(
    folder: WeightsFolder, server: Server
) -> None:
    on_hub = [file for file in PUBLISHED if file.url.startswith(HUB)]
    assert len(on_hub) == 4
    for file in on_hub:
        with pytest.raises(WeightsError):  # the server sends something else
            fetch(folder, [replace(file, size=len(CONTENT))])
        assert server.requests[-1][1] == file.url.removeprefix(HUB)


# --- interrupted downloads ---------------------------------------------------------------------


def test_a_second_call_goes_on_where_the_first_was_cut(
    folder: WeightsFolder, hub_file: WeightsFile, server: Server
) -> None:
    server.cuts, server.statuses = [CUT], [None, None, 403]
    with pytest.raises(WeightsError) as raised:
        fetch(folder, [hub_file])
    message = str(raised.value)
    assert f"{server.url}/owner/net/resolve/{REVISION}/net.bin" in message
    assert "403" in message
    assert "What has arrived is kept" in message
    assert "run the same command again" in message
    kept = part(folder).read_bytes()
    assert len(kept) >= CHUNK
    assert CONTENT.startswith(kept)
    assert not folder.path(hub_file).exists()
    assert folder.state(hub_file).presence is Presence.MISSING

    server.requests.clear()
    assert fetch(folder, [hub_file]) == [hub_file]
    assert server.asked == [f"bytes={len(kept)}-"]
    assert folder.path(hub_file).read_bytes() == CONTENT
    assert left(folder) == ["net.bin"]


def test_interruptions_are_retried_within_one_call(
    folder: WeightsFolder, hub_file: WeightsFile, server: Server
) -> None:
    server.cuts = [CUT, CUT]
    fetch(folder, [hub_file])
    assert len(server.asked) == 3
    assert server.asked[0] is None
    assert None not in server.asked[1:]
    assert folder.path(hub_file).read_bytes() == CONTENT


def test_a_server_that_ignores_ranges_starts_over(
    folder: WeightsFolder, hub_file: WeightsFile, server: Server
) -> None:
    server.cuts, server.ranges = [CUT], False
    fetch(folder, [hub_file])
    assert len(server.asked) == 2
    assert folder.path(hub_file).read_bytes() == CONTENT


@pytest.mark.parametrize("announced", [True, False])
def test_a_file_that_is_cut_short_is_not_taken_for_whole(
    folder: WeightsFolder, plain_file: WeightsFile, server: Server, announced: bool
) -> None:
    server.cuts, server.announces_length = [CUT], announced
    with pytest.raises(WeightsError, match="is not the published Net"):
        fetch(folder, [plain_file])
    assert left(folder) == []
    assert fetch(folder, [plain_file]) == [plain_file]
    assert folder.path(plain_file).read_bytes() == CONTENT


def test_a_part_that_is_longer_than_the_file_is_dropped(
    folder: WeightsFolder, hub_file: WeightsFile, server: Server
) -> None:
    server.cuts, server.statuses = [CUT], [None, None, 403]
    with pytest.raises(WeightsError):
        fetch(folder, [hub_file])
    part(folder).write_bytes(CONTENT + b"more")
    server.requests.clear()
    fetch(folder, [hub_file])
    assert server.asked == [None]
    assert folder.path(hub_file).read_bytes() == CONTENT


@pytest.fixture
def interruptible() -> Iterator[None]:
    """A shell that starts the tests in the background makes them ignore Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_keeps_what_arrived_of_a_hub_file(
    folder: WeightsFolder, hub_file: WeightsFile, server: Server
) -> None:
    server.interrupt_after = CUT
    server.arrived = lambda: any(
        path.stat().st_size >= CHUNK for path in folder.root.rglob("*.incomplete"))
    with pytest.raises(KeyboardInterrupt):
        fetch(folder, [hub_file])
    assert not folder.path(hub_file).exists()
    kept = part(folder).stat().st_size
    assert kept >= CHUNK
    server.requests.clear()
    fetch(folder, [hub_file])
    assert server.asked == [f"bytes={kept}-"]
    assert folder.path(hub_file).read_bytes() == CONTENT


@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_leaves_nothing_of_another_file(
    folder: WeightsFolder, plain_file: WeightsFile, server: Server
) -> None:
    server.interrupt_after = CUT
    server.arrived = lambda: left(folder) != []
    with pytest.raises(KeyboardInterrupt):
        fetch(folder, [plain_file])
    assert left(folder) == []
    assert fetch(folder, [plain_file]) == [plain_file]


# --- what is refused ---------------------------------------------------------------------------


def test_wrong_content_is_deleted_and_named(
    folder: WeightsFolder, file: WeightsFile, server: Server
) -> None:
    server.content = bytes(len(CONTENT))
    with pytest.raises(WeightsError) as raised:
        fetch(folder, [file])
    for expected in ("/net.bin is not the published Net", file.sha256,
                     hashlib.sha256(server.content).hexdigest(), "HF_ENDPOINT"):
        assert expected in str(raised.value)
    assert raised.value.exit_code == 2
    assert left(folder) == []


def test_wrong_content_leaves_the_file_that_was_to_be_replaced(
    folder: WeightsFolder, file: WeightsFile, server: Server
) -> None:
    folder.path(file).parent.mkdir(parents=True)
    folder.path(file).write_bytes(b"mine")
    server.content = bytes(len(CONTENT))
    with pytest.raises(WeightsError):
        fetch(folder, [file], replace=True)
    assert folder.path(file).read_bytes() == b"mine"


def test_a_missing_page_is_an_error_at_once(
    folder: WeightsFolder, file: WeightsFile, server: Server
) -> None:
    server.statuses = [404]
    with pytest.raises(WeightsError, match=r"net\.bin: .*404"):
        fetch(folder, [file])
    assert len(server.requests) == 1
    assert not folder.path(file).exists()


def test_no_server_at_all(
    folder: WeightsFolder, hub_file: WeightsFile, plain_file: WeightsFile, server: Server,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound but not listening: connections are refused
        address = f"http://127.0.0.1:{closed.getsockname()[1]}"
        monkeypatch.setenv("HF_ENDPOINT", address)
        monkeypatch.setattr(time, "sleep", lambda seconds: None)  # between the library's attempts
        with pytest.raises(WeightsError, match="refused.*HF_ENDPOINT chooses a mirror") as raised:
            fetch(folder, [hub_file])
        assert raised.value.exit_code == 2
        assert f"{address}/owner/net" in str(raised.value)
        with pytest.raises(WeightsError, match="refused.*Check the network and its proxy"):
            fetch(folder, [replace(plain_file, url=f"{address}/net.bin")])


def test_a_file_that_is_not_the_published_one_is_overwritten_on_request_only(
    folder: WeightsFolder, file: WeightsFile, server: Server
) -> None:
    folder.path(file).parent.mkdir(parents=True)
    folder.path(file).write_bytes(b"mine")
    with pytest.raises(WeightsError) as raised:
        fetch(folder, [file])
    assert str(folder.path(file)) in str(raised.value)
    assert "--replace" in str(raised.value)
    assert folder.path(file).read_bytes() == b"mine"
    assert server.requests == []
    assert fetch(folder, [file], replace=True) == [file]
    assert folder.path(file).read_bytes() == CONTENT


# --- the hub's settings ------------------------------------------------------------------------


def test_the_hub_is_reached_by_its_endpoint_and_only_it_gets_the_token(
    folder: WeightsFolder, hub_file: WeightsFile, plain_file: WeightsFile, server: Server,
    other_server: Server, monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", f"{server.url}/mirror/")
    monkeypatch.setenv("HF_TOKEN", "hf_secret\n")
    server.redirect = f"{other_server.url}/storage"
    fetch(folder, [hub_file])
    assert folder.path(hub_file).read_bytes() == CONTENT
    _, path, headers = server.requests[0]
    assert path == f"/mirror/owner/net/resolve/{REVISION}/net.bin"
    assert headers["authorization"] == "Bearer hf_secret"
    assert other_server.asked == [None]
    assert "authorization" not in other_server.requests[0][2]

    server.redirect = None
    folder.path(hub_file).unlink()
    fetch(folder, [plain_file])
    assert server.requests[-1][1] == "/net.bin"
    assert "authorization" not in server.requests[-1][2]


def test_a_private_hub_file_asks_for_a_token(
    folder: WeightsFolder, hub_file: WeightsFile, server: Server
) -> None:
    server.statuses = [401]
    with pytest.raises(WeightsError, match="HF_TOKEN must be a valid token"):
        fetch(folder, [hub_file])


@pytest.mark.parametrize(("name", "value"), [
    ("HF_ENDPOINT", "hf-mirror.com"), ("HF_TOKEN", "hf_\u200bsecret"),
    ("ALL_PROXY", "nonsense://127.0.0.1:1")])
def test_settings_that_cannot_be_used_are_named(
    folder: WeightsFolder, hub_file: WeightsFile, server: Server,
    monkeypatch: pytest.MonkeyPatch, name: str, value: str,
) -> None:
    monkeypatch.delenv("NO_PROXY")
    monkeypatch.setenv(name, value)
    with pytest.raises(WeightsError, match=name) as raised:
        fetch(folder, [hub_file])
    assert "secret" not in str(raised.value)
    assert not folder.path(hub_file).exists()


# --- the disk ----------------------------------------------------------------------------------


def test_a_folder_that_cannot_be_written_to(
    tmp_path: Path, file: WeightsFile, server: Server
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot write"):
        fetch(WeightsFolder(tmp_path / "file" / "weights"), [file])


def test_space_is_checked_before_anything_is_fetched(
    folder: WeightsFolder, hub_file: WeightsFile, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.cuts, server.statuses = [CUT], [None, None, 403]
    with pytest.raises(WeightsError):
        fetch(folder, [hub_file])
    kept = part(folder)
    kept_content = kept.read_bytes()
    kept.unlink()
    server.requests.clear()
    usage = namedtuple("usage", "total used free")
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda _: usage(10**6, 10**6 - 295_000, 295_000))
        with pytest.raises(OutputError, match="300 kB are to be downloaded, 295 kB are free"):
            fetch(folder, [hub_file])
        assert server.requests == []
        kept.write_bytes(kept_content)
        with pytest.warns(UserWarning, match="Not enough free disk space"):  # the library's own
            assert fetch(folder, [hub_file]) == [hub_file]
