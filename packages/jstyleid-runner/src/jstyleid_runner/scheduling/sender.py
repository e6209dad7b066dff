"""The scheduler's side of freight: files go into the cluster's object store, each content once."""

import hashlib
from collections import OrderedDict
from pathlib import Path
from typing import Any

import ray

from jstyleid_runner.scheduling.freight import Item

_KEPT = 2**30
"""Bytes of files that stay in the store for other machines; the oldest go first."""


class Sender:
    """What is in the store.

    Attributes:
        puts: how many files were put there.
    """

    def __init__(self) -> None:
        self.puts = 0
        self._digests: dict[Path, tuple[tuple[int, int], str]] = {}
        self._refs: OrderedDict[str, tuple[Any, int]] = OrderedDict()

    def item(self, path: Path, kept: bool) -> Item:
        """A file, ready to go.

        Args:
            path: the file.
            kept: whether it is for other orders, too.

        Raises:
            OSError: it cannot be read.
        """
        status = path.stat()
        stamp = (status.st_size, status.st_mtime_ns)
        known = self._digests.get(path)
        if kept and known and known[0] == stamp and known[1] in self._refs:
            self._refs.move_to_end(known[1])
            return Item(path, known[1], self._refs[known[1]][0], kept)
        content = path.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        if not kept:
            self.puts += 1
            return Item(path, digest, ray.put(content), kept)
        self._digests[path] = (stamp, digest)
        if digest not in self._refs:
            self.puts += 1
            self._refs[digest] = (ray.put(content), len(content))
            while len(self._refs) > 1 and sum(size for _, size in self._refs.values()) > _KEPT:
                self._refs.popitem(last=False)
        return Item(path, digest, self._refs[digest][0], kept)
