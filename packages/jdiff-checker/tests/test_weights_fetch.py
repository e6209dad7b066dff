"""Downloads against a server that stops midway, ignores ranges, lies, or is not there."""

import hashlib
import http.server
import random
import shutil
import socket
import threading
from collections import namedtuple
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from jdiff_checker.errors import OutputError, WeightsError
from jdiff_checker.scoring import Metric
from jdiff_checker.weights import folder as folders
from jdiff_checker.weights.fetch import fetch
from jdiff_checker.weights.folder import Presence, WeightsFolder
from jdiff_checker.weights.published import HUB, WeightsFile

CONTENT = random.Random(7).randbytes(300_000)
CUT = 120_000


@dataclass
class Server:
    """What it does to the next requests, and what those were."""

    url: str
    content: bytes = CONTENT
    statuses: list[int] = field(default_factory=list)
    """Error answers given before all else, one a request."""
    cuts: list[int] = field(default_factory=list)
    """After how many bytes to hang up, one a request."""
    ranges: bool = True
    announces_length: bool = True
    wrong_range: bool = False
    redirect: str | None = None
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    @property
    def asked(self) -> list[str | None]:
        """The Range header of each request."""
        return [headers.get("range") for _, headers in self.requests]


class Handler(http.server.BaseHTTPRequestHandler):
    settings: Server

    def do_GET(self) -> None:
        server = self.settings
        server.requests.append((self.path, {k.lower(): v for k, v in self.headers.items()}))
        if server.redirect:
            self.send_response(302)
            self.send_header("Location", server.redirect)
            self.end_headers()
            return
        if server.statuses:
            self.send_response(server.statuses.pop(0))
            self.end_headers()
            return
        wanted = self.headers.get("Range") if server.ranges else None
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0
        if wanted and start >= len(server.content):
            self.send_response(416)
            self.end_headers()
            return
        if server.wrong_range:
            start //= 2
        rest = server.content[start:]
        self.send_response(206 if wanted else 200)
        if wanted:
            self.send_header("Content-Range", f"bytes {start}-/{len(server.content)}")
        if server.announces_length:
            self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        self.wfile.write(rest[:server.cuts.pop(0)] if server.cuts else rest)

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
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.delenv("HF_ENDPOINT", raising=False)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    yield from serve()


@pytest.fixture
def other_server() -> Iterator[Server]:
    yield from serve()


@pytest.fixture
def folder(tmp_path: Path) -> WeightsFolder:
    return WeightsFolder(tmp_path / "weights")


@pytest.fixture
def file(server: Server) -> WeightsFile:
    return WeightsFile("Net", "net/net.bin", f"{server.url}/net.bin", len(CONTENT),
                       hashlib.sha256(CONTENT).hexdigest(), (Metric.DINO,), "test")


@pytest.fixture
def hub_file(file: WeightsFile) -> WeightsFile:
    return WeightsFile(file.name, file.path, f"{HUB}/owner/net/resolve/abc/net.bin", file.size,
                       file.sha256, file.metrics, file.source)


def part(folder: WeightsFolder, content: bytes | None = None) -> Path:
    path = folder.root / "net" / "net.bin.part"
    if content is not None:
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
    return path


def test_a_file_arrives_whole_and_is_known(
    folder: WeightsFolder, file: WeightsFile, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    reports: list[tuple[str, int, int]] = []
    new = fetch(folder, [file], on_progress=lambda f, done, total: reports.append(
        (f.name, done, total)))
    assert new == [file]
    assert folder.path(file).read_bytes() == CONTENT
    assert not part(folder).exists()
    assert reports[0] == ("Net", 0, len(CONTENT))
    assert reports[-1] == ("Net", len(CONTENT), len(CONTENT))

    def refuse(path: Path) -> str:
        raise AssertionError(f"{path} was read again")

    monkeypatch.setattr(folders, "sha256_of", refuse)
    assert WeightsFolder(folder.root).state(file).presence is Presence.PUBLISHED
    assert fetch(folder, [file]) == []
    assert len(server.requests) == 1


def test_a_second_call_goes_on_where_the_first_was_cut(
    folder: WeightsFolder, file: WeightsFile, server: Server
) -> None:
    server.cuts = [CUT]
    with pytest.raises(WeightsError) as raised:
        fetch(folder, [file], retry_waits=())
    message = str(raised.value)
    assert file.url in message
    assert "120 kB of 300 kB" in message
    assert "the same command goes on" in message
    assert part(folder).read_bytes() == CONTENT[:CUT]
    assert not folder.path(file).exists()

    reports: list[int] = []
    assert fetch(folder, [file], on_progress=lambda _, done, total: reports.append(done)) == [file]
    assert server.asked == [None, f"bytes={CUT}-"]
    assert reports[0] == CUT
    assert folder.path(file).read_bytes() == CONTENT


def test_interruptions_are_retried_within_one_call(
    folder: WeightsFolder, file: WeightsFile, server: Server
) -> None:
    server.statuses, server.cuts = [503], [CUT, CUT]
    fetch(folder, [file], retry_waits=(0, 0, 0))
    assert server.asked == [None, None, f"bytes={CUT}-", f"bytes={2 * CUT}-"]
    assert folder.path(file).read_bytes() == CONTENT


def test_retries_end(folder: WeightsFolder, file: WeightsFile, server: Server) -> None:
    server.statuses = [503] * 9
    with pytest.raises(WeightsError, match="the server answers 503"):
        fetch(folder, [file], retry_waits=(0, 0, 0))
    assert len(server.requests) == 4


def test_a_cut_is_noticed_without_an_announced_length(
    folder: WeightsFolder, file: WeightsFile, server: Server
) -> None:
    server.announces_length, server.cuts = False, [CUT]
    fetch(folder, [file], retry_waits=(0,))
    assert server.asked == [None, f"bytes={CUT}-"]
    assert folder.path(file).read_bytes() == CONTENT


def test_a_server_that_ignores_ranges_starts_over(
    folder: WeightsFolder, file: WeightsFile, server: Server
) -> None:
    server.ranges = False
    part(folder, CONTENT[:CUT])
    fetch(folder, [file])
    assert server.asked == [f"bytes={CUT}-"]
    assert folder.path(file).read_bytes() == CONTENT


def test_another_range_than_asked_for_starts_over(
    folder: WeightsFolder, file: WeightsFile, server: Server
) -> None:
    server.wrong_range = True
    part(folder, CONTENT[:CUT])
    fetch(folder, [file], retry_waits=(0,))
    assert server.asked == [f"bytes={CUT}-", None]
    assert folder.path(file).read_bytes() == CONTENT


def test_a_whole_part_needs_no_server(
    folder: WeightsFolder, file: WeightsFile, server: Server
) -> None:
    part(folder, CONTENT)
    assert fetch(folder, [file]) == [file]
    assert server.requests == []
    assert folder.path(file).read_bytes() == CONTENT


@pytest.mark.parametrize("content", [bytes(len(CONTENT)), CONTENT + b"more"])
def test_a_part_that_cannot_become_the_file_is_dropped(
    folder: WeightsFolder, file: WeightsFile, server: Server, content: bytes
) -> None:
    part(folder, content)
    fetch(folder, [file])
    assert server.asked == [None]
    assert folder.path(file).read_bytes() == CONTENT


def test_a_refused_range_starts_over(
    folder: WeightsFolder, file: WeightsFile, server: Server
) -> None:
    server.statuses = [416]
    part(folder, b"x" * CUT)
    fetch(folder, [file])
    assert server.asked == [f"bytes={CUT}-", None]
    assert folder.path(file).read_bytes() == CONTENT


def test_wrong_content_is_deleted_and_named(
    folder: WeightsFolder, file: WeightsFile, server: Server
) -> None:
    server.content = b"<html>please log in</html>"
    with pytest.raises(WeightsError) as raised:
        fetch(folder, [file])
    for expected in (file.url, file.sha256, hashlib.sha256(server.content).hexdigest()):
        assert expected in str(raised.value)
    assert list((folder.root / "net").iterdir()) == []


def test_a_missing_page_is_an_error_at_once(
    folder: WeightsFolder, file: WeightsFile, server: Server
) -> None:
    server.statuses = [404]
    with pytest.raises(WeightsError, match=r"net\.bin: the server answers 404"):
        fetch(folder, [file], retry_waits=(0, 0, 0))
    assert len(server.requests) == 1


def test_no_server_at_all(
    folder: WeightsFolder, hub_file: WeightsFile, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound but not listening: connections are refused
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{closed.getsockname()[1]}")
        with pytest.raises(WeightsError, match=r"ConnectError.*HF_ENDPOINT chooses a mirror"):
            fetch(folder, [hub_file], retry_waits=(0,))


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


def test_the_hub_is_reached_by_its_endpoint_and_only_it_gets_the_token(
    folder: WeightsFolder, hub_file: WeightsFile, file: WeightsFile, server: Server,
    other_server: Server, monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", f"{server.url}/mirror/")
    monkeypatch.setenv("HF_TOKEN", "hf_secret\n")
    server.redirect = f"{other_server.url}/storage"
    fetch(folder, [hub_file])
    assert folder.path(hub_file).read_bytes() == CONTENT
    path, headers = server.requests[0]
    assert path == "/mirror/owner/net/resolve/abc/net.bin"
    assert headers["authorization"] == "Bearer hf_secret"
    assert "authorization" not in other_server.requests[0][1]

    server.redirect = None
    folder.path(file).unlink()
    fetch(folder, [file])
    assert server.requests[-1][0] == "/net.bin"
    assert "authorization" not in server.requests[-1][1]


def test_a_private_hub_file_asks_for_a_token(
    folder: WeightsFolder, hub_file: WeightsFile, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    server.statuses = [401]
    with pytest.raises(WeightsError, match="HF_TOKEN"):
        fetch(folder, [hub_file])


@pytest.mark.parametrize(("name", "value"), [
    ("HF_ENDPOINT", "hf-mirror.com"), ("HF_TOKEN", "hf_\u200bsecret"),
    ("ALL_PROXY", "nonsense://127.0.0.1:1")])
def test_settings_that_cannot_be_used_are_named(
    folder: WeightsFolder, hub_file: WeightsFile, server: Server,
    monkeypatch: pytest.MonkeyPatch, name: str, value: str,
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    monkeypatch.delenv("NO_PROXY")
    monkeypatch.setenv(name, value)
    with pytest.raises(WeightsError, match=name) as raised:
        fetch(folder, [hub_file], retry_waits=())
    assert "secret" not in str(raised.value)


def test_a_folder_that_cannot_be_written_to(
    tmp_path: Path, file: WeightsFile, server: Server
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot write"):
        fetch(WeightsFolder(tmp_path / "file" / "weights"), [file])


def test_space_is_checked_before_anything_is_fetched(
    folder: WeightsFolder, file: WeightsFile, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**6, 10**6 - 200_000, 200_000))
    with pytest.raises(OutputError, match="300 kB are to be downloaded, 200 kB are free"):
        fetch(folder, [file])
    assert server.requests == []
    part(folder, CONTENT[:CUT])
    assert fetch(folder, [file]) == [file]


def test_an_interrupt_keeps_the_part(
    folder: WeightsFolder, file: WeightsFile, server: Server
) -> None:
    def press(_: WeightsFile, done: int, total: int) -> None:
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(folder, [file], on_progress=press)
    kept = part(folder).stat().st_size
    assert kept > 0
    fetch(folder, [file])
    assert server.asked == [None, f"bytes={kept}-"]
    assert folder.path(file).read_bytes() == CONTENT
