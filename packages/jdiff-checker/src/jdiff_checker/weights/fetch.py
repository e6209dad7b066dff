"""Filling a folder with published weights: what is to be downloaded, and whether it fits."""

from __future__ import annotations

import shutil
from collections.abc import Sequence

from jdiff_checker.errors import OutputError, WeightsError
from jdiff_checker.weights.download import (
    RETRY_WAITS,
    OnProgress,
    download,
    http_client,
    part_of,
)
from jdiff_checker.weights.folder import Presence, WeightsFolder, short
from jdiff_checker.weights.published import WeightsFile, size_text


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
