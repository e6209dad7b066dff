"""Somebody sets the machine's clock, by hours and back, while a run is at work."""

import os
import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from jstyleid_runner.cli import app
from jstyleid_runner.executors.local import LocalExecutor
from jstyleid_runner.executors.process import cpu_slots
from jstyleid_runner.reports.figures import attempt_of, by_worker, utilisation
from jstyleid_runner.reports.progress import LineDisplay
from jstyleid_runner.reports.status import RunStatus, run_status
from jstyleid_runner.reports.summary import run_summary
from jstyleid_runner.scheduling.ledger import Ledger, Output, read_entries, read_time
from jstyleid_runner.scheduling.scheduler import Scheduler
from jstyleid_runner.scheduling.state import SchedulerState
from jstyleid_runner.scheduling.task import Stage, State, Task
from jstyleid_runner.storage.layout import OutFolder
from jstyleid_runner.storage.lock import folder_lock
from jstyleid_runner.workflows.execution import RunRequest
from jstyleid_runner.workflows.run import run_split, write_pages
from jstyleid_runner.workflows.session import RunCounts
from sleeping_worker import Sleep, SleepingWorker

HOUR = 3600.0


@pytest.fixture
def wall(monkeypatch: pytest.MonkeyPatch) -> Callable[[], float]:
    """The clock on the wall, which from now on shows another time whenever it is looked at."""
    rng, true = random.Random(0), time.time

    def jumping() -> float:
        return true() + rng.uniform(-9, 9) * HOUR

    monkeypatch.setattr(time, "time", jumping)
    return jumping


class Watching:
    """A store and a monitor that look at the run as `jstyleid status` does, all the time."""

    def __init__(self, folder: OutFolder) -> None:
        self._folder = folder
        self.seen: list[tuple[RunStatus, float]] = []
        self.troubles: list[str] = []

    def keep(self, task: Task, product: bytes) -> Output:
        return Output(task.id, product.hex(), len(product), 0)

    def began(self, worker: str, tasks: Sequence[Task]) -> None:
        now = read_time(self._folder.ledger)
        self.seen.append((run_status(self._folder, now), now))

    def doing(self, worker: str, detail: str, share: float) -> None:
        pass

    def finished(self, worker: str, task: Task, output: Output | None) -> None:
        pass

    def trouble(self, text: str) -> None:
        self.troubles.append(text)


def test_several_hundred_jobs_while_the_clock_jumps(tmp_path: Path, wall: Any) -> None:
    folder = OutFolder(tmp_path)
    folder.prepare()
    tasks = [Task(f"content/{n % 3:02}/{n}", f"{n % 3:02}", Stage.DRAW, (), 10) for n in range(300)]
    slots, watching = cpu_slots(2), Watching(folder)
    names = [slot.name for slot in slots]
    executor = LocalExecutor(
        slots, SleepingWorker, lambda task: Sleep(task.id, 0.002), silence=60.0)
    start = time.monotonic()
    with folder_lock(folder), Ledger(folder.ledger) as ledger:
        ledger.plan(tasks)
        Scheduler(SchedulerState(tasks, {}), ledger, executor, watching, watching, names).run()
    took = time.monotonic() - start
    # Nobody was taken for hung, and nobody was held.
    assert watching.troubles == []
    entries = read_entries(folder.ledger)
    assert {entry.state for entry in entries} == {State.DONE}
    began = [entry.started for entry in entries if entry.started is not None]
    assert len(began) == 300
    assert max(began) - min(began) <= took
    assert all(entry.seconds is not None and 0 <= entry.seconds < took for entry in entries)
    for status, now in watching.seen:
        assert status.seconds_left is None or 0 <= status.seconds_left < HOUR
        assert all(0 <= now - (worker.since or 0) < took for worker in status.workers)
    spans = by_worker(one for entry in entries if (one := attempt_of(entry, wall())) is not None)
    used = utilisation({name: [one.span for one in done] for name, done in spans.items()})
    assert used.span is not None
    assert used.span.seconds <= took
    assert all(0 < load.share <= 1 for load in used.loads)
    summary = run_summary(entries, {task.id for task in tasks}, took)
    assert [stage.done for stage in summary.stages] == [300]
    assert all(0 < summary.share(worker) <= 1 for worker in summary.workers)


def test_status_goes_by_the_clock_of_the_run(tmp_path: Path, wall: Any) -> None:
    folder = OutFolder(tmp_path)
    folder.prepare()
    with folder_lock(folder), Ledger(folder.ledger) as ledger:
        ledger.plan([Task("a", "00", Stage.DRAW, (), 10), Task("b", "00", Stage.DRAW, (), 10)])
        ledger.began("a", "gpu0")
        ledger.finished("a", None, 500.0)
        ledger.began("b", "gpu0")
        for _ in range(5):
            shown = CliRunner().invoke(app, ["status", str(tmp_path)], catch_exceptions=False)
            [worker] = [line.split() for line in shown.stdout.splitlines() if "gpu0" in line]
            assert worker[2].startswith("0:0")
            assert "about 8:" in shown.stdout


def test_a_ledger_of_another_machine_is_read_by_this_ones_clock(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        ledger.remember("clock", {"machine": "another", "offset": 5.0})
    assert read_time(ledger.path) == pytest.approx(time.time(), abs=60)
    with Ledger(tmp_path / "old.sqlite") as ledger:
        pass
    assert read_time(ledger.path) == pytest.approx(time.time(), abs=60)


def test_pages_are_written_after_every_run_that_did_something(
    make_request: Callable[..., RunRequest], fake_model: Callable[..., Any], display: LineDisplay
) -> None:
    def written() -> int:
        request, counts = make_request(styles=["00"]), RunCounts()
        run_split(request, fake_model(), display, counts)
        write_pages(request.plan, request.settings, request.folder, display, counts)
        return request.folder.gallery.stat().st_mtime_ns

    folder = make_request().folder
    first = written()
    assert written() == first
    # The clock was hours ahead, and was set right.
    ahead = first + int(HOUR * 1e9)
    os.utime(folder.gallery, ns=(ahead, ahead))
    folder.picture("00", "Ring").unlink()
    assert written() < ahead
