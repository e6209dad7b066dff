"""A cheap sign that a checkpoint's files are the ones they were."""

import hashlib
import json
from pathlib import Path

_FILES = {".json", ".safetensors", ".txt", ".model"}


def checkpoint_stamp(folder: Path) -> str:
    """A digest of the names, sizes and times of the checkpoint's files, not of their content.

    A file that was replaced has another time, and nearly always another size.
    """
    entries: list[tuple[str, int, int]] = []
    for path in sorted(folder.rglob("*")):
        if path.suffix in _FILES and path.is_file():
            status = path.stat()
            entries.append(
                (path.relative_to(folder).as_posix(), status.st_size, status.st_mtime_ns)
            )
    return hashlib.sha256(json.dumps(entries).encode()).hexdigest()
