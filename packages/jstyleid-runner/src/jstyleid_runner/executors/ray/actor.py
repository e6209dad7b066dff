"""A worker on a node of a Ray cluster: an actor with a worker process beside it.

The actor fetches files and brings results back; the process does what a local worker does, and
knows nothing of Ray. It ends with the actor, however that ends.
"""

import os
import shutil
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing import connection
from pathlib import Path
from typing import Any

import ray

from jstyleid_core.files import write_whole
from jstyleid_core.runtime.processors import processors
from jstyleid_runner.executors.process import Slot, WorkerProcess
from jstyleid_runner.executors.ray.files import FileBundle, NodeCache, SyncedFolder, relocated
from jstyleid_runner.scheduling.executor import ErrorKind, Message

_SWEEP = 5.0
"""Seconds between two looks into the folders that come back."""


@dataclass(frozen=True)
class NodeInfo:
    """The node of a worker.

    Attributes:
        id: name that Ray has for the node.
        host: name and address, for messages.
        processors: number of processors that may be used.
        versions: versions of the installed packages.
    """

    id: str
    host: str
    processors: int
    versions: dict[str, str]


class WorkerActor:
    """The actor. What its methods return are messages, as the worker's process sends them.

    Some are its own: ("arrived", `NodeInfo`), ("begun",), ("brought", folder, changed, gone) of
    `SyncedFolder`, ("holds", path) of a file it can be asked for, and ("ended", how).

    Args:
        name: name of the worker.
        run: id of the run.
        on_gpu: whether it has a GPU, which Ray has chosen.
        versions: finds out the versions of what is installed; picklable.
    """

    def __init__(
        self, name: str, run: str, on_gpu: bool, versions: Callable[[], dict[str, str]]
    ) -> None:
        self._name, self._on_gpu, self._versions = name, on_gpu, versions
        self._node = ray.get_runtime_context().get_node_id()
        self._cache = NodeCache(run, self._node[:12], name)
        self._lock = threading.Lock()
        self._synced: list[SyncedFolder] = []
        self._held: list[Path] = []
        self._swept = time.monotonic()
        self._process: WorkerProcess | None = None

    def arrive(self) -> list[Message]:
        """Report the node of this worker."""
        address = ray.util.get_node_ip_address()
        host = f"{socket.gethostname()} ({address})"
        return [("arrived", NodeInfo(self._node, host, processors(), self._versions()))]

    def begin(self, bundle: FileBundle, threads: int, needed: Sequence[Path]) -> list[Message]:
        """Start the process.

        Args:
            bundle: factory of the worker, with its files.
            threads: CPU threads of the worker.
            needed: files and folders that must be on every machine.
        """
        for path in needed:
            if not path.exists():
                return [("unfit", f"{path}: there is no such file or folder. Copy it there: "
                         "--model names one with the same path on every node, or a hub id, which "
                         "each node downloads.", "", ErrorKind.INPUT)]
        [(_, make_worker)] = self._unpacked(bundle, "worker")
        gpu = os.environ["CUDA_VISIBLE_DEVICES"] if self._on_gpu else None
        # A spawned process imports its parent's main module: Ray's, which it has no use for.
        vars(sys.modules["__main__"]).pop("__file__", None)
        self._process = WorkerProcess(Slot(self._name, gpu, threads), make_worker)
        return [("begun",)]

    def assign(self, bundle: FileBundle) -> list[Message]:
        """Fetch the files of payloads, and send the payloads to the process."""
        payloads = self._unpacked(bundle, "payload")
        if self._process:
            try:
                self._process.send(payloads)
            except OSError:
                return []  # gone, which `poll` will say
        return []

    def poll(self, seconds: float) -> list[Message]:
        """The next messages; returns as soon as there are some, at the latest after `seconds`."""
        if self._process is None:
            return []
        found: list[Message] = []
        if connection.wait([self._process.pipe], seconds):
            try:
                received = self._process.received()
            except EOFError:
                return [*self._sweep(), ("ended", self._process.kill())]
            for message in received:
                if message[0] in ("finished", "failed"):
                    # Its files first: what is finished may be asked for at once.
                    found += self._sweep()
                found.append(message)
        if time.monotonic() - self._swept > _SWEEP:
            found += self._sweep()
        return found

    def take(self, path: Path) -> bytes:
        """The content of a file it holds, by the path that the scheduler knows it by."""
        return self._cache.held(path).read_bytes()

    def stop(self, seconds: float) -> list[Message]:
        """End the process, which has so many seconds to save its training, and bring that back."""
        if self._process:
            self._process.end()
            self._process.process.join(seconds)
            self._process.process.kill()
            self._process.process.join()
        found = self._sweep()
        self._cache.leave()
        return found

    def _unpacked(self, bundle: FileBundle, part: str) -> list[tuple[str, Any]]:
        """The things of a load, with the paths that their files have here.

        Args:
            bundle: payloads and files that have arrived.
            part: part of this worker's folder, which is emptied first.
        """
        with self._lock:
            shutil.rmtree(self._cache.own / part, ignore_errors=True)
            places = {path: self._cache.made(part, path) for path in bundle.folders}
            for item in bundle.items:
                place = _inside(item.path, bundle.folders, places) or (
                    self._cache.kept(item.digest, item.path.name) if item.kept
                    else self._cache.made(part, item.path))
                places[item.path] = place
                if not place.exists():
                    write_whole(place, ray.get(item.content))
            for path, content in bundle.held:
                places[path] = place = self._cache.held(path)
                if content is not None and not place.exists():
                    self._fetch_held(place, content)
            self._synced = [SyncedFolder(path, places[path]) for path in bundle.folders]
            self._held = [path for path, _ in bundle.held]

        def here(path: Path) -> Path:
            place = places.get(path) or self._cache.made(part, path)
            place.parent.mkdir(parents=True, exist_ok=True)
            return place

        return [(id, relocated(thing, here)) for id, thing in bundle.things]

    def _fetch_held(self, place: Path, content: Any) -> None:
        try:
            write_whole(place, ray.get(content))
        except ray.exceptions.RayError as error:
            # Its holder is lost. The process makes it again.
            print(f"{self._name}: {place.name} cannot be had: {error}", file=sys.stderr)

    def _sweep(self) -> list[Message]:
        found: list[Message] = []
        with self._lock:
            for folder in self._synced:
                changed, gone = folder.changes()
                if changed or gone:
                    found.append(("brought", folder.path, changed, gone))
            for path in [path for path in self._held if self._cache.held(path).exists()]:
                self._held.remove(path)
                found.append(("holds", path))
        self._swept = time.monotonic()
        return found


def _inside(path: Path, folders: Sequence[Path], places: Mapping[Path, Path]) -> Path | None:
    """The place of a file that is in one of the folders."""
    for folder in folders:
        if path.is_relative_to(folder):
            return places[folder] / path.relative_to(folder)
    return None
