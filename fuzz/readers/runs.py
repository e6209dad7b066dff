"""What a run keeps and reads: ledger, records, the TOML file of `--config`."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any

import typer.main
from rich.console import Console

from fuzz.containers import LEDGER, of_sqlite
from fuzz.mutations import of_json, of_toml
from fuzz.reader import FileReader, Reader
from jstyleid_core.differences import differences
from jstyleid_core.errors import InputError
from jstyleid_runner.cli import app
from jstyleid_runner.options.config_file import check_table, read_tables
from jstyleid_runner.options.sources import TABLES
from jstyleid_runner.reports.pages.timeline import write_timeline
from jstyleid_runner.reports.status import run_status, status_table
from jstyleid_runner.reports.summary import run_summary, summary_table
from jstyleid_runner.scheduling.ledger import Ledger, Output, read_entries, read_time
from jstyleid_runner.scheduling.task import Stage, State, Task
from jstyleid_runner.settings import RunSettings
from jstyleid_runner.storage.layout import OutFolder
from jstyleid_runner.storage.records import HashedFile, ModelRecord, RunRecord, TrainRecord

_TASKS = [
    Task("invert/00", "00", Stage.INVERT, (), 4),
    Task("draw/00/Ring", "00", Stage.DRAW, (), 6),
    Task("stylise/00/Ring", "00", Stage.STYLISE, ("invert/00", "draw/00/Ring"), 8),
]


def ledger(tasks: Sequence[Task] = _TASKS) -> bytes:
    """A ledger with a task that is done, one that runs and one that was set aside."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.sqlite"
        with Ledger(path) as made:
            made.plan(tasks)
            made.began(tasks[0].id, "gpu0")
            made.finished(tasks[0].id, Output("x.safetensors", "0" * 64, 3, 5), 2.0)
            made.began(tasks[1].id, "gpu1")
            made.failed(tasks[2].id, "it failed", State.QUARANTINED, 1.0)
        return path.read_bytes()


def killed_ledger() -> dict[str, bytes]:
    """A ledger whose last changes are in the log beside it, by the ends of the files' names."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.sqlite"
        with Ledger(path) as made:
            made.plan(_TASKS)
            made.began(_TASKS[0].id, "gpu0")
            return {end: Path(f"{path}{end}").read_bytes() for end in ("", "-wal")}


def _read_ledger(path: Path) -> None:
    folder = OutFolder(path.parents[1])
    now = read_time(path)
    entries = read_entries(path)
    status = run_status(folder, now)
    json.dumps(status.facts()).encode()
    console = Console(file=StringIO(), width=80)
    console.print(status_table(status, folder.root, now))
    console.print(summary_table(run_summary(entries, {entry.id for entry in entries}, 100)))
    with tempfile.TemporaryDirectory() as other:
        write_timeline(Path(other) / "timeline.html", entries, title="x")


def _retry_ledger(path: Path) -> None:
    """On a copy, since this changes it."""
    with tempfile.TemporaryDirectory() as other:
        copy = Path(other) / "ledger.sqlite"
        copy.write_bytes(path.read_bytes())
        with Ledger(copy) as ledger:
            ledger.retry()
            ledger.plan(_TASKS)
            ledger.states()
            ledger.began(_TASKS[0].id, "gpu0")
            ledger.finished(_TASKS[0].id, None, 1.0)
            assert ledger.attempts(_TASKS[0].id) >= 0
            ledger.entries()


@cache
def settings() -> RunSettings:
    """Settings as of a small run."""
    return RunSettings.create(
        split="S",
        method="styleid",
        size=(64, 64),
        content_steps=3,
        reference="first",
        styleid={"steps": 4},
    )


def run_record() -> bytes:
    """A `run.json`."""
    record = RunRecord(
        settings=settings().model_dump(mode="json"),
        model=ModelRecord(source="some/model", stamp="s", fingerprint="f" * 64),
        references={"00": HashedFile("ball.png", "0" * 64)},
        versions={"jittor": "1"},
    )
    return record.model_dump_json(indent=2).encode()


def _read_run_record(path: Path) -> None:
    record = RunRecord.read(path)
    assert record is not None
    for change in differences(
        record.settings | {"dtype": "auto"}, settings().model_dump(mode="json")
    ):
        change.encode()
    RunRecord(
        settings=record.settings, model=record.model, references=record.references, versions={}
    ).model_dump_json().encode()


def _read_train_record(path: Path) -> None:
    record = TrainRecord.read(path)
    assert record is not None
    record.model_dump_json().encode()


_TOML = """\
[run]
split = "S"
data = "data"
gamma = ["0.5", "10-11:0.4"]
steps = 4
method = "styleid"
force = true
guidance = 7.5
size = "64"
styles = "00,04"
lora = "x"

[train]
rank = 4
lr = 1e-4
prior = false

[generate]
seed = 3
lora = ["a.safetensors:0.5"]
"""


@cache
def _commands() -> Any:
    return typer.main.get_command(app)


def _read_config(path: Path) -> None:
    for name, values in read_tables(path, TABLES).items():
        check_table(f"{path} [{name}]", values, name, _commands().commands[name])


READERS: list[Reader] = [
    FileReader(
        "ledger",
        ".jstyleid/ledger.sqlite",
        lambda: [ledger()],
        _read_ledger,
        (InputError,),
        of_sqlite(LEDGER),
    ),
    FileReader(
        "ledger-written",
        ".jstyleid/ledger.sqlite",
        lambda: [ledger()],
        _retry_ledger,
        (InputError,),
        of_sqlite(LEDGER),
    ),
    FileReader(
        "run-record",
        ".jstyleid/run.json",
        lambda: [run_record()],
        _read_run_record,
        (InputError,),
        of_json,
    ),
    FileReader(
        "train-record",
        ".jstyleid/train.json",
        lambda: [run_record()],
        _read_train_record,
        (InputError,),
        of_json,
    ),
    FileReader(
        "config", "run.toml", lambda: [_TOML.encode()], _read_config, (InputError,), of_toml
    ),
]
