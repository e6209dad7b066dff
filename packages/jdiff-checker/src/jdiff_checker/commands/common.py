"""Common to the commands: options that are lists, and how a command ends on an error."""

from __future__ import annotations

import errno
import functools
import io
import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable
from typing import ParamSpec

import typer

from jdiff_checker.errors import CheckerError, InputError, shown
from jdiff_checker.interrupts import EXIT_STOPPED, interruptible
from jdiff_checker.scoring import ALL_METRICS, Metric

EXIT_FAILED = 1

_OF_A_PATH = (errno.ENAMETOOLONG, errno.ELOOP, errno.EACCES, errno.EPERM)
"""Errors over a path that no file of this user can have."""

P = ParamSpec("P")


def guarded(command: Callable[P, None]) -> Callable[P, None]:
    """Wrap a command so that every exception becomes a message on stderr and an exit code."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            with interruptible():
                command(*args, **kwargs)
        except typer.Exit:
            raise
        except KeyboardInterrupt:
            _end("stopped; what was computed is kept, and the same command goes on", EXIT_STOPPED)
        except CheckerError as error:
            _end(f"error: {error}", error.exit_code)
        except Exception as error:
            if isinstance(error, OSError) and _is_of_output(error):
                raise  # see `start`
            if isinstance(error, OSError) and error.filename is not None and (
                    error.errno in _OF_A_PATH):
                _end(f"error: {error.filename}: {error.strerror}. Give another path, or change "
                     "its permissions.", InputError.exit_code)
            _end(f"error: {_crash(error)}", EXIT_FAILED)

    return run


def start(app: Callable[[], object]) -> None:
    """Run the program on any terminal, until its output is written or an interrupt ends it."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # what the terminal cannot show becomes `?`
    try:
        app()
        sys.stdout.flush()
    except OSError as error:
        if not _is_of_output(error):
            raise
        # Python writes what is left at its end, and would complain again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        print(f"error: cannot write the output: {error.strerror}", file=sys.stderr)
        sys.exit(EXIT_FAILED)
    except KeyboardInterrupt:  # another one, while the first was dealt with
        sys.exit(EXIT_STOPPED)
    finally:
        # Python waits for threads at its end, and would answer Ctrl-C there with a traceback.
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def _is_of_output(error: OSError) -> bool:
    """Whether an error is of a stream: those of files name their file."""
    return error.filename is None and error.errno in (errno.ENOSPC, errno.EIO, errno.EDQUOT)


def _end(message: str, code: int) -> None:
    # Not by Rich, which would wrap paths and take brackets in them for markup.
    print(shown(message), file=sys.stderr)
    raise typer.Exit(code)


def _crash(error: Exception) -> str:
    what = f"{type(error).__name__}: {error}".splitlines()[0][:200]
    fault = f"unexpected {what}\nThis is a fault in jdiff-check."
    try:
        from jdiff_checker.fault_report import fault_report  # seldom needed

        with tempfile.NamedTemporaryFile("w", prefix="jdiff-check-", suffix=".log", delete=False,
                                         encoding="utf-8", errors="backslashreplace") as report:
            report.write(fault_report(error))
    except Exception as problem:  # the error itself is what the user must be told
        reason = getattr(problem, "strerror", None) or repr(problem)
        return (f"{fault} A report of it cannot be written: {reason}\n"
                f"{''.join(traceback.format_exception(error))}")
    return f"{fault} The full report, which helps to find it, is in {report.name}"


def parse_metrics(text: str | None) -> tuple[Metric, ...]:
    """The metrics of a comma-separated list, each once and in their usual order; None means all.

    Raises:
        InputError: a name is not a metric's, or there is none.
    """
    if text is None:
        return ALL_METRICS
    names = [name.strip() for name in text.lower().split(",") if name.strip()]
    valid = [metric.value for metric in ALL_METRICS]
    unknown = [name for name in names if name not in valid]
    if unknown or not names:
        problem = f"no such metric: {', '.join(unknown)}" if unknown else "no metric is named"
        raise InputError(f"--metrics {text}: {problem}. Choose from {', '.join(valid)}, with "
                         "commas between them.")
    return tuple(metric for metric in ALL_METRICS if metric.value in names)


def parse_styles(text: str | None) -> tuple[str, ...] | None:
    """The styles of a comma-separated list; None means the scoring's own choice.

    Raises:
        InputError: there is none in the list.
    """
    if text is None:
        return None
    found = (name.strip().rstrip("/") for name in text.split(","))  # as a shell completes folders
    names = tuple(dict.fromkeys(name for name in found if name))
    if not names:
        raise InputError(f"--styles {text!r}: no style is named. Give folders: --styles 00,04")
    return names
