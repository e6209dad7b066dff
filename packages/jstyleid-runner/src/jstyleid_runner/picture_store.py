"""Where what workers send is written: pictures, whole and flushed to the disk."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from jstyleid_core.files import write_whole
from jstyleid_runner.scheduling.ledger import Output
from jstyleid_runner.scheduling.task import Task


class PictureStore:
    """The `Store` of a run.

    Args:
        root: the run's folder.
        paths: where the product of each task belongs, by the task's id.
    """

    def __init__(self, root: Path, paths: Mapping[str, Path]) -> None:
        self._root, self._paths = root, paths

    def keep(self, task: Task, product: bytes) -> Output:
        """Write a picture.

        Raises:
            OutputError: the folder cannot be written to, or the disk is full.
        """
        path = self._paths[task.id]
        write_whole(path, product)
        return describe_output(path, self._root, hashlib.sha256(product).hexdigest())


def describe_output(path: Path, root: Path, sha256: str) -> Output:
    """A file of a run as the ledger holds it."""
    status = path.stat()
    return Output(path.relative_to(root).as_posix(), sha256, status.st_size, status.st_mtime_ns)
