"""The ledger keeps what became of every task, through kills and over versions."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from jstyleid_core.errors import InputError, OutputError
from jstyleid_runner.scheduling.ledger import Ledger, Output, read_entries, read_time
from jstyleid_runner.scheduling.state import SchedulerState
from jstyleid_runner.scheduling.task import Stage, State, Task

OUTPUT = Output("00/Ring.png", "ab" * 32, 1234, 5)


def outputs(ledger: Ledger) -> dict[str, Output]:
    return {entry.id: entry.output for entry in ledger.entries()
            if entry.output and entry.state is State.DONE}


def tasks(styles: int = 1, prompts: int = 3) -> list[Task]:
    return [Task(f"content/{style:02}/{n}", f"{style:02}", Stage.DRAW, (), 10)
            for style in range(styles) for n in range(prompts)]


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    found = Ledger(tmp_path / "ledger.sqlite", clock=lambda: 100.0)
    found.plan(tasks())
    return found


def test_what_happened_is_there_again(ledger: Ledger) -> None:
    ledger.began("content/00/0", "gpu0")
    ledger.finished("content/00/0", OUTPUT, 2.5)
    ledger.began("content/00/1", "gpu1")
    ledger.failed("content/00/1", "no", State.QUARANTINED, 1.0)
    ledger.began("content/00/2", "gpu0")
    ledger.remember("settings", {"gamma": 0.75})
    ledger.close()
    again = Ledger(ledger.path)
    assert again.states()["content/00/2"] is State.RUNNING
    again.plan(tasks())
    assert again.states() == {"content/00/0": State.DONE, "content/00/1": State.QUARANTINED}
    assert outputs(again) == {"content/00/0": OUTPUT}
    assert again.recall("settings") == {"gamma": 0.75}
    assert again.recall("nothing") is None
    first, second, third = again.entries()
    assert (first.attempts, first.worker, first.started, first.seconds, first.output) == (
        1, "gpu0", 100.0, 2.5, OUTPUT)
    assert (second.error, third.worker) == ("no", None)
    assert again.retry() == ["content/00/1"]
    assert again.attempts("content/00/1") == 0
    again.lost(["content/00/0"])
    assert again.states() == {}
    again.found({"content/00/2": OUTPUT})
    assert outputs(again) == {"content/00/2": OUTPUT}


def test_a_larger_and_a_smaller_plan(ledger: Ledger) -> None:
    ledger.finished("content/00/1", OUTPUT, 1.0)
    ledger.plan(tasks(styles=2))
    assert len(ledger.entries()) == 6
    ledger.plan(tasks(prompts=1))
    assert ledger.states() == {"content/00/1": State.DONE}


def test_reading_beside_the_run_that_writes(ledger: Ledger) -> None:
    ledger.began("content/00/0", "gpu0")
    assert [entry.state for entry in read_entries(ledger.path)] == [
        State.RUNNING, State.WAITING, State.WAITING]
    ledger.finished("content/00/0", None, 1.0)
    with pytest.raises(InputError, match="no ledger there. Give the folder of a run"):
        read_entries(ledger.path.with_name("none"))


def test_a_file_that_is_no_ledger(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("something else, and long enough to be looked at" * 30)
    with pytest.raises(InputError, match=r"no ledger, or damaged .* Remove the file"):
        Ledger(tmp_path / "text")
    Ledger(tmp_path / "old").close()
    with sqlite3.connect(tmp_path / "old") as db:
        db.execute("PRAGMA user_version = 9")
    with pytest.raises(InputError, match="a ledger of format 9, this version reads 1"):
        Ledger(tmp_path / "old")
    with pytest.raises(OutputError, match="cannot write"):
        Ledger(tmp_path / "no" / "folder")


_WRITER = """
import sys
from pathlib import Path
from jstyleid_runner.scheduling.ledger import Ledger
from jstyleid_runner.scheduling.task import Stage, Task
ledger = Ledger(Path(sys.argv[1]))
ledger.plan([Task(str(n), "00", Stage.DRAW, (), 1) for n in range(100000)])
for n in range(100000):
    ledger.began(str(n), "gpu0")
    ledger.finished(str(n), None, 1.0)
    print(n, flush=True)
"""


def test_killed_while_writing_nothing_finished_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    writer = subprocess.Popen([sys.executable, "-c", _WRITER, str(path)], stdout=subprocess.PIPE,
                              text=True)
    assert writer.stdout
    for line in writer.stdout:
        if int(line) == 300:
            os.kill(writer.pid, signal.SIGKILL)
            break
    said = [int(line) for line in writer.stdout.read().split("\n")[:-1]]
    writer.wait()
    finished = {int(id) for id, state in Ledger(path).states().items() if state is State.DONE}
    assert finished >= set(range(max([300, *said]) + 1))
    assert len(finished) < 100000


def seconds_to_take_up(styles: int, path: Path) -> float:
    """Processor time to open the ledger of a run that is half done, and to see what is left."""
    many = tasks(styles, 25)
    first = Ledger(path)
    first.plan(many)
    first.found({task.id: OUTPUT for task in many[: len(many) // 2]})
    first.close()
    start = time.process_time()
    again = Ledger(path)
    again.plan(many)
    scheduler_state = SchedulerState(many, again.states())
    outputs(again)
    seconds = time.process_time() - start
    assert scheduler_state.counts[State.WAITING] == len(many) // 2
    return seconds


def test_a_task_takes_no_longer_among_a_hundred_thousand(tmp_path: Path) -> None:
    """Were each compared with all, ten times as many would take a hundred times as long.

    How many seconds that is depends on the machine; `tox -e bench` prints them.
    """
    few = min(seconds_to_take_up(400, tmp_path / f"few{number}.sqlite") for number in range(3))
    many = seconds_to_take_up(4000, tmp_path / "many.sqlite")
    print(f"10,000 tasks: {few:.2f} s of processor time, 100,000: {many:.2f} s")
    assert many < 25 * few


DAMAGES = {
    "an unknown state": "UPDATE task SET state = 'lost in thought'",
    "an unknown stage": "UPDATE task SET stage = 'painting'",
    "a text as cost": "UPDATE task SET cost = 'much'",
    "a text as time": "UPDATE task SET started = 'yesterday'",
    "a blob as id": "UPDATE task SET id = x'00ff' WHERE id = 'b'",
    "an output that is no JSON": "UPDATE task SET output = '{'",
    "an output of other fields": """UPDATE task SET output = '{"file": "x"}'""",
    "an output of other types":
        """UPDATE task SET output = '{"file": 1, "sha256": "", "size": 1, "mtime_ns": 1}'""",
    "nested brackets": "UPDATE task SET output = '" + "[" * 100_000 + "'",
    "a clock without a machine": """INSERT OR REPLACE INTO run VALUES ('clock', '{"offset": 1}')""",
    "a clock that is a list": "INSERT OR REPLACE INTO run VALUES ('clock', '[1]')",
    "a time without end": "UPDATE task SET started = 9e999",
    "a time in no calendar": "UPDATE task SET started = 1e300",
    "a negative duration": "UPDATE task SET seconds = -1.5",
    "a negative cost": "UPDATE task SET cost = -5",
    "a cost beyond sense": "UPDATE task SET cost = 9223372036854775807",
    "negative attempts": "UPDATE task SET attempts = -3",
    "a text that is not UTF-8": "UPDATE task SET error = CAST(x'ff' AS TEXT)",
    "a clock without end": f"""INSERT OR REPLACE INTO run VALUES ('clock',
        '{{"machine": "{os.uname().nodename}", "offset": Infinity}}')""",
    "an index": "CREATE INDEX i ON task (style)",
    "a missing table": "DROP TABLE run",
    "a missing column": "ALTER TABLE task DROP COLUMN worker",
    "a trigger": "CREATE TRIGGER t AFTER UPDATE ON task BEGIN DELETE FROM task; END",
    "a view": "CREATE VIEW v AS SELECT * FROM task",
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
@pytest.mark.parametrize("read_only", [False, True])
def test_damage_is_named(tmp_path: Path, damage: str, read_only: bool) -> None:
    path = tmp_path / "ledger.sqlite"
    with Ledger(path) as ledger:
        ledger.plan([Task("a", "00", Stage.DRAW, (), 5), Task("b", "00", Stage.STYLISE, (), 5)])
    with closing(sqlite3.connect(path)) as db:
        db.execute(damage)
        db.commit()
    with pytest.raises(InputError, match="ledger.sqlite: no ledger, or damaged"):
        Ledger(path, read_only=read_only)


def test_reading_changes_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    with Ledger(folder / "ledger.sqlite") as ledger:
        ledger.plan([Task("a", "00", Stage.DRAW, (), 5)])

    def state() -> list[tuple[str, int, bytes]]:
        return [(path.name, path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else b"")
                for path in (folder, *sorted(folder.iterdir()))]

    before = state()
    assert [entry.id for entry in read_entries(folder / "ledger.sqlite")] == ["a"]
    assert state() == before


def test_an_empty_file_has_no_entries_and_stays_empty(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    path.touch()
    assert read_entries(path) == []
    assert read_time(path) > 0
    assert path.read_bytes() == b""
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
