"""Downloads the published weights that a folder lacks."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from jdiff_checker.errors import OutputError, WeightsError
from jdiff_checker.weights.folder import Presence, WeightsFolder, sha256_of, short
from jdiff_checker.weights.published import HUB, WeightsFile, size_text

if TYPE_CHECKING:
    import httpx

OnProgress = Callable[[WeightsFile, int, int], None]
"""Called with the file, the bytes that have arrived, and the bytes it has."""

RETRY_WAITS = (1.0, 4.0, 10.0)
"""Seconds before the second, third and fourth attempt."""

_TIMEOUT = 30.0
_BUSY = (408, 429)


def fetch(
    folder: WeightsFolder,
    files: Sequence[WeightsFile],
    *,
    on_progress: OnProgress | None = None,
    replace: bool = False,
    retry_waits: Sequence[float] = RETRY_WAITS,
) -> list[WeightsFile]:
    """Download the files that the folder lacks, one after the other.

    An interrupted download leaves its part behind, and the next one goes on from there.

    Args:
        folder: where to; made if it does not exist.
        files: what should be there in the end.
        on_progress: told the file, how many bytes of it have arrived, and how many it has.
        replace: overwrite files that are not the published ones.
        retry_waits: the seconds to wait before each further attempt at a file.

    Returns:
        The files that were downloaded now; those already there are left alone.

    Raises:
        WeightsError: a file cannot be had, is not what was published, or is in the way of one.
        OutputError: the folder cannot be written to, or the disk is too small.
    """
    wanted = _to_download(folder, files, replace)
    if not wanted:
        return []
    _check_space(folder, wanted)
    with http_client() as client:
        for file in wanted:
            download(client, file, folder.path(file), on_progress or _ignore, retry_waits)
            folder.downloaded(file)
    return wanted


def _to_download(
    folder: WeightsFolder, files: Sequence[WeightsFile], replace: bool
) -> list[WeightsFile]:
    states = [(file, folder.state(file)) for file in files]
    in_the_way = [(file, state.sha256) for file, state in states
                  if state.presence is Presence.DIFFERENT and state.sha256]
    if in_the_way and not replace:
        lines = [f"  {folder.path(file)}: sha256 {short(sha256)} instead of {short(file.sha256)}"
                 for file, sha256 in in_the_way]
        raise WeightsError(
            "files are there that are not the published ones; they are not overwritten and "
            "nothing was downloaded:\n" + "\n".join(lines) + "\n"
            f"Replace them: {folder.fetch_command('--replace')}\n"
            "Or leave them out: name the metrics whose weights you want with --metrics.")
    return [file for file, state in states if state.presence is not Presence.PUBLISHED]


def _check_space(folder: WeightsFolder, files: list[WeightsFile]) -> None:
    missing = 0
    for file in files:
        part = part_of(folder.path(file))
        missing += max(file.size - (part.stat().st_size if part.is_file() else 0), 0)
    existing = next(path for path in (folder.root, *folder.root.parents) if path.exists())
    free = shutil.disk_usage(existing).free
    if free < missing:
        raise OutputError(
            f"the disk of {folder.root} is too small: {size_text(missing)} are to be downloaded, "
            f"{size_text(free)} are free. Free some space, choose another folder with --dir, or "
            "fetch the weights of fewer metrics with --metrics.")


def _ignore(file: WeightsFile, done: int, total: int) -> None:
    pass


class _InterruptedError(Exception):
    """The connection failed in a way that another attempt may not."""


def part_of(target: Path) -> Path:
    """Where a file's bytes gather until it is whole."""
    return target.with_name(target.name + ".part")


def http_client() -> httpx.Client:
    """A client for `download`, with the proxy and the certificates the environment names.

    Raises:
        WeightsError: those settings cannot be used.
    """
    import httpx

    try:
        return httpx.Client(follow_redirects=True, timeout=_TIMEOUT)
    except (ImportError, OSError, ValueError) as error:
        raise WeightsError(
            f"the network settings of this environment cannot be used: {error}. Check HTTPS_PROXY, "
            "ALL_PROXY and SSL_CERT_FILE."
        ) from error


def download(
    client: httpx.Client, file: WeightsFile, target: Path, on_progress: OnProgress,
    retry_waits: Sequence[float],
) -> None:
    """Bring `file` to `target`, whatever is there.

    Raises:
        WeightsError: it cannot be had, or what came is not the published file.
        OutputError: it cannot be written.
    """
    url, part = _address(file), part_of(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if not _is_whole(part, file):
            _receive_patiently(client, url, file, part, on_progress, retry_waits)
        found = sha256_of(part)
        if found != file.sha256:
            part.unlink()
            raise WeightsError(
                f"{url} is not the published {file.name}: sha256 {found}, expected {file.sha256}. "
                "What came was deleted. Try again; if it stays so, the server or a proxy on the "
                "way changes the file, and another network or mirror (HF_ENDPOINT for the hub) may "
                "help.")
        with open(part, "rb") as written:
            os.fsync(written.fileno())
        os.replace(part, target)
    except OSError as error:
        raise OutputError(
            f"cannot write {target}: {error.strerror or error}. Free some space or choose another "
            "folder with --dir. What has arrived is kept and the same command goes on."
        ) from error


def _is_whole(part: Path, file: WeightsFile) -> bool:
    """Whether all of it had arrived before; a part that is as long but wrong is dropped."""
    if not part.exists() or part.stat().st_size < file.size:
        return False
    if sha256_of(part) == file.sha256:
        return True
    part.unlink()
    return False


def _receive_patiently(
    client: httpx.Client, url: str, file: WeightsFile, part: Path, on_progress: OnProgress,
    retry_waits: Sequence[float],
) -> None:
    waits = iter(retry_waits)
    while True:
        try:
            return _receive(client, url, file, part, on_progress)
        except _InterruptedError as error:
            wait = next(waits, None)
            if wait is None:
                raise WeightsError(_unreachable_message(url, file, part, error)) from error
            time.sleep(wait)


def _receive(
    client: httpx.Client, url: str, file: WeightsFile, part: Path, on_progress: OnProgress
) -> None:
    """One attempt at the rest of the file."""
    import httpx

    offset = part.stat().st_size if part.exists() else 0
    try:
        with client.stream("GET", url, headers=_headers(file, offset)) as response:
            if response.status_code != httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE or not offset:
                return _store(response, url, file, part, offset, on_progress)
    except httpx.TransportError as error:
        raise _InterruptedError(f"{type(error).__name__}: {error}") from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise WeightsError(
            f"cannot download {url}: {error}. Check HF_ENDPOINT and the network's proxy."
        ) from error
    # The server has nothing beyond the part: it is the whole file, or more than that.
    if sha256_of(part) != file.sha256:
        part.unlink()
        _receive(client, url, file, part, on_progress)
    return None


def _store(
    response: httpx.Response, url: str, file: WeightsFile, part: Path, offset: int,
    on_progress: OnProgress,
) -> None:
    status = response.status_code
    if status in _BUSY or status >= 500:
        raise _InterruptedError(f"the server answers {status} {response.reason_phrase}")
    if status not in (200, 206):
        raise WeightsError(_refused_message(url, file, response))
    if status == 200:
        offset = 0  # the server ignores ranges: this is the file from its beginning
    elif _start(response) != offset:
        part.unlink(missing_ok=True)
        raise _InterruptedError("the server sends another range than was asked for")
    announced = response.headers.get("Content-Length", "")
    total = offset + int(announced) if announced.isdecimal() else file.size
    done = offset
    on_progress(file, done, total)
    with open(part, "ab" if offset else "wb") as output:
        # As the bytes come: gathering larger pieces would lose the last one with the connection.
        for piece in response.iter_raw():
            output.write(piece)
            done += len(piece)
            on_progress(file, done, total)
    if done < total:  # only where the length was not announced; else httpx notices
        raise _InterruptedError("the connection ended early")


def _start(response: httpx.Response) -> int | None:
    found = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    return int(found[1]) if found else None


def _address(file: WeightsFile) -> str:
    endpoint = os.environ.get("HF_ENDPOINT", "").rstrip("/")
    if not endpoint or not _on_hub(file):
        return file.url
    if not endpoint.startswith(("https://", "http://")):
        raise WeightsError(
            f"HF_ENDPOINT={endpoint} is not an address. Write it with https:// in front.")
    return endpoint + file.url.removeprefix(HUB)


def _on_hub(file: WeightsFile) -> bool:
    return file.url.startswith(f"{HUB}/")


def _headers(file: WeightsFile, offset: int) -> dict[str, str]:
    # Compressed bytes could neither be counted nor resumed.
    headers = {"Accept-Encoding": "identity"}
    if offset:
        headers["Range"] = f"bytes={offset}-"
    token = os.environ.get("HF_TOKEN", "").strip()
    # The hub redirects to other hosts; httpx does not pass this header on to them.
    if token and _on_hub(file):
        if not (token.isascii() and token.isprintable()):
            raise WeightsError("HF_TOKEN holds characters that no token has. Set it anew.")
        headers["Authorization"] = f"Bearer {token}"
    return headers


def _unreachable_message(url: str, file: WeightsFile, part: Path, reason: Exception) -> str:
    arrived = part.stat().st_size if part.exists() else 0
    message = (f"cannot download {url}: {reason}. What has arrived ({size_text(arrived)} of "
               f"{size_text(file.size)}) is kept, and the same command goes on from there.")
    if _on_hub(file):
        message += (" If the hub cannot be reached from here, HF_ENDPOINT chooses a mirror: "
                    "HF_ENDPOINT=https://... before the command.")
    return message


def _refused_message(url: str, file: WeightsFile, response: httpx.Response) -> str:
    message = f"cannot download {url}: the server answers {response.status_code} " \
              f"{response.reason_phrase}."
    if response.status_code in (401, 403) and _on_hub(file):
        return f"{message} Set HF_TOKEN to a valid token of the hub, or unset it."
    if _on_hub(file):
        return f"{message} Check HF_ENDPOINT if it is set, or try again later."
    return f"{message} Check the network's proxy, or try again later."
