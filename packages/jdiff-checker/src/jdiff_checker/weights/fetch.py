"""Downloads the published weights that a folder lacks.

A file arrives in a hidden folder beside the weights and is checked against its SHA-256 there. It is
moved to its place last: a file at its place is whole and the published one.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import socket
import ssl
from collections.abc import Callable, Sequence
from pathlib import Path

from jdiff_checker.environment import require_torch
from jdiff_checker.errors import CheckerError, OutputError, WeightsError
from jdiff_checker.weights.folder import Presence, WeightsFolder, sha256_of, short
from jdiff_checker.weights.published import HUB, WeightsFile, size_text

STAGING = ".downloads"
"""Folder inside the weights folder for files that are not whole yet."""

_HUB_FILE = re.compile(
    rf"{re.escape(HUB)}/(?P<repo_id>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<filename>.+)"
)
_STALLED_SECONDS = 30.0


def fetch(
    folder: WeightsFolder,
    files: Sequence[WeightsFile],
    *,
    on_start: Callable[[WeightsFile], None] = lambda file: None,
    replace: bool = False,
) -> list[WeightsFile]:
    """Download the files that the folder lacks, one after the other.

    The libraries that download show progress bars on stderr. A file of the hub is resumed by the
    next call if its download is interrupted; the other two, of 5 and 96 MB, start again.

    Args:
        folder: destination; made if it does not exist.
        files: the files that the folder should hold in the end.
        on_start: called with each file before its download.
        replace: overwrite files that are not the published ones.

    Returns:
        The files that were downloaded now; those already there are left alone.

    Raises:
        WeightsError: a file cannot be downloaded, is not the published one, or another file is in
            its place.
        OutputError: the folder cannot be written to, or the disk is too small.
    """
    wanted = _to_download(folder, files, replace)
    if wanted:
        _check_space(folder, wanted)
    for file in wanted:
        on_start(file)
        _download(file, folder.path(file), _staging(folder, file))
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
    missing = sum(max(file.size - _arrived(_staging(folder, file)), 0) for file in files)
    existing = next(path for path in (folder.root, *folder.root.parents) if path.exists())
    free = shutil.disk_usage(existing).free
    if free < missing:
        raise OutputError(
            f"the disk of {folder.root} is too small: {size_text(missing)} are to be downloaded, "
            f"{size_text(free)} are free. Free some space, choose another folder with --dir, or "
            "fetch the weights of fewer metrics with --metrics.")


def _staging(folder: WeightsFolder, file: WeightsFile) -> Path:
    """The folder for the file's bytes until all have arrived."""
    return folder.root / STAGING / short(file.sha256)


def _arrived(staging: Path) -> int:
    """Size of an unfinished hub file; the suffix is that of `hf_hub_download`."""
    return sum(path.stat().st_size for path in staging.rglob("*.incomplete"))


def _download(file: WeightsFile, target: Path, staging: Path) -> None:
    """Download `file`, and put it in the place of `target`."""
    address = _address(file)
    try:
        if _arrived(staging) > file.size:
            shutil.rmtree(staging)  # the rest of a longer file can never become this one
        target.parent.mkdir(parents=True, exist_ok=True)
        staging.mkdir(parents=True, exist_ok=True)
        arrived = _from_hub(file, staging) if _on_hub(file) else _from_address(file, staging)
        with open(arrived, "rb") as written:
            os.fsync(written.fileno())
        os.replace(arrived, target)
        shutil.rmtree(staging)
        if not any(staging.parent.iterdir()):
            staging.parent.rmdir()
    except CheckerError:
        raise
    except Exception as error:
        # The libraries pass on the errors of their HTTP clients, which differ between versions.
        if _is_of_the_disk(error):
            raise OutputError(
                f"cannot write {target}: {getattr(error, 'strerror', None) or error}. Free some "
                "space or choose another folder with --dir. The same command goes on."
            ) from error
        raise WeightsError(_unreachable_message(address, file, error)) from error


def _from_hub(file: WeightsFile, staging: Path) -> Path:
    """Download a file of the hub; an unfinished download in `staging` is resumed."""
    from huggingface_hub import constants, hf_hub_download

    constants.HF_HUB_DISABLE_XET = True  # a download through Xet starts over in the next call
    # Or each of its attempts prints a paragraph.
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    place = _HUB_FILE.fullmatch(file.url)
    assert place is not None
    while True:
        before = _arrived(staging)
        try:
            # The library reads HF_ENDPOINT only once, when it is imported.
            arrived = Path(hf_hub_download(
                place["repo_id"], place["filename"], revision=place["revision"],
                local_dir=staging, endpoint=_endpoint(),
            ))
            break
        except Exception:
            # Not every version of the library goes on by itself after a broken connection.
            if _arrived(staging) <= before:
                raise
    found = sha256_of(arrived)
    if found != file.sha256:
        shutil.rmtree(staging)
        raise _changed_error(file, f"sha256 {found}, expected {file.sha256}")
    return arrived


def _from_address(file: WeightsFile, staging: Path) -> Path:
    """Download a file that is not on the hub; only a whole file appears in `staging`."""
    require_torch()
    from torch.hub import download_url_to_file

    arrived = staging / Path(file.path).name
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_STALLED_SECONDS)  # torch.hub sets none and would wait for ever
    try:
        download_url_to_file(file.url, str(arrived), hash_prefix=file.sha256)
    except RuntimeError as error:
        raise _changed_error(file, str(error)) from error
    finally:
        socket.setdefaulttimeout(before)
    return arrived


def _endpoint() -> str:
    """The address of the hub or of the mirror that the user chose."""
    endpoint = os.environ.get("HF_ENDPOINT", "").rstrip("/") or HUB
    if not endpoint.startswith(("https://", "http://")):
        raise WeightsError(
            f"HF_ENDPOINT={endpoint} is not an address. Write it with https:// in front.")
    return endpoint


def _address(file: WeightsFile) -> str:
    return _endpoint() + file.url.removeprefix(HUB) if _on_hub(file) else file.url


def _on_hub(file: WeightsFile) -> bool:
    return file.url.startswith(f"{HUB}/")


def _is_of_the_disk(error: Exception) -> bool:
    network = (ConnectionError, TimeoutError, ssl.SSLError)
    # Errors of HTTP clients are OSErrors, too, but without a number.
    return (isinstance(error, OSError) and error.errno is not None
            and not isinstance(error, network))


def _changed_error(file: WeightsFile, reason: str) -> WeightsError:
    return WeightsError(
        f"{_address(file)} is not the published {file.name}: {reason}. What came was deleted. Try "
        "again; if it stays so, the server or a proxy on the way changes the file, and another "
        "network or mirror (HF_ENDPOINT for the hub) may help.")


def _unreachable_message(address: str, file: WeightsFile, error: Exception) -> str:
    cause: BaseException = error
    # The libraries wrap "connection refused" into four errors of their own.
    while (inner := cause.__cause__ or cause.__context__) is not None:
        cause = inner
    reason = " ".join(f"{type(cause).__name__}: {cause}".split()).rstrip(".")
    message = (f"cannot download {address}: {reason}. Check the network and its proxy "
               "(HTTPS_PROXY, ALL_PROXY), then run the same command again.")
    if _on_hub(file):
        message += (" What has arrived is kept. If the hub cannot be reached from here, "
                    "HF_ENDPOINT chooses a mirror: HF_ENDPOINT=https://... before the command. "
                    "HF_TOKEN must be a valid token of the hub, or unset.")
    return message
