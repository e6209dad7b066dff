"""Commands on folders that are nearly right, in this process.

Each command ends with 0, 1, 2 or 130 and at most one message, changes nothing beside its own
folder, and leaves nothing half-written. One that only looks changes nothing at all.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from typer.testing import CliRunner

from fuzz.reader import FileReader
from fuzz.trees import change, listing

CODES = (0, 1, 2, 130)
LONGEST = 20_000
"""Characters of a message: of a folder with many faults it has many lines."""
_LINE = 3000
"""Characters of a line: two paths of the longest kind, and a sentence."""
_LEFTOVER = re.compile(r"\.[^/]*\.[a-z0-9_]{8}\.part(\.[^./]+)?$")
_OF_SQLITE = re.compile(r"\.sqlite-(wal|shm|journal)$")
"""What SQLite keeps beside a database that is written to, and removes when it is closed."""
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\x80-\x9f]")


@dataclass(frozen=True)
class Program:
    """A program and the folders that its commands are given.

    Attributes:
        name: name of the reader.
        app: its Typer application.
        make: writes the folders into an empty one.
        lines: command lines, run in that folder.
        writes: the folders in it that commands may write to.
        looks: the first words of commands that write nothing.
    """

    name: str
    app: Callable[[], Any]
    make: Callable[[Path], None]
    lines: Sequence[Sequence[str]]
    writes: Sequence[str]
    looks: Sequence[Sequence[str]] = ()


def reader_of(program: Program) -> FileReader:
    """The program as a reader; an input is the seed of its changes, in decimal digits."""
    made: list[Path] = []

    def read(path: Path) -> None:
        if not made:
            made.append(Path(tempfile.mkdtemp(prefix="fuzz-made-")))
            program.make(made[0])
            _watch(made[0])
        with tempfile.TemporaryDirectory(prefix="fuzz-") as name:
            folder = Path(name) / "here"
            shutil.copytree(made[0], folder, symlinks=True)
            _run(program, folder, Random(path.read_bytes().decode()))

    return FileReader(program.name, "seed.txt", lambda: [b"0"], read, (), _another)


def _another(random: Random, _: bytes, __: Sequence[bytes]) -> bytes:
    return str(random.randrange(10**12)).encode()


def _watch(folder: Path) -> None:
    (folder / "watched" / "below").mkdir(parents=True)
    (folder / "watched" / "secret.txt").write_text("secret")
    (folder / "watched" / "below" / "picture.png").write_bytes(b"x")


def _run(program: Program, folder: Path, random: Random) -> None:
    words = [*random.choice(program.lines)]
    # What the command reads, for the most part.
    named = {word.split("/")[0].split(":")[0] for word in words} | {
        "data" if "--split" in words else ""
    }
    entries = sorted(each.name for each in folder.iterdir() if each.name != "watched")
    read = [name for name in entries if name in named]
    for name in read if random.random() < 0.9 else entries:
        change(random, folder / name)
    before, here = listing(folder), os.getcwd()
    logging.disable(logging.NOTSET)
    os.chdir(folder)
    try:
        ran = CliRunner().invoke(program.app(), words, env={"COLUMNS": "100"})
    finally:
        os.chdir(here)
        logging.disable(logging.CRITICAL)
    if ran.exception is not None and not isinstance(ran.exception, SystemExit):
        raise ran.exception
    said = ran.stderr
    line = " ".join(words)
    assert ran.exit_code in CODES, f"{line}: exit code {ran.exit_code}"
    assert "Traceback" not in said, f"{line}: {said}"
    assert "This is a fault in" not in said, f"{line}: {_fault(said)}"
    assert ran.exit_code != 2 or said.strip(), f"{line}: says nothing"
    assert len(said) <= LONGEST, f"{line}: a message of {len(said)} characters"
    assert max(map(len, said.split("\n"))) <= _LINE, f"{line}: a long line"
    for text in (said, ran.stdout):
        assert not _CONTROL.search(text), f"{line}: control characters in {text!r}"
    looks = any(words[: len(first)] == [*first] for first in program.looks)
    _check_files(() if looks else program.writes, folder, before, line)


def _check_files(
    writes: Sequence[str], folder: Path, before: dict[str, tuple[str, str]], line: str
) -> None:
    after = listing(folder)
    # The index of SQLite's log is memory that its readers share: they may bring it up to date.
    changed = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)
               and not (path.endswith("-shm") and path in before and path in after)}
    own = tuple(f"{folder / name}{end}" for name in writes for end in ("/", ""))
    outside = sorted(
        path for path in changed if not path.startswith(own[::2]) and path not in own[1::2]
    )
    assert not outside, f"{line}: changed {[path.removeprefix(str(folder)) for path in outside]}"
    left = sorted(
        path
        for path in changed & after.keys()
        if _LEFTOVER.search(path) or (_OF_SQLITE.search(path) and path not in before)
    )
    assert not left, f"{line}: left {[path.removeprefix(str(folder)) for path in left]}"


def _fault(said: str) -> str:
    """The report that a message names, for the finding."""
    found = re.search(r"is in (/\S+\.log)", said)
    if found is None or not os.path.isfile(found[1]):
        return said
    report = Path(found[1]).read_text(errors="replace")
    os.unlink(found[1])
    at = report.find("Traceback")
    return said + report[at : at + 5000]
