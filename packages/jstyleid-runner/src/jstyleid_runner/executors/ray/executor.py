"""The executor on a Ray cluster: one worker for each GPU or CPU; Ray must be connected.

Ray decides the node of each worker. Files go to the workers through its object store; results come
back as bytes, and only this side writes them to the disk.
"""

import logging
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ray

from jstyleid_core.errors import InputError, JStyleIDError
from jstyleid_runner.executors.process import CompileGate
from jstyleid_runner.executors.ray.actor import NodeInfo, WorkerActor
from jstyleid_runner.executors.ray.files import (
    FileBundle,
    FileLocations,
    Uploader,
    bring_back,
    files_below,
    together,
)
from jstyleid_runner.scheduling.executor import (
    COMPILED,
    GRACE,
    SILENCE,
    Doing,
    ErrorKind,
    Event,
    Failed,
    FilesOf,
    Lost,
    Message,
    WorkerFactory,
    no_files,
    parse_event,
)
from jstyleid_runner.scheduling.task import Task

log = logging.getLogger(__name__)

PATIENCE = 60.0
"""Seconds to give up after while no worker has a node."""
_POLL = 5.0
_CALLS = 4
"""Methods of an actor that run at the same time: listening, fetching, giving files, stopping."""


class ClusterLostError(JStyleIDError):
    """The scheduler's machine is no node of the cluster any more."""


@dataclass
class _Actor:
    """A worker's actor, what it has been asked, and when its process was last heard of.

    Attributes:
        asked: references to answers that have not come.
        poll: the one of them that listens.
        node: node of the actor; None until Ray has found one.
        begun: whether it has been told to start its process.
        bundle: files of the assignment, kept in the object store as long as this refers to them.
    """

    handle: Any
    heard: float
    asked: set[Any] = field(default_factory=set)
    poll: Any = None
    node: NodeInfo | None = None
    begun: bool = False
    bundle: FileBundle | None = None


class RayExecutor:
    """An `Executor` of actors.

    A worker without a place waits for one, as long as others work: for a node to come back, or a
    GPU to become free. On each node one worker compiles first.

    Args:
        workers: their names.
        on_gpus: whether each has a GPU, and else a CPU.
        make_worker: makes what a worker does its work on; picklable.
        payload_of: gives the payload of a task; picklable.
        files_of: gives the files of a payload, and of `make_worker`.
        needed: files and folders that must be on every node under the same path.
        versions: finds out, here and on a node, the versions of what must be installed alike.
        silence: seconds without a sign of life after which a worker is killed.
        patience: seconds that no worker at all may be without a place.
    """

    def __init__(
        self, workers: Sequence[str], on_gpus: bool, make_worker: WorkerFactory,
        payload_of: Callable[[Task], Any], files_of: FilesOf = no_files, *,
        needed: Sequence[Path] = (), versions: Callable[[], dict[str, str]] = dict,
        silence: float = SILENCE, patience: float = PATIENCE,
    ) -> None:
        self._workers, self._on_gpus = tuple(workers), on_gpus
        self._make_worker, self._payload_of, self._files_of = make_worker, payload_of, files_of
        self._needed, self._versions = tuple(needed), versions
        self._silence, self._patience = silence, patience
        self._run = uuid.uuid4().hex[:8]
        self._actors: dict[str, _Actor] = {}
        self._gates: dict[str, CompileGate] = defaultdict(CompileGate)
        self._uploader, self._locations = Uploader(), FileLocations()
        self._own: list[Event] = []
        self._alone_since = time.monotonic()

    def start(self) -> None:
        """Ask the cluster for a place for each worker."""
        self._alone_since = time.monotonic()
        for worker in self._workers:
            self.replace(worker)

    def replace(self, worker: str) -> None:
        """Ask for a place for a new worker, on whichever node has one."""
        share = {"num_gpus": 1, "num_cpus": 0} if self._on_gpus else {"num_cpus": 1}
        handle = ray.remote(WorkerActor).options(
            max_concurrency=_CALLS, scheduling_strategy="SPREAD", **share,
        ).remote(worker, self._run, self._on_gpus, self._versions)
        self._actors[worker] = _Actor(handle, time.monotonic(), {handle.arrive.remote()})
        self._own.append(Doing(worker, "waiting for a place in the cluster", 0.0))

    def assign(self, worker: str, tasks: Sequence[Task]) -> None:
        """Send payloads and their files; `wait` notices a lost worker."""
        actor = self._actors[worker]
        payloads = [(task.id, self._payload_of(task)) for task in tasks]
        try:
            actor.bundle = self._bundle(actor, payloads)
        except InputError as error:
            reason, ids = str(error), tuple(task.id for task in tasks)
            self._own.append(Failed(worker, ids, reason, ErrorKind.INPUT, 0.0))
            return
        actor.asked.add(actor.handle.assign.remote(actor.bundle))

    def wait(self, seconds: float) -> list[Event]:
        """The events of the workers, with those of workers that are lost."""
        events, self._own = self._own, []
        asked = {ref: name for name, actor in self._actors.items() for ref in actor.asked}
        try:
            ray.wait(list(asked), timeout=0.0 if events else seconds)
            answered, _ = ray.wait(list(asked), num_returns=len(asked), timeout=0)
        except SystemExit as error:
            # Ray's way to say so; it would end the command without a word.
            self._actors.clear()
            raise ClusterLostError(
                "the connection to the Ray cluster is lost: its node on this machine has ended. "
                "Start it again, and give the same command to continue."
            ) from error
        for ref in answered:
            events += self._answered(asked[ref], ref)
        for name, actor in list(self._actors.items()):
            if actor.begun and time.monotonic() - actor.heard > self._silence:
                events.append(self._gone(name, f"no sign of life for {self._silence:.0f} s"))
        return events + self._without_place()

    def stop(self) -> None:
        """Stop all workers; a training first ends its step, and its state is brought back."""
        last = {actor.handle.stop.remote(GRACE): name
                for name, actor in self._actors.items() if actor.node}
        try:
            deadline = time.monotonic() + GRACE + _POLL
            while last and time.monotonic() < deadline:
                answered, _ = ray.wait(list(last), timeout=1.0)
                for ref in answered:
                    self._keep_last(last.pop(ref), ref)
        finally:
            for actor in self._actors.values():
                ray.kill(actor.handle)
            self._actors.clear()

    def _bundle(self, actor: _Actor, things: Sequence[tuple[str, Any]]) -> FileBundle:
        """Things with their files; raises an InputError where one cannot be read."""
        assert actor.node is not None
        files = together([self._files_of(thing) for _, thing in things])
        once = [*files.once, *(folder / path for folder in files.folders
                                 for path in files_below(folder))]
        try:
            items = [self._uploader.item(path, kept=True) for path in files.read]
            items += [self._uploader.item(path, kept=False) for path in once]
        except OSError as error:
            raise InputError(f"cannot read {error.filename}: {error.strerror}") from error
        held = tuple((path, self._locations.content(path, actor.node.id))
                     for path in files.held)
        return FileBundle(tuple(things), tuple(items), files.folders, held)

    def _begin(self, worker: str) -> None:
        actor = self._actors[worker]
        assert actor.node is not None
        on_node = sum(other.node is not None and other.node.id == actor.node.id
                      for other in self._actors.values())
        expected = max(on_node, -(-len(self._workers) // max(1, self._nodes())))
        threads = max(1, actor.node.processors // expected)
        actor.bundle = self._bundle(actor, [("", self._make_worker)])
        actor.asked.add(actor.handle.begin.remote(actor.bundle, threads, self._needed))
        actor.begun, actor.heard = True, time.monotonic()

    def _nodes(self) -> int:
        kind = "GPU" if self._on_gpus else "CPU"
        return sum(node["Alive"] and node["Resources"].get(kind, 0) > 0 for node in ray.nodes())

    def _answered(self, name: str, ref: Any) -> list[Event]:
        actor = self._actors.get(name)
        if actor is None or ref not in actor.asked:
            return []
        actor.asked.remove(ref)
        try:
            messages = ray.get(ref)
        except ray.exceptions.RayError as error:
            log.error("%s: %s", name, error)
            _refuse_other_installation(str(error))
            return [self._gone(name, _reason(error, actor.node))]
        events: list[Event] = []
        for message in messages:
            events += self._understood(name, actor, message)
            if name not in self._actors:
                return events
        if ref == actor.poll or ("begun",) in messages:
            actor.poll = actor.handle.poll.remote(_POLL)
            actor.asked.add(actor.poll)
        return events

    def _understood(self, name: str, actor: _Actor, message: Message) -> list[Event]:
        match message:
            case ("arrived", NodeInfo() as node):
                return self._arrived(name, actor, node)
            case ("brought", folder, changed, gone):
                bring_back(folder, changed, gone)
                return []
            case ("holds", path):
                assert actor.node is not None
                self._locations.add(path, actor.node.id, actor.handle)
                return []
            case ("ended", how):
                return [self._gone(name, f"its process ended ({how})")]
            case ("begun",):
                return []
        actor.heard = time.monotonic()
        if message == COMPILED:
            assert actor.node is not None
            for worker in self._gates[actor.node.id].compiled():
                self._begin(worker)
            return []
        try:
            event = parse_event(name, message)
        except InputError as error:
            raise InputError(f"{name} on node {_host(actor)}: {error}") from error
        if isinstance(event, Lost):
            return [self._gone(name, event.reason)]
        return [] if event is None else [event]

    def _arrived(self, name: str, actor: _Actor, node: NodeInfo) -> list[Event]:
        actor.node = node
        log.info("%s is on node %s", name, node.host)
        wrong = [f"{package} {node.versions.get(package, 'is missing')} there, {version} here"
                 for package, version in self._versions().items()
                 if node.versions.get(package) != version]
        if wrong:
            raise InputError(f"node {node.host} has other versions installed: {'; '.join(wrong)}. "
                             "Install the same there as here.")
        if self._gates[node.id].may_start(name):
            self._begin(name)
        return [Doing(name, f"on {node.host}", 0.0)]

    def _without_place(self) -> list[Event]:
        now = time.monotonic()
        if any(actor.node for actor in self._actors.values()) or not self._actors:
            self._alone_since = now
        elif now - self._alone_since > self._patience:
            self._alone_since = now
            kind = "GPU" if self._on_gpus else "CPU"
            reason = f"no node of the cluster had a free {kind} for {self._patience:.0f} s"
            return [self._gone(name, reason) for name in list(self._actors)]
        return []

    def _gone(self, name: str, reason: str) -> Lost:
        actor = self._actors.pop(name)
        ray.kill(actor.handle)
        if actor.node is None:
            return Lost(name, reason)
        self._locations.lost(actor.handle)
        for worker in self._gates[actor.node.id].lost(name):
            self._begin(worker)
        return Lost(name, f"{reason}, on node {actor.node.host}")

    def _keep_last(self, name: str, ref: Any) -> None:
        try:
            messages = ray.get(ref)
        except ray.exceptions.RayError as error:
            log.error("%s: %s", name, error)
            return
        for message in messages:
            if message[0] == "brought":
                bring_back(*message[1:])


def _host(actor: _Actor) -> str:
    return actor.node.host if actor.node else "unknown"


def _reason(error: Exception, node: NodeInfo | None) -> str:
    """Why a worker does not answer, in a line."""
    if isinstance(error, ray.exceptions.RayTaskError):
        return f"{type(error.cause).__name__}: {error.cause}"
    if node is None:
        # Ray may choose a node that is gone, and notice later.
        return "its actor ended before it had a place"
    if node.id not in {each["NodeID"] for each in ray.nodes() if each["Alive"]}:
        return "its node is lost"
    if isinstance(error, ray.exceptions.ActorUnavailableError):
        return "it cannot be reached"
    return "its actor ended"


def _refuse_other_installation(text: str) -> None:
    """Raise where a worker could not start since its node lacks this program."""
    if "No module named 'jstyleid" in text or "No module named 'jittor" in text:
        raise InputError(
            "a node of the cluster does not have jstyleid-runner installed in the Python that Ray "
            f"uses there. Install the same there as here.\n{text.strip().splitlines()[-1]}"
        )
