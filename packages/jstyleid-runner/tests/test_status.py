"""`jstyleid status` looks at a run, at work or not; `jstyleid retry` lets failed jobs be tried."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from typer.testing import CliRunner

from jstyleid_runner.cli import app
from jstyleid_runner.reports.status import run_status
from jstyleid_runner.scheduling.ledger import Ledger, read_entries
from jstyleid_runner.scheduling.task import Stage, State, Task
from jstyleid_runner.storage.layout import OutFolder
from jstyleid_runner.storage.lock import folder_lock, lock_holder

Invoke = Callable[..., tuple[int, str]]
NOW = 1_000_000.0


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> OutFolder:
    """The folder `out`, the folder of the tests being the working directory."""
    monkeypatch.chdir(tmp_path)
    found = OutFolder(Path("out"))
    found.prepare()
    return found


@pytest.fixture
def ledger(folder: OutFolder) -> Iterator[Ledger]:
    """One LoRA trained, one content drawn at 2 s an evaluation, two at work, one failed."""
    with Ledger(folder.ledger, clock=lambda: NOW) as found:
        found.plan([
            Task("lora/00", "00", Stage.TRAIN, (), 100),
            *(Task(f"content/00/{name}", "00", Stage.DRAW, ("lora/00",), 10) for name in "abcd"),
            Task("content/04/[b]", "04", Stage.DRAW, (), 10),
        ])
        found.began("lora/00", "gpu0")
        found.finished("lora/00", None, 100.0)
        found.began("content/00/a", "gpu0")
        found.finished("content/00/a", None, 20.0)
        for name in "bc":
            found.began(f"content/00/{name}", "gpu0")
        found.began("content/00/d", "gpu10")
        for _ in range(3):
            found.began("content/04/[b]", "gpu2")
        found.failed("content/04/[b]", "RuntimeError: [red]no[/red]", State.QUARANTINED, 1.0)
        yield found


def told(*words: str) -> str:
    result = CliRunner().invoke(app, list(words), env={"COLUMNS": "100"}, catch_exceptions=False)
    assert result.exit_code == 0, result.stderr
    return result.stdout


def test_a_run_at_work(folder: OutFolder, ledger: Ledger) -> None:
    with folder_lock(folder):
        found = run_status(folder, NOW + 5).facts()
    assert found["process"] == str(os.getpid())
    assert found["stages"] == (
        {"stage": "train", "done": 1, "running": 0, "waiting": 0, "set_aside": 0, "rate": 1.0},
        {"stage": "draw", "done": 1, "running": 3, "waiting": 0, "set_aside": 1, "rate": 2.0},
    )
    assert found["workers"] == (
        {"worker": "gpu0", "jobs": ("content/00/b", "content/00/c"), "since": NOW},
        {"worker": "gpu10", "jobs": ("content/00/d",), "since": NOW},
    )
    assert found["troubles"] == ({
        "job": "content/04/[b]", "attempts": 3, "set_aside": True,
        "error": "RuntimeError: [red]no[/red]"},)
    # Three contents of 20 s, 5 s of each done, by two workers.
    assert found["seconds_left"] == 3 * 15 / 2


def test_a_run_that_was_stopped(folder: OutFolder, ledger: Ledger) -> None:
    found = json.loads(told("status", "out", "--json"))
    assert (found["process"], found["workers"], found["seconds_left"]) == (None, [], 60)
    assert [stage["running"] for stage in found["stages"]] == [0, 0]
    lines = [" ".join(line.split()) for line in told("status", "out").splitlines()]
    assert lines == [
        "stage done running waiting set aside s/evaluation",
        "train 1 0 0 0 1",
        "draw 1 0 3 1 2",
        "in all 2 0 3 1",
        "content/04/[b]: set aside, attempt 3: RuntimeError: [red]no[/red]",
        "no run is at work; the same `jstyleid run` goes on",
        "`jstyleid retry out` lets what was set aside be tried again",
        "about 1:00 left on 1 worker",
    ]


def test_a_terminal_of_twenty_columns(folder: OutFolder, ledger: Ledger) -> None:
    result = CliRunner().invoke(app, ["status", "out"], env={"COLUMNS": "20"})
    assert result.exit_code == 0
    assert result.stdout.startswith("train\n  done: 1\n  running: 0\n  waiting: 0\n"
                                    "  set aside: 0\n  s/evaluation: 1\ndraw\n")
    assert "…" not in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 20


def test_a_run_that_is_finished(folder: OutFolder) -> None:
    with Ledger(folder.ledger) as ledger:
        ledger.plan([Task("a", "00", Stage.DRAW, (), 1)])
        ledger.began("a", "gpu0")
        ledger.finished("a", None, 1.0)
    assert told("status", "out").splitlines()[-1] == "no run is at work"


def test_a_ledger_without_a_measured_job(folder: OutFolder) -> None:
    with Ledger(folder.ledger) as ledger:
        ledger.plan([Task("a", "00", Stage.DRAW, (), 1)])
    found = run_status(folder, NOW)
    assert (found.seconds_left, found.stages[0].rate) == (None, None)
    assert "left" not in told("status", "out")


def test_watching_until_the_run_ends(
    folder: OutFolder, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = folder_lock(folder)
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 2:
            lock.__exit__(None, None, None)

    monkeypatch.setattr("jstyleid_runner.commands.status.time", Mock(sleep=sleep))
    lock.__enter__()
    text = told("status", "out", "--watch")
    assert slept == [1.0, 1.0]
    assert "no run is at work" in text


def test_watching_until_ctrl_c(
    folder: OutFolder, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("jstyleid_runner.commands.status.time", Mock(sleep=stop))
    with folder_lock(folder):
        text = told("status", "out", "--watch")
    assert f"a run is at work, process {os.getpid()}" in text
    assert "content/00/b and 1 more" in text


def test_asking_for_the_lock_leaves_it(folder: OutFolder) -> None:
    assert lock_holder(folder.lock) is None
    assert not folder.lock.exists()
    with folder_lock(folder):
        assert lock_holder(folder.lock) == str(os.getpid())
    assert lock_holder(folder.lock) is None
    with folder_lock(folder):
        pass


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("status out", "out/.jstyleid/ledger.sqlite: no ledger there. Give the folder of a run,"),
        ("status text", "text/.jstyleid/ledger.sqlite: no ledger there."),
        ("status out --watch", "out/.jstyleid/ledger.sqlite: no ledger there."),
        ("status out --watch --json", "--json, --watch: exclude each other. Give one of them."),
        ("retry out", "out/.jstyleid/ledger.sqlite: no ledger there."),
        ("status", "Missing argument 'OUT'"),
    ],
)
def test_no_run_there(tmp_path: Path, invoke: Invoke, words: str, message: str) -> None:
    (tmp_path / "text").write_text("no folder")
    code, stderr = invoke(*words.split())
    assert code == 2
    assert message in stderr


def test_retry(folder: OutFolder, ledger: Ledger) -> None:
    assert told("retry", "out") == (
        "content/04/[b]: RuntimeError: [red]no[/red]\n"
        "to be tried again: 1; give the same `jstyleid run` command for out\n")
    last = read_entries(folder.ledger)[-1]
    assert (last.state, last.attempts) == (State.WAITING, 0)
    assert told("retry", "out") == "no job was set aside\n"


def test_no_retry_while_a_run_is_at_work(
    folder: OutFolder, ledger: Ledger, invoke: Invoke
) -> None:
    with folder_lock(folder):
        code, stderr = invoke("retry", "out")
    assert code == 2
    assert f"another run, process {os.getpid()}, is at work there" in stderr
    assert ledger.states()["content/04/[b]"] is State.QUARANTINED


def test_a_job_to_be_tried_again_is_listed(folder: OutFolder, ledger: Ledger) -> None:
    ledger.failed("content/00/b", "once", State.WAITING, 1.0)
    found: Any = run_status(folder, NOW).troubles
    assert [(one.job, one.set_aside) for one in found] == [
        ("content/00/b", False), ("content/04/[b]", True)]
    for number in range(25):
        ledger.plan([Task(f"more/{number}", "00", Stage.DRAW, (), 1)])
        ledger.failed(f"more/{number}", "again", State.WAITING, 1.0)
    assert "and 7 more errors; --json lists all" in told("status", "out")
