"""How a command ends when something goes wrong: one message, one exit code, nothing lost."""

from __future__ import annotations

import functools
import sys
import tempfile
import traceback
from collections.abc import Callable
from typing import ParamSpec

import typer

from jdiff_checker.errors import CheckerError

EXIT_FAILED = 1
EXIT_STOPPED = 130
"""What shells report for a program that Ctrl-C ended."""

P = ParamSpec("P")


def guarded(command: Callable[P, None]) -> Callable[P, None]:
    """A command that turns every exception into a message on stderr and an exit code."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except typer.Exit:
            raise
        except KeyboardInterrupt:
            _end("stopped; what was computed is kept, and the same command goes on", EXIT_STOPPED)
        except CheckerError as error:
            _end(f"error: {error}", error.exit_code)
        except Exception as error:
            _end(f"error: {_crash(error)}", EXIT_FAILED)

    return run


def _end(message: str, code: int) -> None:
    # Not by Rich, which would wrap paths and take brackets in them for markup.
    print(message, file=sys.stderr)
    raise typer.Exit(code)


def _crash(error: Exception) -> str:
    with tempfile.NamedTemporaryFile("w", prefix="jdiff-check-", suffix=".log", delete=False,
                                     encoding="utf-8") as report:
        report.write("".join(traceback.format_exception(error)))
    what = f"{type(error).__name__}: {error}".splitlines()[0][:200]
    return (f"unexpected {what}\nThis is a fault in jdiff-check. The full report, which helps to "
            f"find it, is in {report.name}")
