"""Inputs given to readers, in a process of their own, with limits of time and memory."""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import json
import logging
import multiprocessing
import os
import re
import resource
import shutil
import signal
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from types import FrameType
from typing import Any

import hypothesis
from hypothesis.configuration import set_hypothesis_home_dir

from fuzz.reader import FileReader, Reader, ValueReader

SECONDS = 5
"""Processor time that one input may take."""
MEMORY = 1 << 30
"""Bytes of address space that a reader may take beyond what its process has at the start."""
_PATIENCE = 60
"""Seconds without a sign after which a process is taken to hang."""
_ARENA_MAX = -8
"""`M_ARENA_MAX` of glibc's `mallopt`."""
_ROOT = str(Path(__file__).resolve().parents[1])


class TookTooLongError(BaseException):
    """An input took more than `SECONDS`."""


@dataclass
class Finding:
    """What a reader did that it may not do.

    Attributes:
        reader: name of the reader.
        what: what it did, in one line.
        place: what tells it from others: the kind and the line of code.
        number: number of the first input that showed it; -1 for a value.
        data: that input.
        details: the traceback, or the message.
        count: how many inputs showed it.
    """

    reader: str
    what: str
    place: str
    number: int
    data: bytes
    details: str
    count: int = 1


@dataclass
class Report:
    """What became of a reader's inputs.

    Attributes:
        reader: name of the reader.
        inputs: number of inputs.
        taken: how many of them it could read.
        seconds: how long that took.
        findings: findings by their place.
    """

    reader: str
    inputs: int = 0
    taken: int = 0
    seconds: float = 0.0
    findings: dict[str, Finding] = field(default_factory=dict)

    def add(self, finding: Finding) -> None:
        """Count a finding; only the first of its place is kept."""
        known = self.findings.setdefault(finding.place, finding)
        known.count += known is not finding


def input_of(reader: FileReader, seed: int, number: int) -> bytes:
    """The input of this number; the first ones are the seeds themselves."""
    seeds = list(reader.seeds())
    if number < len(seeds):
        return seeds[number]
    random = Random(f"{seed} {reader.name} {number}")
    return reader.mutate(random, random.choice(seeds), seeds)


def fuzz(reader: Reader, seed: int, inputs: int, until: float = float("inf")) -> Report:
    """Give a reader inputs.

    Args:
        reader: the reader.
        seed: seed of the inputs.
        inputs: number of inputs.
        until: time by `time.monotonic` after which no more are given.
    """
    report, start = Report(reader.name), time.monotonic()
    set_hypothesis_home_dir(_home())
    while report.inputs < inputs and time.monotonic() < until:
        _in_a_process(reader, seed, inputs, until, report)
    report.seconds = time.monotonic() - start
    return report


@cache
def _home() -> str:
    """The folder in which hypothesis keeps its tables of letters; gone with this process."""
    folder = tempfile.mkdtemp(prefix="hypothesis-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _in_a_process(reader: Reader, seed: int, inputs: int, until: float, report: Report) -> None:
    """Go on from `report.inputs` until the inputs or the process end."""
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe(duplex=False)
    number = context.Value("q", report.inputs)
    process = context.Process(
        target=_work, args=(reader, seed, inputs, until, report.inputs, number, there)
    )
    process.start()
    there.close()
    last, since, ended = -1, time.monotonic(), False
    while True:
        if here.poll(1):
            try:
                message = here.recv()
            except EOFError:
                break
            if isinstance(message, Finding):
                report.add(message)
            else:
                report.inputs, taken = message
                report.taken += taken
                ended = True
        if number.value != last:
            last, since = number.value, time.monotonic()
        elif time.monotonic() - since > _PATIENCE:
            process.kill()
            break
    process.join()
    if not ended:
        what = (
            "hangs"
            if process.exitcode == -signal.SIGKILL
            else f"ends the process, {process.exitcode}"
        )
        at = int(number.value)
        data = input_of(reader, seed, at) if isinstance(reader, FileReader) else b""
        report.add(Finding(reader.name, what, what, at, data, ""))
        report.inputs = at + 1 if isinstance(reader, FileReader) else inputs


def _work(
    reader: Reader,
    seed: int,
    inputs: int,
    until: float,
    first: int,
    number: Any,
    report: Connection,
) -> None:
    logging.disable(logging.CRITICAL)
    with _noise() as noise, _limits():
        if isinstance(reader, FileReader):
            taken, at = 0, first
            with folder_of(reader) as place:
                while at < inputs and time.monotonic() < until:
                    number.value = at
                    data = input_of(reader, seed, at)
                    found = check(reader, place, data, noise)
                    taken += found is None
                    if isinstance(found, Finding):
                        found.number = at
                        report.send(found)
                    at += 1
            report.send((at, taken))
        else:
            report.send(_draw(reader, seed, inputs, until, number, report))


def _draw(
    reader: ValueReader, seed: int, inputs: int, until: float, number: Any, report: Connection
) -> tuple[int, int]:
    """Let hypothesis draw values; it looks for the smallest one of a finding."""
    seen = taken = 0
    seen_first: list[Finding] = []

    def one(value: Any) -> None:
        nonlocal seen, taken
        if time.monotonic() > until:
            return
        seen += 1
        number.value = seen
        found = check_value(reader, value)
        taken += found is None
        if isinstance(found, Finding):
            seen_first.append(found)
            raise _FoundError(found)

    test = hypothesis.given(reader.values())(one)
    test = hypothesis.seed(seed)(
        hypothesis.settings(
            max_examples=inputs,
            database=None,
            deadline=None,
            print_blob=False,
            report_multiple_bugs=False,
            suppress_health_check=list(hypothesis.HealthCheck),
            phases=[hypothesis.Phase.generate, hypothesis.Phase.shrink],
        )(test)
    )
    try:
        test()
    except _FoundError as error:
        report.send(error.finding)
    except Exception as error:  # of hypothesis: what happened once did not happen again
        if seen_first:
            report.send(seen_first[0])
            return seen, taken
        text = "".join(traceback.format_exception(error))
        report.send(Finding(reader.name, f"the fuzzer fails: {error}", "fuzzer", -1, b"", text))
    return max(seen, inputs if seen else 0), taken


class _FoundError(Exception):
    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.what)
        self.finding = finding


@contextlib.contextmanager
def folder_of(reader: FileReader) -> Iterator[Path]:
    """A folder with what the reader needs; yields the place of its inputs."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        place = Path(folder) / reader.file
        place.parent.mkdir(parents=True, exist_ok=True)
        for name, data in reader.beside().items():
            (Path(folder) / name).parent.mkdir(parents=True, exist_ok=True)
            (Path(folder) / name).write_bytes(data)
        yield place


@contextlib.contextmanager
def _limits() -> Iterator[None]:
    """The limit of memory, and what a signal of time does."""

    def late(_: int, __: FrameType | None) -> None:
        raise TookTooLongError

    signal.signal(signal.SIGVTALRM, late)
    # glibc keeps 64 MiB of addresses for each of many threads, also when they have ended: after
    # some thousands of inputs the limit would be reached, and no thread could be started.
    ctypes.CDLL(None).mallopt(_ARENA_MAX, 1)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MEMORY,) * 2)
    yield


@contextlib.contextmanager
def _noise() -> Iterator[Any]:
    """What libraries write on the terminal by themselves, in a file."""
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 2)
        yield file


def check(reader: FileReader, place: Path, data: bytes, noise: Any = None) -> Finding | str | None:
    """Let a reader read an input.

    Returns:
        None where it takes it, the message where it refuses it, or what it may not do.
    """
    with contextlib.suppress(FileNotFoundError):
        place.unlink()
    place.write_bytes(data)
    there = _listing(place)
    quiet = os.fstat(noise.fileno()).st_size if noise else 0
    found = _checked(reader, lambda: reader.read(place), data)
    if noise and os.fstat(noise.fileno()).st_size > quiet:
        said = os.pread(noise.fileno(), 500, quiet).decode(errors="replace").strip()
        return Finding(
            reader.name,
            f"writes on the terminal: {said.splitlines()[0]}",
            f"terminal {re.sub('[0-9]+', 'N', said.splitlines()[0])[:40]}",
            -1,
            data,
            said,
        )
    if not isinstance(found, Finding) and (now := _listing(place)) != there:
        _tidy(place, there)
        return Finding(reader.name, f"changes files: {sorted(now ^ there)}", "files", -1, data, "")
    return found


def check_value(reader: ValueReader, value: Any) -> Finding | str | None:
    """The same for a value."""
    return _checked(reader, lambda: reader.read(value), repr(value).encode())


def _checked(reader: Reader, read: Callable[[], object], data: bytes) -> Finding | str | None:
    def finding(what: str, place: str, details: str = "") -> Finding:
        return Finding(reader.name, what, place, -1, data, details)

    said: str | None = None
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        # Python shows these to nobody but who runs a file itself.
        warnings.simplefilter("ignore", DeprecationWarning)
        signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)
        try:
            read()
        except TookTooLongError as error:
            return finding(
                f"takes more than {SECONDS} s",
                f"time {_line(error)}",
                "".join(traceback.format_exception(error)),
            )
        except reader.errors as error:
            said = str(error)
            if not said.strip():
                return finding(f"{type(error).__name__} says nothing", f"silent {_line(error)}")
        except Exception as error:
            text = "".join(traceback.format_exception(error))
            return finding(
                f"{type(error).__name__}: {str(error)[:300]}",
                f"{type(error).__name__} {_line(error)}",
                text[-6000:],
            )
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    for one in warned:
        return finding(
            f"warns: {one.message}", f"warning {one.category.__name__} {one.filename}:{one.lineno}"
        )
    return said


def _line(error: BaseException) -> str:
    """The last line of this project in a traceback."""
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if "/packages/" in frame.filename and "/src/" in frame.filename
    ]
    return f"{frames[-1].filename.removeprefix(_ROOT)}:{frames[-1].lineno}" if frames else "?"


def _listing(place: Path) -> frozenset[tuple[str, int, int]]:
    found = set()
    for folder, _, names in os.walk(place.parent):
        for name in names:
            status = os.lstat(os.path.join(folder, name))
            found.add((os.path.join(folder, name), status.st_size, status.st_mtime_ns))
    return frozenset(found)


def _tidy(place: Path, there: frozenset[tuple[str, int, int]]) -> None:
    known = {name for name, _, _ in there}
    for folder, _, names in os.walk(place.parent):
        for name in names:
            if os.path.join(folder, name) not in known:
                os.unlink(os.path.join(folder, name))


def save(finding: Finding, seed: int, folder: Path) -> Path:
    """Write a finding's input and what it did; returns the input's file."""
    folder.mkdir(parents=True, exist_ok=True)
    stem = re.sub(r"[^A-Za-z0-9]+", "-", f"{finding.reader} {finding.place}").strip("-")[:120]
    path = folder / f"{stem}.input"
    path.write_bytes(finding.data)
    path.with_suffix(".json").write_text(
        json.dumps(
            {
                "reader": finding.reader,
                "seed": seed,
                "number": finding.number,
                "what": finding.what,
                "count": finding.count,
                "details": finding.details,
            },
            indent=1,
        )
    )
    return path
