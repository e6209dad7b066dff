"""The loop between ledger, policy and workers: on virtual time, and with processes that die."""

import errno
import itertools
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from safetensors import SafetensorError

from jstyleid_core.errors import InputError, NumbersError, OutputError
from jstyleid_runner.executors.local import LocalExecutor
from jstyleid_runner.executors.process import cpu_slots
from jstyleid_runner.options.common import WorkerOptions
from jstyleid_runner.scheduling.estimates import CostModel, SimulatedExecutor, measured
from jstyleid_runner.scheduling.executor import (
    ErrorKind,
    Event,
    Failed,
    Finished,
    Lost,
    Ready,
    TaskProgress,
    classify_error,
    parse_event,
)
from jstyleid_runner.scheduling.ledger import Ledger, Output
from jstyleid_runner.scheduling.scheduler import ATTEMPTS, NoWorkersError, Scheduler
from jstyleid_runner.scheduling.state import SchedulerState
from jstyleid_runner.scheduling.task import Stage, State, Task
from jstyleid_runner.workflows.workers import choose_slots, usual_batch
from nvidia_smi import card, install, part
from sleeping_worker import Sleep, SleepingWorker

EVEN = CostModel(dict.fromkeys(Stage, 1.0))


def split(styles: int, prompts: int, train: int = 1500) -> list[Task]:
    """The tasks of a split: 25 steps of drawing with guidance, 20 steps of StyleID."""
    found = []
    for number in range(styles):
        name = f"{number:02}"
        found.append(Task(f"lora/{name}", name, Stage.TRAIN, (), train))
        found.append(Task(f"style/{name}", name, Stage.INVERT, (), 20))
        images = [Task(f"content/{name}/{n}", name, Stage.DRAW, (f"lora/{name}",), 50, n // 4)
                 for n in range(prompts)]
        found += images
        found += [Task(f"picture/{name}/{n}", name, Stage.STYLISE, (draw.id, f"style/{name}"), 40,
                       draw.group) for n, draw in enumerate(images)]
    return found


class Notes:
    """A store and a monitor that write down what they are told."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}
        self.payload: list[str] = []
        self.troubles: list[str] = []
        self.together: list[int] = []

    def keep(self, task: Task, product: bytes) -> Output:
        assert task.id not in self.kept
        self.kept[task.id] = product
        return Output(task.id, product.hex(), len(product), 0)

    def began(self, worker: str, tasks: Sequence[Task]) -> None:
        self.together.append(len(tasks))

    def doing(self, worker: str, detail: str, share: float) -> None:
        pass

    def finished(self, worker: str, task: Task, output: Output | None) -> None:
        self.payload.append(task.id)

    def trouble(self, text: str) -> None:
        self.troubles.append(text)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger.sqlite")


def simulate(ledger: Ledger, tasks: list[Task], workers: int, costs: CostModel = EVEN
             ) -> tuple[SimulatedExecutor, Notes]:
    ledger.plan(tasks)
    names = [f"gpu{n}" for n in range(workers)]
    executor, notes = SimulatedExecutor(names, costs), Notes()
    Scheduler(SchedulerState(tasks, ledger.states()), ledger, executor, notes, notes, names).run()
    return executor, notes


@pytest.mark.parametrize("workers", [1, 4])
def test_cards_are_busy_though_starting_and_changing_take_time(
    ledger: Ledger, workers: int
) -> None:
    executor, notes = simulate(ledger, split(28, 25), workers,
                           CostModel(dict.fromkeys(Stage, 0.1), start=20.0, change=3.0))
    assert sum(executor.busy.values()) / (workers * executor.now) > 0.95
    assert len(notes.payload) == 28 * 52
    assert {entry.state for entry in ledger.entries()} == {State.DONE}


def test_with_more_cards_than_styles_nothing_could_be_quicker(ledger: Ledger) -> None:
    tasks = split(28, 25)
    executor, _ = simulate(ledger, tasks, 64)
    # Until the LoRAs are there, 28 cards train and the others have the styles to invert only.
    after_training = sum(task.cost for task in tasks if task.stage in (Stage.DRAW, Stage.STYLISE))
    assert executor.now < 1.01 * (1500 + after_training / 64)


def test_nothing_is_begun_before_what_it_needs(ledger: Ledger) -> None:
    _, notes = simulate(ledger, split(3, 5), 4)
    place = {id: number for number, id in enumerate(notes.payload)}
    for task in split(3, 5):
        assert all(place[need] < place[task.id] for need in task.needs)


def test_the_rates_of_a_ledger(ledger: Ledger) -> None:
    assert measured(ledger.entries()) is None
    costs = CostModel({Stage.SHARED: 9.9, Stage.TRAIN: 0.5, Stage.INVERT: 0.1, Stage.DRAW: 0.2,
                       Stage.STYLISE: 0.3})
    simulate(ledger, split(2, 2), 1, costs)
    found = measured(ledger.entries())
    assert found is not None
    # There were no class images: they are taken to be as fast as all else.
    mean = (3000 * 0.5 + 40 * 0.1 + 200 * 0.2 + 160 * 0.3) / 3400
    assert found.evaluation == pytest.approx({**costs.evaluation, Stage.SHARED: mean})


class Scripted(SimulatedExecutor):
    """Workers of which some assignments go wrong."""

    def __init__(self, workers: Sequence[str], wrong: Callable[[int, str, list[str]], Event | None]
                 ) -> None:
        super().__init__(workers, EVEN)
        self._wrong, self._count = wrong, itertools.count()

    def assign(self, worker: str, tasks: Sequence[Task]) -> None:
        event = self._wrong(next(self._count), worker, [task.id for task in tasks])
        if event is None:
            super().assign(worker, tasks)
        else:
            self._push(self.now + 1, event)


def run_scripted(
    ledger: Ledger, tasks: list[Task], wrong: Callable[[int, str, list[str]], Event | None],
    workers: int = 2, batch: int = 1,
) -> Notes:
    ledger.plan(tasks)
    names, notes = [f"gpu{n}" for n in range(workers)], Notes()
    scheduler_state = SchedulerState(tasks, ledger.states())
    Scheduler(scheduler_state, ledger, Scripted(names, wrong), notes, notes, names, batch).run()
    return notes


def test_a_task_that_keeps_failing_is_set_aside_and_the_rest_goes_on(ledger: Ledger) -> None:
    def wrong(count: int, worker: str, ids: list[str]) -> Event | None:
        bad = ids == ["content/00/1"]
        return Failed(worker, tuple(ids), "broken", ErrorKind.OTHER, 1.0) if bad else None

    notes = run_scripted(ledger, split(2, 3), wrong)
    entries = {entry.id: entry for entry in ledger.entries()}
    assert entries["content/00/1"].state is State.QUARANTINED
    assert entries["content/00/1"].attempts == ATTEMPTS
    assert entries["content/00/1"].error == "broken"
    assert entries["picture/00/1"].state is State.WAITING
    assert len(notes.payload) == 16 - 2
    assert len(notes.troubles) == ATTEMPTS
    assert ledger.retry() == ["content/00/1"]
    assert len(run_scripted(ledger, split(2, 3), lambda *what: None).payload) == 2


def test_what_cannot_succeed_is_not_tried_again(ledger: Ledger) -> None:
    def wrong(count: int, worker: str, ids: list[str]) -> Event | None:
        bad = ids == ["lora/00"]
        return Failed(worker, tuple(ids), "no picture", ErrorKind.INPUT, 1.0) if bad else None

    run_scripted(ledger, split(2, 3), wrong)
    entries = {entry.id: entry for entry in ledger.entries()}
    assert (entries["lora/00"].state, entries["lora/00"].attempts) == (State.QUARANTINED, 1)
    assert entries["picture/01/2"].state is State.DONE


def test_a_full_disk_in_a_worker_ends_the_run_and_sets_nothing_aside(ledger: Ledger) -> None:
    def wrong(count: int, worker: str, ids: list[str]) -> Event | None:
        return Failed(worker, tuple(ids), "cannot write x: No space left on device",
                      ErrorKind.OUTPUT, 1.0) if count >= 2 else None

    for _ in range(ATTEMPTS + 1):  # however often it is tried before there is room
        with pytest.raises(OutputError, match="cannot write x"):
            run_scripted(ledger, split(2, 3), wrong)
    assert State.QUARANTINED not in {entry.state for entry in ledger.entries()}
    run_scripted(ledger, split(2, 3), lambda *what: None)
    assert {entry.state for entry in ledger.entries()} == {State.DONE}


def test_out_of_memory_halves_the_batch_and_costs_no_attempt(ledger: Ledger) -> None:
    def wrong(count: int, worker: str, ids: list[str]) -> Event | None:
        return Failed(worker, tuple(ids), "out of memory", ErrorKind.MEMORY, 1.0) \
            if len(ids) > 2 else None

    notes = run_scripted(ledger, split(1, 8), wrong, workers=1, batch=4)
    assert notes.troubles == ["gpu0: out of memory, now 2 at a time"]
    assert max(notes.together[2:]) == 4
    assert notes.together.count(4) == 1
    assert {entry.attempts for entry in ledger.entries()} == {1}
    assert len(notes.payload) == 18


def test_lost_workers_are_replaced_and_their_work_returned(ledger: Ledger) -> None:
    notes = run_scripted(ledger, split(2, 4),
                         lambda count, worker, ids: Lost(worker, "hung") if count % 7 == 3
                         else None)
    assert {entry.state for entry in ledger.entries()} == {State.DONE}
    assert sorted(notes.payload) == sorted(task.id for task in split(2, 4))


def test_when_no_worker_can_be_started_it_ends(ledger: Ledger) -> None:
    class Dead(SimulatedExecutor):
        def replace(self, worker: str) -> None:
            self._push(self.now, Lost(worker, "no driver"))

    ledger.plan(split(1, 1))
    with pytest.raises(NoWorkersError, match="no worker could be started; the last one: no driver"):
        Scheduler(
            SchedulerState(split(1, 1), {}), ledger, Dead(["gpu0", "gpu1"], EVEN), Notes(), Notes(),
                  ["gpu0", "gpu1"]).run()


def test_which_errors_mean_what() -> None:
    assert classify_error(InputError("no picture")) is ErrorKind.INPUT
    assert classify_error(NumbersError("not finite")) is ErrorKind.INPUT
    assert classify_error(MemoryError()) is ErrorKind.MEMORY
    assert classify_error(RuntimeError("CUDA error: cudaErrorMemoryAllocation out of memory")) \
        is ErrorKind.MEMORY
    assert classify_error(RuntimeError("else")) is ErrorKind.OTHER
    for full in (
        OutputError("cannot write 00.safetensors: Permission denied"),
        OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
        OSError(errno.EDQUOT, os.strerror(errno.EDQUOT)),
        SafetensorError("I/O error: No space left on device (os error 28)"),
        RuntimeError("fatal error: error writing to /tmp/ccA.s: No space left on device"),
    ):
        assert classify_error(full) is ErrorKind.OUTPUT


def test_a_worker_that_cannot_get_ready_for_want_of_room() -> None:
    with pytest.raises(OutputError, match="no room"):
        parse_event("cpu0", ("unfit", "no room", "", ErrorKind.OUTPUT))


@pytest.mark.parametrize(
    ("visible", "gpus", "places"),
    [
        (None, None, ["GPU-bb"]),  # the fastest
        (None, 3, ["GPU-bb", "GPU-aa", "MIG-dd"]),
        (None, 4, ["GPU-bb", "GPU-aa", "MIG-dd", "MIG-ee"]),
        ("0, 1", 2, ["GPU-aa", "GPU-bb"]),
        ("2,0", 3, ["MIG-dd", "MIG-ee", "GPU-aa"]),
        ("MIG-ee,MIG-dd", 2, ["MIG-ee", "MIG-dd"]),
        ("GPU-b", None, ["GPU-bb"]),
    ],
)
def test_each_worker_gets_a_card_that_the_user_lets_it_see(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, visible: str | None, gpus: int | None,
    places: list[str],
) -> None:
    install({"cards": [card(0, "GPU-aa", "X"), card(1, "GPU-bb", "Y", "8.9"),
                       card(2, "GPU-cc", "Z", "8.0", parts=[
                           part("MIG-dd", "3g.20gb", (1, 0), "20096 MiB"),
                           part("MIG-ee", "2g.10gb", (5, 0), "9856 MiB")])]},
            tmp_path, monkeypatch)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    slots = choose_slots("auto", gpus, None)
    assert [slot.name for slot in slots] == [f"gpu{number}" for number in range(len(places))]
    assert [slot.gpu for slot in slots] == places
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "of the command")
    slots[-1].use_device()
    assert os.environ["CUDA_VISIBLE_DEVICES"] == places[-1]


def test_slots_on_the_cpu() -> None:
    [alone] = cpu_slots(1)
    assert (alone.gpu, alone.threads) == (None, None)
    assert [slot.threads for slot in cpu_slots(1000)] == [1] * 1000


def test_processes_killed_at_random(ledger: Ledger) -> None:
    tasks = split(6, 20, train=200)
    ledger.plan(tasks)
    slots, notes = cpu_slots(4), Notes()
    names = [slot.name for slot in slots]
    executor = LocalExecutor(slots, SleepingWorker, lambda task: Sleep(task.id, task.cost / 4000))
    over, killed = threading.Event(), []

    def kill() -> None:
        rng = random.Random(0)
        while not over.wait(rng.uniform(0.1, 0.3)):
            processes = [p.process for p in list(executor._processes.values()) if p.ready]
            if processes and (pid := rng.choice(processes).pid):
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)

    killer = threading.Thread(target=kill)
    killer.start()
    # A task may be unlucky three times; what is set aside then is taken up again, as `retry` does.
    while ledger.retry() or len(notes.kept) < len(tasks):
        Scheduler(
            SchedulerState(tasks, ledger.states()), ledger, executor, notes, notes, names).run()
    over.set()
    killer.join()
    undisturbed = SleepingWorker()
    assert len(killed) >= 3
    assert notes.kept == {
        task.id: next(undisturbed.perform([Sleep(task.id, 0)], TaskProgress(print)))
        for task in tasks}


def test_a_process_that_gives_no_sign_of_life(ledger: Ledger) -> None:
    tasks = split(1, 3, train=100)
    ledger.plan(tasks)
    slots, notes = cpu_slots(1), Notes()
    executor = LocalExecutor(slots, SleepingWorker, lambda task: Sleep(task.id, 0.01), silence=4.0)

    def freeze() -> None:
        while not (processes := [p.process for p in list(executor._processes.values()) if p.ready]):
            time.sleep(0.01)
        if pid := processes[0].pid:
            os.kill(pid, signal.SIGSTOP)

    thread = threading.Thread(target=freeze)
    thread.start()
    Scheduler(SchedulerState(tasks, {}), ledger, executor, notes, notes, [slots[0].name]).run()
    thread.join()
    assert len(notes.kept) == len(tasks)
    assert any("no sign of life for 4 s (signal 9)" in said for said in notes.troubles)


def test_a_device_that_computes_no_more(ledger: Ledger, tmp_path: Path) -> None:
    tasks = split(2, 4)
    ledger.plan(tasks)
    slots, notes, breaking = cpu_slots(1), Notes(), tmp_path / "breaking"
    breaking.touch()
    worker = partial(SleepingWorker, breaking=breaking)
    executor = LocalExecutor(slots, worker, lambda task: Sleep(task.id, 0))
    Scheduler(SchedulerState(tasks, {}), ledger, executor, notes, notes, [slots[0].name]).run()
    # Only what it was at has failed, and once: a new process has done it.
    assert len(notes.kept) == len(tasks)
    assert sorted(entry.attempts for entry in ledger.entries()) == [1] * (len(tasks) - 1) + [2]
    said = "lost, its device computes no more: RuntimeError: CUDA error 719"
    assert [said in trouble for trouble in notes.troubles] == [True, False]


def test_workers_that_cannot_get_ready(ledger: Ledger) -> None:
    tasks = split(1, 1)
    ledger.plan(tasks)
    slots, notes = cpu_slots(1), Notes()
    unfit = partial(SleepingWorker, "not a number")  # which raises when it gets ready
    executor = LocalExecutor(slots, unfit, lambda task: None)
    with pytest.raises(NoWorkersError, match="the last one: TypeError: .*exit code|signal"):
        Scheduler(SchedulerState(tasks, {}), ledger, executor, notes, notes, [slots[0].name]).run()
    assert len(notes.troubles) == 3
    assert {entry.attempts for entry in ledger.entries()} == {0}


def test_a_finished_run_starts_nobody(ledger: Ledger) -> None:
    tasks = split(1, 1)
    states = {task.id: State.DONE for task in tasks}
    executor = LocalExecutor([], SleepingWorker, lambda task: None)
    Scheduler(SchedulerState(tasks, states), ledger, executor, Notes(), Notes(), []).run()


def test_events_are_plain_data() -> None:
    assert Ready("gpu0") == Ready("gpu0")
    assert Finished("gpu0", "a", None, 1.0) != Finished("gpu0", "b", None, 1.0)


@pytest.mark.parametrize(("options", "cards", "width", "batch"), [
    ({}, 0, 512, 1), ({}, 0, 256, 4), ({}, 2, 768, 4), ({"device": "cpu"}, 2, 512, 1),
    ({"gpus": 0}, 2, 512, 1), ({"device": "cpu"}, 2, 128, 4),
    ({"engine": "ray"}, 0, 512, 4), ({"engine": "ray", "device": "cpu"}, 0, 512, 1),
])
def test_how_many_pictures_are_computed_together_by_themselves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], cards: int,
    width: int, batch: int,
) -> None:
    install({"cards": [card(number, f"GPU-{number}", "X") for number in range(cards)]},
            tmp_path, monkeypatch)
    assert usual_batch(WorkerOptions(**options), (width, 512)) == batch
