"""Cache of features: a table of vectors in a SQLite file.

The name of a vector is the key of its network (weights, preprocessing, library, device) and the
SHA-256 of the image file. So no entry becomes stale: another file or another network has another
name. Each row has a digest of what it says; one that is damaged counts as missing and is computed
again. Written here because diskcache has had no release since 2023.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType

import numpy as np
import numpy.typing as npt

from jdiff_checker.errors import OutputError

Vector = npt.NDArray[np.float32]

_DAMAGED = (sqlite3.Error, UnicodeDecodeError)
"""Errors over a damaged file; the second one is of SQLite's own message about it."""
_AT_ONCE = 500
"""Names in one query; SQLite limits the number of parameters."""


class FeatureCache:
    """A table of float32 vectors. Several processes may use one file at a time.

    Args:
        file: path of the file; None keeps the table in memory for this process.

    Raises:
        OutputError: the file cannot be made, written or read as a cache.
    """

    def __init__(self, file: Path | None) -> None:
        self._file = file
        try:
            if file is not None:
                file.parent.mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(file or ":memory:", timeout=60)
            self._database.execute(
                # Not `vectors`, the table of older versions, whose rows have no digest.
                "CREATE TABLE IF NOT EXISTS features (network TEXT, content TEXT, digest BLOB,"
                " data BLOB, PRIMARY KEY (network, content)) WITHOUT ROWID"
            )
        except (OSError, *_DAMAGED) as error:
            raise self._error(error) from error

    def __enter__(self) -> FeatureCache:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._database.close()

    def get(self, network: str, contents: Iterable[str]) -> dict[str, Vector]:
        """The known vectors of `network` for `contents`; those of damaged rows are not known."""
        wanted = sorted(set(contents))
        found: dict[str, Vector] = {}
        try:
            for start in range(0, len(wanted), _AT_ONCE):
                part = wanted[start:start + _AT_ONCE]
                marks = ",".join("?" * len(part))
                rows = self._database.execute(
                    "SELECT content, digest, data FROM features"
                    f" WHERE network = ? AND content IN ({marks})",
                    [network, *part],
                )
                found.update((content, np.frombuffer(data, "<f4")) for content, digest, data in rows
                             if isinstance(data, bytes)
                             and digest == _digest(network, content, data))
        except _DAMAGED as error:
            raise self._error(error) from error
        return found

    def put(self, network: str, vectors: Mapping[str, Vector]) -> None:
        """Store vectors of `network` by the hash of the image; on a failure, none of them."""
        stored = {content: vector.astype("<f4").tobytes() for content, vector in vectors.items()}
        rows = [(network, content, _digest(network, content, data), data)
                for content, data in stored.items()]
        try:
            with self._database:
                self._database.executemany(
                    "INSERT OR REPLACE INTO features VALUES (?, ?, ?, ?)", rows)
        except _DAMAGED as error:
            raise self._error(error) from error

    def _error(self, error: Exception) -> OutputError:
        return OutputError(
            f"{self._file}: the cache of features cannot be used ({error}). Delete that file, or "
            "pass --cache another/file or --no-cache."
        )


def _digest(network: str, content: str, data: bytes) -> bytes:
    return hashlib.sha256(b"\0".join([network.encode(), content.encode(), data])).digest()
