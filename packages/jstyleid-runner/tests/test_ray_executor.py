"""The loop with actors on the nodes of a Ray cluster: killed, hung, without files, lost."""

import json
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from file_worker import FileWorkerSpec, Reading, files_of, own_version
from jstyleid_core.errors import InputError
from jstyleid_runner.scheduling.executor import Event, Ready, TaskProgress, WorkerFactory
from jstyleid_runner.scheduling.ledger import Ledger, Output
from jstyleid_runner.scheduling.scheduler import ATTEMPTS, NoWorkersError, Scheduler
from jstyleid_runner.scheduling.state import SchedulerState
from jstyleid_runner.scheduling.task import Stage, State, Task
from sleeping_worker import Sleep, SleepingWorker

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
ray = pytest.importorskip("ray")
DOUBLES = str(Path(__file__).parent / "doubles")
WORKERS = ("cpu0", "cpu1", "cpu2", "cpu3")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two nodes with room for two workers each; the first one is the scheduler's own."""
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        # Their workers find `file_worker` and `sleeping_worker`.
        patch.setenv("PYTHONPATH", DOUBLES, prepend=os.pathsep)
        # Twice Ray's own patience, for a busy machine; no more, since a replacement may be sent to
        # a lost node, and is free only when Ray has noticed.
        patch.setenv("RAY_health_check_failure_threshold", "10")
        patch.setenv("RAY_worker_niceness", "0")
        started = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "num_gpus": 0})
        started.add_node(num_cpus=2, num_gpus=0)
        ray.init(started.address, log_to_driver=False, logging_level="CRITICAL")
        yield started
        ray.shutdown()
        started.shutdown()


class Notes:
    """A store and a monitor that write down what they are told."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}
        self.troubles: list[str] = []
        self.together: list[int] = []
        self.by: dict[str, str] = {}
        self.heard: Callable[[], None] = lambda: None

    def keep(self, task: Task, product: bytes) -> Output:
        assert task.id not in self.kept
        self.kept[task.id] = product
        return Output(task.id, product.hex(), len(product), 0)

    def began(self, worker: str, tasks: Sequence[Task]) -> None:
        self.together.append(len(tasks))

    def doing(self, worker: str, detail: str, share: float) -> None:
        pass

    def finished(self, worker: str, task: Task, output: Output | None) -> None:
        self.by[task.id] = worker
        self.heard()

    def trouble(self, text: str) -> None:
        self.troubles.append(text)


def split(styles: int, prompts: int) -> list[Task]:
    found = []
    for number in range(styles):
        name = f"{number:02}"
        found.append(Task(f"lora/{name}", name, Stage.TRAIN, (), 20))
        images = [Task(f"content/{name}/{n}", name, Stage.DRAW, (f"lora/{name}",), 10, n // 4)
                 for n in range(prompts)]
        found += [*images, *(Task(f"picture/{name}/{n}", name, Stage.STYLISE, (draw.id,), 10,
                                 draw.group) for n, draw in enumerate(images))]
    return found


class Run:
    """A run of tasks by actors, by default of those that sleep."""

    def __init__(
        self, folder: Path, tasks: list[Task], workers: Sequence[str] = WORKERS,
        make_worker: WorkerFactory = SleepingWorker,
        payload_of: Callable[[Task], Any] = lambda task: Sleep(task.id, task.cost / 500),
        on_gpus: bool = False, **options: Any,
    ) -> None:
        from jstyleid_runner.executors.ray.executor import RayExecutor

        self.ledger, self.tasks, self.workers = Ledger(folder / "ledger.sqlite"), tasks, workers
        self.executor = RayExecutor(workers, on_gpus, make_worker, payload_of, **options)
        self._wait, self._ready = self.executor.wait, list[Event]()
        self.executor.wait = self._together  # type: ignore[method-assign]
        self.notes = Notes()

    def go(self, batch: int = 1) -> Notes:
        self.ledger.plan(self.tasks)
        state = SchedulerState(self.tasks, self.ledger.states())
        Scheduler(
            state, self.ledger, self.executor, self.notes, self.notes, self.workers, batch).run()
        return self.notes

    def _together(self, seconds: float) -> list[Event]:
        """Let nobody begin before all are ready, however busy this machine is."""
        events = self._wait(seconds)
        if len(self._ready) == len(self.workers):
            return events
        self._ready += [event for event in events if isinstance(event, Ready)]
        others = [event for event in events if not isinstance(event, Ready)]
        return others + (self._ready if len(self._ready) == len(self.workers) else [])

    def pids(self, worker: str) -> tuple[int, int]:
        """Of a worker's actor and of the process beside it."""
        pid = self.executor._actors[worker].handle.__ray_call__.remote(
            lambda actor: (os.getpid(), actor._process.process.pid))
        found: tuple[int, int] = ray.get(pid)
        return found

    def nodes(self) -> dict[str, str]:
        """The node of each worker that has a place."""
        actors = self.executor._actors.items()
        return {name: actor.node.id for name, actor in actors if actor.node}


def expected(tasks: list[Task]) -> dict[str, bytes]:
    alone = SleepingWorker()
    return {task.id: next(alone.perform([Sleep(task.id, 0)], TaskProgress(print)))
            for task in tasks}


def test_workers_on_two_nodes_do_each_task_once(cluster: Any, tmp_path: Path) -> None:
    run = Run(tmp_path, split(4, 8))
    nodes: dict[str, str] = {}
    run.notes.heard = lambda: nodes.update(run.nodes())
    notes = run.go()
    assert notes.kept == expected(run.tasks)
    assert notes.troubles == []
    assert set(notes.by.values()) == set(WORKERS)
    assert sorted([*nodes.values()].count(node) for node in set(nodes.values())) == [2, 2]
    assert {entry.attempts for entry in run.ledger.entries()} == {1}


def test_killed_actors_and_killed_processes_are_replaced(cluster: Any, tmp_path: Path) -> None:
    run = Run(tmp_path, split(4, 12))
    victims = ["cpu0", "cpu1", "cpu2"]

    def kill() -> None:
        if len(run.notes.by) % 10 or not victims or victims[0] not in run.notes.by.values():
            return
        victim = victims.pop(0)
        actor, process = run.pids(victim)
        match victim:
            case "cpu0":
                os.kill(actor, signal.SIGKILL)
            case "cpu1":
                os.kill(process, signal.SIGKILL)
            case "cpu2":
                ray.kill(run.executor._actors[victim].handle)
        gone.append(process)

    gone: list[int] = []
    run.notes.heard = kill
    notes = run.go()
    assert notes.kept == expected(run.tasks)
    assert len(gone) == 3
    lost = sorted(said.split(", on node")[0] for said in notes.troubles if "lost, " in said[:15])
    assert lost == ["cpu0: lost, its actor ended", "cpu1: lost, its process ended (signal 9)",
                    "cpu2: lost, its actor ended"]
    assert not [pid for pid in gone if _lives(pid)]


@pytest.mark.parametrize("which", ["actor", "process"])
def test_one_that_gives_no_sign_of_life_is_replaced(
    cluster: Any, tmp_path: Path, which: str
) -> None:
    run = Run(tmp_path, split(2, 8), ("cpu0", "cpu1"))
    stopped: list[int] = []

    def freeze() -> None:
        if not stopped and "cpu0" in run.notes.by.values():
            stopped.extend(run.pids("cpu0"))
            os.kill(stopped[which == "process"], signal.SIGSTOP)
            run.executor._silence = 3.0

    def trouble(text: str) -> None:
        run.notes.troubles.append(text)
        if text.startswith("cpu0: lost"):
            # To get ready may take longer than that.
            run.executor._silence = 900.0

    run.notes.heard, run.notes.trouble = freeze, trouble  # type: ignore[method-assign]
    notes = run.go()
    assert notes.kept == expected(run.tasks)
    assert any("cpu0: lost, no sign of life for 3 s" in said for said in notes.troubles)
    _wait(lambda: not any(_lives(pid) for pid in stopped))


def test_failures_are_those_of_local_workers(cluster: Any, tmp_path: Path) -> None:
    bad = "content/00/5"
    run = Run(tmp_path, split(1, 8), ("cpu0",), partial(SleepingWorker, room=2),
              lambda task: Sleep(task.id, 0, "broken" if task.id == bad else ""))
    notes = run.go(batch=4)
    assert notes.troubles[0] == "cpu0: out of memory, now 2 at a time"
    entries = {entry.id: entry for entry in run.ledger.entries()}
    assert (entries[bad].state, entries[bad].attempts) == (State.QUARANTINED, ATTEMPTS)
    assert entries[bad].error == "RuntimeError: broken"
    assert len(notes.kept) == len(run.tasks) - 2
    assert max(notes.together[2:]) == 2


def test_files_go_to_the_nodes_and_come_back(cluster: Any, tmp_path: Path) -> None:
    # Four in a row of each style, who write the same diary.
    tasks = [Task(f"content/{n}", f"{n % 4}", Stage.DRAW, (f"content/{n - 4}",) if n > 3 else (), 1)
             for n in range(16)]
    (tmp_path / "shared.txt").write_text("for all")
    for task in tasks:
        (tmp_path / f"{task.id[8:]}.txt").write_text(task.id)

    def payload_of(task: Task) -> Reading:
        name = task.id[8:]
        return Reading(task.id, 0.1, tmp_path / "shared.txt", tmp_path / f"{name}.txt",
                       tmp_path / "diaries" / task.style, tmp_path / "held" / "one.txt")

    # One has lines already, of an earlier run: they go along.
    (tmp_path / "diaries" / "2" / "checkpoints").mkdir(parents=True)
    (tmp_path / "diaries" / "2" / "checkpoints" / "lines").write_text("before\n")
    worker = FileWorkerSpec(tmp_path / "shared.txt", tmp_path / "log")
    run = Run(tmp_path, tasks, WORKERS, worker, payload_of, files_of=files_of)
    run.go()
    made = {id: json.loads(product) for id, product in run.notes.kept.items()}
    assert sorted(made) == sorted(task.id for task in tasks)
    for id, found in made.items():
        assert found["read"][:2] == ["for all", id]
        assert not [path for path in found["paths"] if Path(path).is_relative_to(tmp_path)]
    # Made once on each node at most, although nobody waits for it.
    assert len({found["read"][2] for found in made.values()}) <= len(WORKERS)
    assert not (tmp_path / "held").exists()
    assert not (tmp_path / "log").exists()
    for style in range(4):
        diary = tmp_path / "diaries" / f"{style}"
        lines = (diary / "checkpoints" / "lines").read_text().splitlines()
        assert sorted(lines) == sorted([f"content/{n}" for n in range(style, 16, 4)]
                                       + ["before"] * (style == 2))
        assert not (diary / ".unfinished").exists()
    assert run.executor._uploader.puts == 1 + 16 + 1 + 3 * 4  # shared, own, the old lines, new ones


def test_what_one_node_holds_another_gets_from_it(cluster: Any, tmp_path: Path) -> None:
    first = Task("first", "0", Stage.INVERT, (), 1)
    rest = [Task(f"rest/{n}", f"{n}", Stage.DRAW, ("first",), 1) for n in range(4)]
    (tmp_path / "a.txt").write_text("a")

    def payload_of(task: Task) -> Reading:
        text = tmp_path / "a.txt"
        diary = tmp_path / "diary" / task.style
        return Reading(task.id, 0.5, text, text, diary, tmp_path / "held" / "style")

    worker = FileWorkerSpec(tmp_path / "a.txt", tmp_path / "log")
    run = Run(tmp_path, [first, *rest], WORKERS, worker, payload_of, files_of=files_of)
    run.go()
    made = [json.loads(product) for product in run.notes.kept.values()]
    assert {found["read"][2] for found in made} == {"made for first"}
    # Each node has its own copy.
    assert len({found["paths"][3] for found in made}) == 2


def test_a_file_that_cannot_be_read_fails_its_task_only(cluster: Any, tmp_path: Path) -> None:
    tasks = [Task(name, name, Stage.DRAW, (), 1) for name in ("there", "gone")]
    (tmp_path / "there").write_text("x")
    there = tmp_path / "there"
    run = Run(tmp_path, tasks, ("cpu0",), FileWorkerSpec(there, tmp_path / "log"),
              lambda task: Reading(task.id, 0, there, tmp_path / task.id, tmp_path / "d",
                                   tmp_path / "held"), files_of=files_of)
    run.go()
    entries = {entry.id: entry for entry in run.ledger.entries()}
    assert entries["there"].state is State.DONE
    assert (entries["gone"].state, entries["gone"].attempts) == (State.QUARANTINED, 1)
    assert entries["gone"].error == f"cannot read {tmp_path / 'gone'}: No such file or directory"


def test_no_place_for_anybody(cluster: Any, tmp_path: Path) -> None:
    run = Run(tmp_path, split(1, 1), ("gpu0", "gpu1"), on_gpus=True, patience=0.5)
    with pytest.raises(NoWorkersError, match="no node of the cluster had a free GPU for 0 s"):
        run.go()


def test_a_node_is_lost_in_the_middle_and_another_joins(cluster: Any, tmp_path: Path) -> None:
    late: set[str] = set()
    there: set[str] = set()
    joined = False

    def payload_of(task: Task) -> Sleep:
        # There is work until the workers on the new node are ready, however long that takes.
        return Sleep(task.id, 4 if joined and len(late) < 4 else task.cost / 150)

    run = Run(tmp_path, split(4, 25), payload_of=payload_of)
    [far] = [node for node in cluster.list_all_nodes() if node is not cluster.head_node]

    def lose() -> None:
        nonlocal joined
        if len(run.notes.by) == 20:
            there.update(name for name, node in run.nodes().items() if node == far.node_id)
            cluster.remove_node(far, allow_graceful=False)
        if len(run.notes.by) == 40:
            cluster.add_node(num_cpus=2, num_gpus=0)
            joined = True
        if joined:
            late.add(list(run.notes.by.values())[-1])

    run.notes.heard = lose
    notes = run.go()
    assert notes.kept == expected(run.tasks)
    first: dict[str, str] = {}
    for said in notes.troubles:
        if "lost, " in said[:15]:
            first.setdefault(said[:4], said)
    assert len(there) == 2
    assert set(first) == there
    # Whichever Ray notices first: the node, the silence, or a process that went down with the node.
    reasons = ("its node is lost", "it cannot be reached", "its process ended (signal 9)")
    assert all(any(reason in said for reason in reasons) for said in first.values()), first
    # What they were at was given to others, and with the new node all four work again.
    assert late == set(WORKERS)


def test_a_node_without_the_checkpoint(cluster: Any, tmp_path: Path) -> None:
    run = Run(tmp_path, split(1, 1), ("cpu0",), needed=[tmp_path / "sd"])
    with pytest.raises(InputError, match=rf"cpu0 on node .* \(.*\): {tmp_path}/sd: there is no "):
        run.go()


def test_a_node_with_another_version(cluster: Any, tmp_path: Path) -> None:
    run = Run(tmp_path, split(1, 1), ("cpu0",), versions=own_version)
    with pytest.raises(InputError, match=r"other versions installed: jstyleid-core \d+ there, \d+"):
        run.go()


def test_each_worker_has_a_card_of_its_own(cluster: Any, tmp_path: Path) -> None:
    # Ray takes our word for it that there are cards.
    node = cluster.add_node(num_cpus=1, num_gpus=2)
    run = Run(tmp_path, split(2, 6), ("gpu0", "gpu1"), on_gpus=True)
    cards: dict[str, str] = {}

    def look() -> None:
        if len(run.notes.by) == 10:
            for worker in run.workers:
                cards[worker] = ray.get(run.executor._actors[worker].handle.__ray_call__.remote(
                    lambda actor: os.environ["CUDA_VISIBLE_DEVICES"]))

    run.notes.heard = look
    assert run.go().kept == expected(run.tasks)
    assert sorted(cards.values()) == ["0", "1"]
    cluster.remove_node(node, allow_graceful=False)


def test_nothing_is_left_behind(cluster: Any) -> None:
    import tempfile

    _wait(lambda: not list(Path(tempfile.gettempdir()).glob("jstyleid-node-*")))


def _lives(pid: int) -> bool:
    status = Path(f"/proc/{pid}/status")
    try:
        return "State:\tZ" not in status.read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def _wait(until: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < deadline
        time.sleep(0.1)


