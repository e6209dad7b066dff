"""SHA-256 of large files, remembered as long as the file does not change."""

from __future__ import annotations

import contextlib
import hashlib
import json
from pathlib import Path

from jdiff_checker.errors import OutputError
from jdiff_checker.files import atomic_path

MEMO = ".hashes.json"

_Entry = dict[str, int | str]


def sha256_of(path: Path) -> str:
    """The hash of a file's content, read in full."""
    with open(path, "rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


class HashMemo:
    """The hashes of a folder's files, kept in `.hashes.json` in the same folder.

    Reading gigabytes for every check would cost more than some of the metrics. A file counts as
    unchanged while its size, modification time and inode are the same.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        # What a read-only folder cannot keep is remembered for this process at least.
        self._own: dict[str, _Entry] = {}

    def sha256(self, path: str, *, afresh: bool = False) -> str:
        """The hash of the file at `path` inside the folder.

        Args:
            path: relative to the folder.
            afresh: read the file even if its hash is known.

        Raises:
            OSError: the file is missing or cannot be read.
        """
        before = self._identity(path)
        if not afresh:
            for entries in (self._own, self._stored()):
                entry = entries.get(path, {})
                sha256 = entry.get("sha256")
                if isinstance(sha256, str) and entry == {**before, "sha256": sha256}:
                    return sha256
        sha256 = sha256_of(self._root / path)
        # A file that changed while it was read has a hash that is true of no moment.
        if self._identity(path) == before:
            self._keep(path, {**before, "sha256": sha256})
        return sha256

    def remember(self, path: str, sha256: str) -> None:
        """Take over a hash that was computed elsewhere, of the file as it lies there now.

        Raises:
            OSError: the file is missing.
        """
        self._keep(path, {**self._identity(path), "sha256": sha256})

    def _identity(self, path: str) -> _Entry:
        status = (self._root / path).stat()
        return {"size": status.st_size, "mtime_ns": status.st_mtime_ns, "inode": status.st_ino}

    def _stored(self) -> dict[str, _Entry]:
        # The memo only saves time: without one that can be read, files are read again.
        try:
            stored = json.loads((self._root / MEMO).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        if not isinstance(stored, dict):
            return {}
        return {path: entry for path, entry in stored.items() if isinstance(entry, dict)}

    def _keep(self, path: str, entry: _Entry) -> None:
        self._own[path] = entry
        # Shared folders are often read-only, and all the memo would save there is time.
        with contextlib.suppress(OutputError), atomic_path(self._root / MEMO) as temporary:
            text = json.dumps(self._stored() | self._own, indent=1, sort_keys=True)
            temporary.write_text(text + "\n", encoding="utf-8")
