"""Files of a run on the nodes of a cluster: sent once, kept a node, brought back when changed.

A machine of the cluster does not see the scheduler's files.
"""

import contextlib
import fcntl
import hashlib
import shutil
import tempfile
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, TextIO

import ray

from jstyleid_core.files import write_whole
from jstyleid_runner.scheduling.executor import TaskFiles


@dataclass(frozen=True)
class FileRef:
    """A file on its way.

    Attributes:
        path: path on the scheduler's machine.
        digest: SHA-256 of its content.
        content: a reference to its bytes in the cluster's object store.
        kept: whether the node keeps the file for other payloads.
    """

    path: Path
    digest: str
    content: Any
    kept: bool


@dataclass(frozen=True)
class FileBundle:
    """An assignment on its way: what is to be done, and the files.

    Attributes:
        things: payloads with their tasks' ids, or another object that holds paths.
        items: files that exist.
        folders: see `TaskFiles`.
        held: files of `TaskFiles.held`, with a reference to the content if another node has it.
    """

    things: tuple[tuple[str, Any], ...]
    items: tuple[FileRef, ...]
    folders: tuple[Path, ...]
    held: tuple[tuple[Path, Any], ...]


def relocated(value: Any, place: Callable[[Path], Path]) -> Any:
    """A copy of a value in which every path, however deep in it, is where `place` says.

    It looks into dataclasses and tuples, of which payloads are made.
    """
    match value:
        case Path():
            return place(value)
        case tuple():
            return tuple(relocated(part, place) for part in value)
        case _ if is_dataclass(value) and not isinstance(value, type):
            parts = {field.name: getattr(value, field.name) for field in fields(value)}
            return replace(value, **{name: relocated(part, place) for name, part in parts.items()})
        case _:
            return value


def together(every: Sequence[TaskFiles]) -> TaskFiles:
    """The files of several payloads, each once."""
    return TaskFiles(*(
        tuple(dict.fromkeys(path for files in every for path in getattr(files, field.name)))
        for field in fields(TaskFiles)))


_KEPT = 2**30
"""Bytes of files that stay in the store for other machines; the oldest go first."""


class Uploader:
    """Puts files into the object store, each content once.

    Attributes:
        puts: number of files that were put there.
    """

    def __init__(self) -> None:
        self.puts = 0
        self._digests: dict[Path, tuple[tuple[int, int], str]] = {}
        self._refs: OrderedDict[str, tuple[Any, int]] = OrderedDict()

    def item(self, path: Path, kept: bool) -> FileRef:
        """A file, ready to go.

        Args:
            path: the file.
            kept: whether the file is for other payloads, too.

        Raises:
            OSError: it cannot be read.
        """
        status = path.stat()
        stamp = (status.st_size, status.st_mtime_ns)
        known = self._digests.get(path)
        if kept and known and known[0] == stamp and known[1] in self._refs:
            self._refs.move_to_end(known[1])
            return FileRef(path, known[1], self._refs[known[1]][0], kept)
        content = path.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        if not kept:
            self.puts += 1
            return FileRef(path, digest, ray.put(content), kept)
        self._digests[path] = (stamp, digest)
        if digest not in self._refs:
            self.puts += 1
            self._refs[digest] = (ray.put(content), len(content))
            while len(self._refs) > 1 and sum(size for _, size in self._refs.values()) > _KEPT:
                self._refs.popitem(last=False)
        return FileRef(path, digest, self._refs[digest][0], kept)


class FileLocations:
    """The nodes that hold files which one worker made for the others.

    A content goes to the object store when another node first asks for it, and from there to any
    number of nodes.
    """

    def __init__(self) -> None:
        self._nodes: dict[Path, dict[str, Any]] = {}
        self._contents: dict[Path, Any] = {}

    def add(self, path: Path, node: str, actor: Any) -> None:
        """A file is on a node, and this actor there can be asked for it."""
        self._nodes.setdefault(path, {})[node] = actor

    def content(self, path: Path, node: str) -> Any:
        """A reference to the file for a node; None if no node has it, or the node itself does."""
        locations = self._nodes.get(path, {})
        if node in locations or not (locations or path in self._contents):
            return None
        if path not in self._contents:
            self._contents[path] = next(iter(locations.values())).take.remote(path)
        return self._contents[path]

    def lost(self, actor: Any) -> None:
        """An actor is gone: it can be asked for nothing any more."""
        for path, locations in self._nodes.items():
            for node in [node for node, other in locations.items() if other is actor]:
                del locations[node]
                # It may have been asked, and not have answered.
                self._contents.pop(path, None)


def files_below(folder: Path) -> Iterator[Path]:
    """The files of a folder by their paths in it; not what is still being written there."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.name.startswith("."):
            yield path.relative_to(folder)


class SyncedFolder:
    """The folder where it is worked in.

    Args:
        path: folder on the scheduler's machine.
        place: the copy on this node, as it was when the work began.
    """

    def __init__(self, path: Path, place: Path) -> None:
        self.path, self._place = path, place
        self._known = self._stamps()

    def changes(self) -> tuple[dict[Path, bytes], tuple[Path, ...]]:
        """The files that are new or changed since the last time, and those that are gone."""
        before, self._known = self._known, self._stamps()
        changed = {path: (self._place / path).read_bytes()
                   for path, stamp in self._known.items() if before.get(path) != stamp}
        return changed, tuple(path for path in before if path not in self._known)

    def _stamps(self) -> dict[Path, tuple[int, int]]:
        found = {}
        for path in files_below(self._place):
            # A training removes old checkpoints after new ones are there.
            if (self._place / path).exists():
                status = (self._place / path).stat()
                found[path] = (status.st_size, status.st_mtime_ns)
        return found


def bring_back(folder: Path, changed: Mapping[Path, bytes], gone: Iterable[Path]) -> None:
    """Apply the changes of a synced folder, each file whole or not at all.

    Raises:
        OutputError: a file cannot be written.
    """
    for path, content in changed.items():
        write_whole(folder / path, content)
    for path in gone:
        (folder / path).unlink(missing_ok=True)


_PREFIX = "jstyleid-node-"


class NodeCache:
    """A folder that all workers of a run on one machine share.

    It is below the machine's folder for temporary files. The last worker to leave removes it; where
    the workers were killed, the next one of any run does.

    Args:
        run: id of the run.
        node: id of the node; several nodes may be on one machine.
        worker: name of the worker, which has a part of its own.
    """

    def __init__(self, run: str, node: str, worker: str) -> None:
        top = Path(tempfile.gettempdir())
        self.root = top / f"{_PREFIX}{run}-{node}"
        self._lock = _enter(self.root)
        for lock in top.glob(f"{_PREFIX}*.lock"):
            _remove_if_left(lock)
        self.own = self.root / "workers" / worker
        # Of one that was lost.
        shutil.rmtree(self.own, ignore_errors=True)
        self.own.mkdir(parents=True)

    def kept(self, digest: str, name: str) -> Path:
        """The place of a file that several payloads read: by its content, and under its name."""
        return self.root / "files" / digest / name

    def held(self, path: Path) -> Path:
        """The place of a file that one worker makes for the others."""
        return self.root / "held" / _key(path) / path.name

    def made(self, part: str, path: Path) -> Path:
        """The place of a file of this worker alone, in a part of its folder."""
        return self.own / part / _key(path) / path.name

    def leave(self) -> None:
        """Remove the folder, unless another worker is there still."""
        self._lock.close()
        _remove_if_left(_lock_of(self.root))


def _key(path: Path) -> str:
    return hashlib.sha256(str(path).encode()).hexdigest()[:16]


def _lock_of(root: Path) -> Path:
    return root.with_name(f"{root.name}.lock")


def _enter(root: Path) -> TextIO:
    """A lock on the folder that workers share, and that keeps it from being removed."""
    # By fcntl: filelock has no shared lock, and leaves its files.
    while True:
        lock = _lock_of(root).open("w")
        fcntl.flock(lock, fcntl.LOCK_SH)
        with contextlib.suppress(FileNotFoundError):
            if _lock_of(root).stat().st_ino == Path(f"/proc/self/fd/{lock.fileno()}").stat().st_ino:
                root.mkdir(exist_ok=True)
                return lock
        lock.close()  # somebody removed it in between


def _remove_if_left(lock: Path) -> None:
    """Remove a folder that no worker uses any more."""
    with contextlib.suppress(FileNotFoundError, PermissionError), lock.open("r") as opened:
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        shutil.rmtree(lock.with_suffix(""), ignore_errors=True)
        lock.unlink(missing_ok=True)
