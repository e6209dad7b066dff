"""Errors of a command: exit codes, messages, crash reports, and the options that they are about."""

import errno
import functools
import os
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ParamSpec

import typer

from jstyleid_core.errors import InputError, JStyleIDError, OutputError
from jstyleid_core.notes import shown
from jstyleid_runner.interrupts import EXIT_STOPPED, interruptible

EXIT_FAILED = 1
EXIT_INPUT = 2

P = ParamSpec("P")


@contextmanager
def about(*fields: str) -> Iterator[None]:
    """Attach options to every InputError of the block.

    Raises:
        InputError: the same with `fields`.
    """
    try:
        yield
    except InputError as error:
        raise InputError(str(error), fields=fields) from error


class CrashError(JStyleIDError):
    """An unexpected error; the message names the file with the report."""


def guarded(command: Callable[P, None]) -> Callable[P, None]:
    """A command that turns every exception into a message on stderr and an exit code."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            with interruptible():
                command(*args, **kwargs)
        except typer.Exit:
            raise
        except KeyboardInterrupt:
            _end("stopped", EXIT_STOPPED)
        except BrokenPipeError:
            # Whoever read the output has seen enough; Python would complain at its end.
            _drop_output()
        except InputError as error:
            _end(f"error: {error}", EXIT_INPUT)
        except JStyleIDError as error:
            _end(f"error: {error}", EXIT_FAILED)
        except Exception as error:
            if isinstance(error, OSError) and _is_of_output(error):
                raise  # see `full_output_named`
            if known := _full_disk(error) or _unusable_path(error):
                _end(f"error: {known}", EXIT_INPUT)
            _end(f"error: {_crash(error, _place_of_report())}", EXIT_FAILED)

    return run


@contextmanager
def full_output_named() -> Iterator[None]:
    """End with a message where the standard output cannot be written, as on a full disk."""
    try:
        try:
            yield
        finally:  # a command ends by SystemExit, and Python would complain in its own way
            sys.stdout.flush()
    except OSError as error:
        if not _is_of_output(error):
            raise
        _drop_output()
        print(f"error: cannot write the output: {error.strerror}", file=sys.stderr)
        sys.exit(EXIT_FAILED)


def _is_of_output(error: OSError) -> bool:
    """Whether an error is of a stream: those of files name their file."""
    return error.filename is None and error.errno in (errno.ENOSPC, errno.EIO, errno.EDQUOT)


def _drop_output() -> None:
    """Let Python write what is left to nowhere, at whose end it would complain again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _end(message: str, code: int) -> None:
    # Not by Rich, which would wrap paths and take brackets in them for markup.
    print(shown(message), file=sys.stderr)
    raise typer.Exit(code)


def _new_report() -> Path:
    """A new file in the system's folder for temporary files.

    Raises:
        OutputError: there is no such folder that can be written to.
    """
    try:
        handle, name = tempfile.mkstemp(prefix="jstyleid-", suffix=".log")
    except OSError as error:
        raise OutputError(
            f"no temporary file can be made: {error.strerror}. Set TMPDIR to a folder that you may "
            "write to."
        ) from error
    os.close(handle)
    return Path(name)


def _place_of_report() -> Path | None:
    try:
        return _new_report()
    except OutputError:
        return None


@contextmanager
def crashes_reported_in(report: Path) -> Iterator[None]:
    """Append the report of an unforeseen exception to a file and raise a `CrashError`.

    A full disk is no fault of the program.

    Raises:
        OutputError: the block met a full disk.
        CrashError: it raised anything else that is not meant for users.
    """
    try:
        yield
    except (JStyleIDError, typer.Exit):
        raise
    except Exception as error:
        if known := _full_disk(error) or _unusable_path(error):
            raise known from error
        raise _crash(error, report) from error


@contextmanager
def temporary_report() -> Iterator[Path]:
    """A file for what would clutter the terminal, kept only if the block ends in a crash."""
    report = _new_report()
    try:
        with crashes_reported_in(report):
            yield report
    except CrashError:
        raise
    except BaseException:
        report.unlink(missing_ok=True)
        raise
    report.unlink(missing_ok=True)


def _full_disk(error: Exception) -> OutputError | None:
    if not isinstance(error, OSError) or error.errno not in (errno.ENOSPC, errno.EDQUOT):
        return None
    return OutputError(f"cannot write {error.filename or 'a file'}: {error.strerror}. Free some "
                       "space; the same command goes on.")


def _unusable_path(error: Exception) -> InputError | None:
    """The error for a path that no file of this user can have."""
    if not isinstance(error, OSError) or error.filename is None or error.errno not in (
            errno.ENAMETOOLONG, errno.ELOOP, errno.EACCES, errno.EPERM):
        return None
    return InputError(f"{error.filename}: {error.strerror}. Give another path, or change its "
                      "permissions.")


def _crash(error: Exception, report: Path | None) -> CrashError:
    """The error for users, once the report is written; None for a report where it has no place."""
    what = f"{type(error).__name__}: {error}".splitlines()[0][:200]
    fault = f"unexpected {what}\nThis is a fault in jstyleid. "
    if report is None:
        return CrashError(f"{fault}A report of it cannot be written, since no folder for temporary "
                          f"files is usable.\n{''.join(traceback.format_exception(error))}")
    try:
        from jstyleid_runner.fault_report import fault_report  # seldom needed, slow to import

        with report.open("a", encoding="utf-8", errors="backslashreplace") as file:
            for part in fault_report(error):
                file.write(part)
                file.flush()
    except Exception as problem:  # the error itself is what the user must be told
        reason = getattr(problem, "strerror", None) or repr(problem)
        return CrashError(f"{fault}A report of it cannot be written to {report}: {reason}")
    return CrashError(
        f"{fault}The full report, which helps to find it, is in {report}"
    )
