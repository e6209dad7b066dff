"""Runs in folders that cannot be written to, and on file systems without locks."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from jstyleid_core.errors import OutputError
from jstyleid_runner.cli import app
from jstyleid_runner.scheduling.ledger import Ledger, _problem, read_entries
from jstyleid_runner.scheduling.task import Stage, State, Task
from jstyleid_runner.storage.layout import OutFolder
from jstyleid_runner.storage.lock import folder_lock, lock_holder
from other_user import as_nobody


def told(*words: str) -> str:
    result = CliRunner().invoke(app, list(words), env={"COLUMNS": "100"})
    return f"{result.exit_code}\n{result.output}"


@pytest.fixture
def folder() -> Iterator[OutFolder]:
    """A folder of a run that all users of this machine may read."""
    top = Path(tempfile.mkdtemp(prefix="jstyleid-test-"))
    top.chmod(0o755)
    found = OutFolder(top / "out")
    found.prepare()
    yield found
    shutil.rmtree(top)


def state(folder: OutFolder) -> list[tuple[str, int, bytes]]:
    return [(str(path), path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else b"")
            for path in (folder.root, *sorted(folder.root.rglob("*")))]


def begun(ledger: Ledger) -> None:
    ledger.plan([Task("a", "00", Stage.DRAW, (), 1), Task("b", "00", Stage.DRAW, (), 1)])
    ledger.began("a", "cpu0")
    ledger.finished("a", None, 1.0)


def test_the_run_of_another_user(folder: OutFolder) -> None:
    with folder_lock(folder), Ledger(folder.ledger) as ledger:
        begun(ledger)
        at_work = told("status", str(folder.root))
        assert f"a run is at work, process {os.getpid()}" in at_work
        before = state(folder)
        assert as_nobody(lambda: told("status", str(folder.root))) == at_work
        assert state(folder) == before
    ended = told("status", str(folder.root))
    before = state(folder)
    assert as_nobody(lambda: told("status", str(folder.root))) == ended
    assert state(folder) == before


@pytest.mark.parametrize("kept", [("-wal", "-shm"), ("-wal",)])
def test_the_killed_run_of_another_user(folder: OutFolder, kept: tuple[str, ...]) -> None:
    """Its last changes are in a log beside the ledger, which a reader may not merge."""
    ledger = Ledger(folder.ledger)
    begun(ledger)
    saved = {end: Path(f"{folder.ledger}{end}").read_bytes() for end in ("", *kept)}
    ledger.close()
    for end, content in saved.items():
        Path(f"{folder.ledger}{end}").write_bytes(content)
    before = state(folder)
    said = as_nobody(lambda: repr([entry.state for entry in read_entries(folder.ledger)]))
    assert said == repr([State.DONE, State.WAITING])
    assert state(folder) == before


def test_a_ledger_that_may_not_be_read(folder: OutFolder) -> None:
    with Ledger(folder.ledger) as ledger:
        begun(ledger)
    told("status", str(folder.root))  # imports what another user may not
    folder.ledger.chmod(0o600)
    said = as_nobody(lambda: told("status", str(folder.root)))
    assert said.startswith("2\n")
    assert "ledger.sqlite: cannot be read: unable to open database file. Check the perm" in said
    folder.hidden.chmod(0o700)
    assert as_nobody(lambda: told("status", str(folder.root))).startswith("2\n")


def test_the_plan_of_another_users_run(folder: OutFolder, data: Path) -> None:
    shutil.copytree(data, folder.root.parent / "data")
    for place, _, files in os.walk(folder.root.parent):
        os.chmod(place, 0o755)
        for file in files:
            os.chmod(os.path.join(place, file), 0o644)
    words = ["plan", "--split", "S", "--data", str(folder.root.parent / "data"), "--out",
             str(folder.root), "--model", "embedded", "--method", "styleid"]
    with Ledger(folder.ledger) as ledger:
        begun(ledger)
    own = told(*words)
    assert own.startswith("0\n")
    before = state(folder)
    assert as_nobody(lambda: told(*words)) == own
    assert state(folder) == before


@pytest.fixture(params=[errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def no_locks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(*_: object) -> None:
        raise OSError(request.param, os.strerror(request.param))

    monkeypatch.setattr(fcntl, "flock", flock)


@pytest.mark.usefixtures("no_locks")
def test_a_file_system_without_locks(
    folder: OutFolder, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(OutputError) as caught, folder_lock(folder):
        pass
    assert "Its file system has no locks" in str(caught.value)
    assert "Choose --out on a local disk" in str(caught.value)
    assert lock_holder(folder.lock) is None
    assert "it is not known whether a run is at work" in caplog.text.replace("\n", " ")


def test_sqlite_without_locks(folder: OutFolder) -> None:
    with Ledger(folder.ledger) as ledger:
        begun(ledger)
        other = sqlite3.connect(folder.ledger, timeout=0, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        ledger._db.execute("PRAGMA busy_timeout = 0")
        with pytest.raises(OutputError, match="the locks that SQLite needs, .* on a local disk"):
            ledger.began("b", "cpu0")
        other.close()
    full = sqlite3.OperationalError("database or disk is full")
    assert "Free some space" in str(_problem(folder.ledger, full))
