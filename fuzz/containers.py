"""Changes inside PNG files, zip archives and SQLite files, with their checksums made right."""

from __future__ import annotations

import io
import sqlite3
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from pathlib import Path
from random import Random
from typing import Any

from fuzz.mutations import of_bytes
from fuzz.reader import Mutate

_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def of_pictures(random: Random, seed: bytes, seeds: Sequence[bytes]) -> bytes:
    """Bytes of a picture; of a PNG also the content of its chunks."""
    if not seed.startswith(_SIGNATURE) or random.random() < 0.3:
        return of_bytes(random, seed, seeds)
    chunks = _chunks(seed)
    for _ in range(random.choice((1, 1, 2, 4))):
        number = random.randrange(len(chunks))
        name, content = chunks[number]
        kind = random.randrange(5)
        if kind == 0:
            chunks.insert(random.randrange(len(chunks)), chunks[number])
        elif kind == 1 and len(chunks) > 1:
            del chunks[number]
        elif kind == 2:
            other = random.choice(
                (
                    b"IHDR",
                    b"PLTE",
                    b"tRNS",
                    b"iCCP",
                    b"eXIf",
                    b"acTL",
                    b"fcTL",
                    b"fdAT",
                    b"gAMA",
                    b"cHRM",
                    b"pHYs",
                    b"tEXt",
                    b"zTXt",
                    b"iTXt",
                    b"xxxx",
                    b"IDAT",
                    b"IEND",
                )
            )
            chunks.insert(
                random.randrange(1, len(chunks) + 1),
                (other, content[: random.choice((0, 3, 26, 4000))]),
            )
        else:
            chunks[number] = (name, of_bytes(random, content, [content]))
    return _SIGNATURE + b"".join(
        struct.pack(">I", len(content))
        + name
        + content
        + struct.pack(">I", zlib.crc32(name + content))
        for name, content in chunks
    )


def _chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    found, at = [], len(_SIGNATURE)
    while at < len(data):
        [length] = struct.unpack_from(">I", data, at)
        found.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
    return found


_OPCODES = (
    b"()-.0123BCDFGIJKLMNPQRSTUVX]abcdeghijlopqrstu}"
    + bytes([0x80, 0x81, 0x82])
    + bytes(range(0x85, 0x99))
)


def of_torch(random: Random, seed: bytes, seeds: Sequence[bytes]) -> bytes:
    """A zip archive with other entries, its pickle with other opcodes; sometimes its bytes."""
    if random.random() < 0.25:
        return of_bytes(random, seed, seeds)
    with zipfile.ZipFile(io.BytesIO(seed)) as archive:
        entries = [(info.filename, archive.read(info)) for info in archive.infolist()]
    for _ in range(random.choice((1, 1, 2, 4))):
        number = 0 if random.random() < 0.6 else random.randrange(len(entries))
        name, content = entries[number]
        kind = random.randrange(6)
        if kind == 0 and len(entries) > 1:
            del entries[number]
        elif kind == 1:
            entries.append(
                (
                    random.choice((name, name + "x", "data/0", "byteorder", "../x", "data.pkl")),
                    content,
                )
            )
        elif kind <= 3 and content:
            place = random.randrange(len(content))
            piece = bytes(random.choice(_OPCODES) for _ in range(random.choice((1, 1, 2, 4))))
            entries[number] = (
                name,
                content[:place] + piece + content[place + random.randrange(2) :],
            )
        else:
            entries[number] = (name, of_bytes(random, content, [content]))
    file = io.BytesIO()
    method = zipfile.ZIP_DEFLATED if random.random() < 0.05 else zipfile.ZIP_STORED
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in entries:
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), content, method)
    return file.getvalue()


_CELLS: tuple[Any, ...] = (
    None,
    0,
    -1,
    1,
    2**31,
    2**62,
    -(2**62),
    1.5,
    1e300,
    -1e300,
    float("inf"),
    "",
    "x",
    "\0",
    "\x1b[2J",
    b"",
    b"\xff\xfe",
    "waiting",
    "running",
    "done",
    "quarantined",
    "stylise",
    "draw",
    "{}",
    "[]",
    "null",
    "NaN",
    "1e999",
    '"x"',
    "9" * 5000,
    '{"file": "../../x", "sha256": "", "size": 1, "mtime_ns": 2}',
    '{"file": 1}',
    '{"machine": "x"}',
    '{"machine": 1, "offset": "y"}',
    "[" * 3000,
    "a" * 20_000,
    "é",
    "[red]",
    "00/Ring",
)
_STATEMENTS = (
    "DROP TABLE task",
    "DROP TABLE run",
    "DELETE FROM run",
    "DELETE FROM task",
    "CREATE TABLE more (x)",
    "PRAGMA user_version = 7",
    "CREATE TRIGGER t AFTER UPDATE ON task BEGIN DELETE FROM run; END",
    "CREATE VIEW v AS SELECT * FROM task",
    "ALTER TABLE task DROP COLUMN error",
    "ALTER TABLE task ADD COLUMN more",
    "ALTER TABLE task RENAME COLUMN id TO ids",
    "INSERT INTO task SELECT id || 'x', place, style, stage, cost, state, attempts, worker, "
    "started, seconds, error, output FROM task",
    "CREATE INDEX i ON task (style)",
    "PRAGMA page_size = 512; VACUUM",
    "PRAGMA encoding = 'UTF-16'",
    "PRAGMA journal_mode = WAL",
    "DROP TABLE features",
    "ALTER TABLE features DROP COLUMN data",
)

LEDGER = {
    "task": (
        "id",
        "place",
        "style",
        "stage",
        "cost",
        "state",
        "attempts",
        "worker",
        "started",
        "seconds",
        "error",
        "output",
    ),
    "run": ("key", "value"),
}
"""The columns of a run's ledger."""


def of_sqlite(columns: dict[str, tuple[str, ...]]) -> Mutate:
    """Changes of SQLite files: other cells, tables and bytes.

    Args:
        columns: the columns of each table.
    """

    def mutate(random: Random, seed: bytes, seeds: Sequence[bytes]) -> bytes:
        if random.random() < 0.3:
            return of_bytes(random, seed, seeds)
        changes: list[Callable[[sqlite3.Connection], object]] = []
        for _ in range(random.choice((1, 1, 2, 4))):
            if random.random() < 0.2:
                statement = random.choice(_STATEMENTS)
                changes.append(lambda db, statement=statement: db.executescript(statement))  # type: ignore[misc]
                continue
            table = random.choice(list(columns))
            column, cell, row = (
                random.choice(columns[table]),
                random.choice(_CELLS),
                random.randrange(3),
            )
            key = columns[table][0]
            text = (
                f"UPDATE {table} SET {column} = ? "
                f"WHERE {key} IN (SELECT {key} FROM {table} LIMIT 1 OFFSET ?)"
            )
            changes.append(lambda db, text=text, cell=cell, row=row: db.execute(text, (cell, row)))  # type: ignore[misc]
        return _changed_database(seed, changes)

    return mutate


def _changed_database(
    seed: bytes, changes: Sequence[Callable[[sqlite3.Connection], object]]
) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "db"
        path.write_bytes(seed)
        with closing(sqlite3.connect(path, isolation_level=None)) as db:
            db.execute("PRAGMA synchronous = OFF")
            for change in changes:
                with suppress(sqlite3.Error):  # NOT NULL, or a table that is gone
                    change(db)
        return path.read_bytes()
