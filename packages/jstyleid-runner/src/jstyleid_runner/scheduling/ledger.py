"""The ledger: an SQLite file with the state, times, errors and output of every task.

One process writes it, the one that holds the folder's lock; others may read it at any time. Every
change is a transaction, so a kill at any moment leaves the state before it or after it. After a
power loss the last few changes may be missing, but never a part of one: an output whose entry is
missing carries its own settings and is found again (see `find_pending`).
"""

import json
import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from typing_extensions import Self

from jstyleid_core.errors import InputError, OutputError
from jstyleid_runner.scheduling.task import Stage, State, Task


def run_clock() -> Callable[[], float]:
    """A clock that shows the time of day now, and from then on counts the seconds that pass."""
    offset = time.time() - _since_boot()
    return lambda: offset + _since_boot()


def describe_clock(clock: Callable[[], float]) -> dict[str, Any]:
    """The clock as JSON, from which other processes of this machine tell the same time."""
    return {"machine": os.uname().nodename, "offset": clock() - _since_boot()}


def told_by(described: dict[str, Any] | None) -> float:
    """The time that a run's clock shows now.

    Args:
        described: the clock; where there is none, or it is another machine's, this machine's own
            has to do.
    """
    if described is None or described["machine"] != os.uname().nodename:
        return time.time()
    return float(described["offset"]) + _since_boot()


def _since_boot() -> float:
    """Seconds by a clock that all processes share and nobody can set; it counts sleep too."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


FORMAT = 1
_MOST = 1e11
"""Seconds since 1970 in the year 5138: beyond any time, duration or cost."""

_SCHEMA = """
CREATE TABLE run (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE task (
    id TEXT PRIMARY KEY,
    place INTEGER NOT NULL,      -- in the plan
    style TEXT NOT NULL,
    stage TEXT NOT NULL,
    cost INTEGER NOT NULL,       -- UNet evaluations
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    worker TEXT,
    started REAL,                -- seconds since 1970, by the run's clock
    seconds REAL,                -- how long the last attempt took, by a clock that never jumps
    error TEXT,
    output TEXT                  -- what it wrote: {"file", "sha256", "size", "mtime_ns"}
) WITHOUT ROWID;
"""


@dataclass(frozen=True)
class Output:
    """A file that a task has written.

    Attributes:
        file: relative to the run's folder.
        sha256: of its bytes.
        size: size in bytes.
        mtime_ns: time of the last change; with the size it shows a change without reading.
    """

    file: str
    sha256: str
    size: int
    mtime_ns: int


@dataclass(frozen=True)
class Entry:
    """The entry of a task in the ledger."""

    id: str
    style: str
    stage: str
    cost: int
    state: State
    attempts: int
    worker: str | None
    started: float | None
    seconds: float | None
    error: str | None
    output: Output | None


class Ledger:
    """The ledger of one run's folder.

    Args:
        path: path of the file, which is made if it does not exist.
        read_only: change nothing, neither the file nor its folder; the file must exist.
        clock: gives the time of day; by default a clock that never jumps.

    Raises:
        InputError: the file is no ledger of this version.
        OutputError: it cannot be written.
    """

    def __init__(
        self, path: Path, clock: Callable[[], float] | None = None, *, read_only: bool = False
    ) -> None:
        self.path, self._clock = path, clock or run_clock()
        try:
            if read_only:
                self._db = _connected_read_only(path)
            else:
                self._db = sqlite3.connect(path, isolation_level=None)
                # A kill can lose nothing; a power loss the last transactions, but no part of one.
                self._db.execute("PRAGMA journal_mode = WAL")
                self._db.execute("PRAGMA synchronous = NORMAL")
            if not self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                if read_only:  # the file of a run that ended before its first entry
                    self._db.close()
                    self._db = sqlite3.connect(":memory:", isolation_level=None)
                self._db.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {FORMAT}; COMMIT;")
            found = self._db.execute("PRAGMA user_version").fetchone()[0]
            if found != FORMAT:
                raise InputError(
                    f"{path}: a ledger of format {found}, this version reads {FORMAT}. Use the "
                    "version that made it, or remove the file: finished pictures are found again.")
            self._check()
        except OSError as error:
            raise _unreadable(path, error) from error
        except sqlite3.DatabaseError as error:
            raise (_unreadable if read_only else _problem)(path, error) from error
        except UnicodeDecodeError as error:  # of SQLite's own message about a damaged file
            raise _damaged(path, error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *what: object) -> None:
        self.close()

    def _check(self) -> None:
        """Refuse a file with anything in it that this class does not write."""
        objects = self._db.execute(
            "SELECT type, name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' ORDER BY name")
        if objects.fetchall() != [("table", "run"), ("table", "task")]:
            raise _damaged(self.path, "other tables or triggers are in it")
        try:
            self.entries()
            for key, value in self._db.execute("SELECT key, value FROM run"):
                fact = json.loads(value)
                if key == "clock" and not 0 <= told_by(fact) < _MOST:
                    raise ValueError(f"{key} is {value}")
        except sqlite3.OperationalError as error:  # a column is missing
            raise _damaged(self.path, error) from error
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise _damaged(self.path, error) from error

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def plan(self, tasks: Sequence[Task]) -> None:
        """Enter the tasks of a run; those that are there keep what became of them.

        Tasks of an earlier, larger run stay too. What was running when the ledger was last written
        is waiting again.
        """
        rows = [(task.id, place, task.style, task.stage.value, task.cost, State.WAITING.value)
                for place, task in enumerate(tasks)]
        with self._transaction():
            self._db.executemany(
                "INSERT INTO task (id, place, style, stage, cost, state) VALUES (?, ?, ?, ?, ?, ?) "
                "ON CONFLICT (id) DO UPDATE SET place = excluded.place, cost = excluded.cost", rows)
            self._db.execute("UPDATE task SET state = ?, worker = NULL WHERE state = ?",
                             (State.WAITING.value, State.RUNNING.value))
            self.remember("clock", describe_clock(self._clock))

    def states(self) -> dict[str, State]:
        """The state of every task that is not waiting."""
        rows = self._db.execute("SELECT id, state FROM task WHERE state != ?",
                                (State.WAITING.value,))
        return {id: State(state) for id, state in rows}

    def began(self, id: str, worker: str) -> None:
        """A worker has begun a task."""
        self._change(
            "UPDATE task SET state = ?, worker = ?, started = ?, attempts = attempts + 1, "
            "error = NULL WHERE id = ?", (State.RUNNING.value, worker, self._clock(), id))

    def finished(self, id: str, output: Output | None, seconds: float) -> None:
        """A task is done, and what it wrote is on the disk."""
        self._change("UPDATE task SET state = ?, seconds = ?, output = ?, error = NULL "
                     "WHERE id = ?", (State.DONE.value, seconds, _as_json(output), id))

    def found(self, outputs: Mapping[str, Output | None]) -> None:
        """Tasks that are done, or not needed, though the ledger did not say so."""
        with self._transaction():
            self._db.executemany(
                "UPDATE task SET state = ?, output = ? WHERE id = ?",
                [(State.DONE.value, _as_json(output), id) for id, output in outputs.items()])

    def lost(self, ids: Iterable[str]) -> None:
        """Tasks whose outputs are gone or damaged: they are to be done again."""
        with self._transaction():
            self._db.executemany(
                "UPDATE task SET state = ?, output = NULL WHERE id = ?",
                [(State.WAITING.value, id) for id in ids])

    def failed(self, id: str, error: str, state: State, seconds: float | None) -> None:
        """An attempt at a task has failed, and what state it is in now."""
        self._change("UPDATE task SET state = ?, error = ?, seconds = ? WHERE id = ?",
                     (state.value, error, seconds, id))

    def unattempted(self, id: str, error: str) -> None:
        """A task was given back through no fault of its own: the attempt does not count."""
        self._change("UPDATE task SET state = ?, error = ?, attempts = attempts - 1 WHERE id = ?",
                     (State.WAITING.value, error, id))

    def attempts(self, id: str) -> int:
        """Number of times that a task was begun."""
        found = self._db.execute("SELECT attempts FROM task WHERE id = ?", (id,)).fetchone()
        return int(found[0])

    def retry(self) -> list[str]:
        """Make every task that failed too often wait again; returns their ids."""
        with self._transaction():
            ids = [row[0] for row in self._db.execute(
                "SELECT id FROM task WHERE state = ? ORDER BY place", (State.QUARANTINED.value,))]
            self._db.executemany(
                "UPDATE task SET state = ?, attempts = 0 WHERE id = ?",
                [(State.WAITING.value, id) for id in ids])
        return ids

    def entries(self) -> list[Entry]:
        """Everything, in the plan's order."""
        rows = self._db.execute(
            "SELECT id, style, stage, cost, state, attempts, worker, started, seconds, error, "
            "output FROM task ORDER BY place, id")
        return [_entry(*row) for row in rows]

    def remember(self, key: str, value: Any) -> None:
        """Keep a fact about the run, as JSON."""
        self._change("INSERT OR REPLACE INTO run VALUES (?, ?)", (key, json.dumps(value)))

    def recall(self, key: str) -> Any:
        """A fact that was kept, or None."""
        row = self._db.execute("SELECT value FROM run WHERE key = ?", (key,)).fetchone()
        return json.loads(row[0]) if row else None

    def _change(self, statement: str, values: tuple[Any, ...]) -> None:
        try:
            self._db.execute(statement, values)
        except sqlite3.DatabaseError as error:
            raise _problem(self.path, error) from error

    def _transaction(self) -> "_Transaction":
        return _Transaction(self)


class _Transaction:
    """Several statements, all or none of which take effect."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def __enter__(self) -> None:
        self._ledger._change("BEGIN IMMEDIATE", ())

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 traceback: object) -> None:
        self._ledger._change("COMMIT" if kind is None else "ROLLBACK", ())
        if isinstance(error, sqlite3.DatabaseError):
            raise _problem(self._ledger.path, error) from error


def read_entries(path: Path) -> list[Entry]:
    """The entries of a ledger now, without disturbing the run that writes it.

    Raises:
        InputError: there is none.
    """
    with _reading(path) as ledger:
        return ledger.entries()


def read_time(path: Path) -> float:
    """The time of day by the clock that the last run's entries in a ledger go by.

    Raises:
        InputError: there is none.
    """
    with _reading(path) as ledger:
        return told_by(ledger.recall("clock"))


@contextmanager
def _reading(path: Path) -> Iterator[Ledger]:
    if not os.path.isfile(path):
        raise InputError(
            f"{path}: no ledger there. Give the folder of a run, as --out named it.",
            fields=["out"],
        )
    with Ledger(path, read_only=True) as ledger:
        yield ledger


def _connected_read_only(path: Path) -> sqlite3.Connection:
    place = f"file:{quote(str(path.absolute()))}?mode=ro"
    # Without a log of changes nobody is writing, and SQLite need not make the file beside the
    # ledger in which readers and writers meet.
    log, index = (path.with_name(path.name + end) for end in ("-wal", "-shm"))
    if log.exists():
        if not index.exists():  # nobody is writing here either, and SQLite would leave one behind
            return _copied(path)
        db = sqlite3.connect(place, uri=True, isolation_level=None)
        try:
            db.execute("SELECT count(*) FROM sqlite_master")
            return db
        except sqlite3.OperationalError:
            db.close()  # a killed run's, of another user
            return _copied(path)
    return sqlite3.connect(place + "&immutable=1", uri=True, isolation_level=None)


def _copied(path: Path) -> sqlite3.Connection:
    """A ledger and the log of changes beside it, as they are now, in memory."""
    with tempfile.TemporaryDirectory() as folder:
        for name in (path.name, path.name + "-wal"):
            shutil.copyfile(path.with_name(name), os.path.join(folder, name))
        memory = sqlite3.connect(":memory:", isolation_level=None)
        with closing(sqlite3.connect(os.path.join(folder, path.name))) as copy:
            copy.backup(memory)
    return memory


def _entry(*row: Any) -> Entry:
    """The entry in a row of the table `task`.

    Raises:
        ValueError: a value is not what is written there.
    """
    id, style, stage, cost, state, attempts, worker, started, seconds, error, output = row
    text, number = (str, type(None)), (int, float, type(None))
    for name, value, kinds in (
        ("id", id, str), ("style", style, str), ("cost", cost, int), ("attempts", attempts, int),
        ("worker", worker, text), ("started", started, number), ("seconds", seconds, number),
        ("error", error, text),
    ):
        if not isinstance(value, kinds) or (
            isinstance(value, int | float) and not 0 <= value < _MOST
        ):
            raise ValueError(f"task {id!r}: {name} is {value!r}")
    wrote = None if output is None else Output(**json.loads(output))
    if wrote is not None and not (
        isinstance(wrote.file, str) and isinstance(wrote.sha256, str)
        and isinstance(wrote.size, int) and isinstance(wrote.mtime_ns, int)
    ):
        raise ValueError(f"task {id!r}: output is {output!r}")
    return Entry(id, style, Stage(stage), cost, State(state), attempts, worker, started, seconds,
                 error, wrote)


def _as_json(output: Output | None) -> str | None:
    return None if output is None else json.dumps(output.__dict__)


_LOCKING = ("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_PROTOCOL", "SQLITE_IOERR_LOCK",
            "SQLITE_IOERR_RDLOCK", "SQLITE_IOERR_UNLOCK", "SQLITE_IOERR_SHM")
"""Beginnings of the names of SQLite's errors where a file system has no locks, or shares no
memory."""


def _problem(path: Path, error: sqlite3.DatabaseError) -> InputError:
    if getattr(error, "sqlite_errorname", "").startswith(_LOCKING):
        return OutputError(
            f"cannot write {path}: {error}. Its file system lacks the locks that SQLite needs, or "
            "another program has the file open. Close that, or choose --out on a local disk."
        )
    if isinstance(error, sqlite3.OperationalError):
        return OutputError(
            f"cannot write {path}: {error}. Free some space, or choose another --out that you may "
            "write to."
        )
    return _damaged(path, error)


def _unreadable(path: Path, error: Exception) -> InputError:
    if isinstance(error, sqlite3.OperationalError | OSError):
        return InputError(f"{path}: cannot be read: {error}. Check the permissions of the file and "
                          "of its folder.", fields=["out"])
    return _damaged(path, error)


def _damaged(path: Path, reason: object) -> InputError:
    return InputError(
        f"{path}: no ledger, or damaged ({reason}). Remove the file: finished pictures are found "
        "again.")
