"""The session of a command that works in a folder: lock, log, progress, and how it ends."""

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import typer

from jstyleid_core import runtime
from jstyleid_core.errors import JStyleIDError, OutputError
from jstyleid_runner.errors import crashes_reported_in, temporary_report
from jstyleid_runner.interrupts import EXIT_STOPPED
from jstyleid_runner.reports.progress import Display, make_display
from jstyleid_runner.storage.layout import WorkFolder
from jstyleid_runner.storage.lock import folder_lock

log = logging.getLogger(__name__)


@dataclass
class RunCounts:
    """Readable at any moment: also after a stop.

    Attributes:
        total: number of results of the command.
        done: number of results that are there.
        begun: ids of the jobs that the command has begun, where it has jobs.
    """

    total: int = 0
    done: int = 0
    begun: set[str] = field(default_factory=set)


_FORMAT = "%(asctime)s %(levelname)s %(message)s"
_LOGGERS = ("jstyleid_runner", "jstyleid_dreambooth")


class _LogFile(logging.FileHandler):
    """A log that says once that it cannot be written, for example because the disk is full."""

    _failed = False

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Called by `logging` where a line could not be written."""
        self._report()

    def close(self) -> None:
        """Close the file, which writes what is left of it."""
        try:
            super().close()
        except OSError:
            self._report()

    def _report(self) -> None:
        # Once: the run itself finds out whether it can go on, and says so.
        if not self._failed:
            self._failed = True
            problem = sys.exc_info()[1]
            print(f"warning: cannot write {self.baseFilename}: {problem}", file=sys.stderr)


@contextmanager
def log_to(path: Path) -> Iterator[None]:
    """Append what the project logs to `path` while the block runs."""
    try:
        handler = _LogFile(path, encoding="utf-8")
    except OSError as error:
        raise OutputError(
            f"cannot write {path}: {error.strerror}. Choose another --out, or change its "
            "permissions."
        ) from error
    handler.setFormatter(logging.Formatter(_FORMAT))
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeHandler(handler)
        handler.close()


@contextmanager
def logged(job: str) -> Iterator[None]:
    """Log how the block ends, and how long it took."""
    start = time.monotonic()
    try:
        yield
    except BaseException as error:
        # A stop by the user counts too: the log says what was going on.
        log.error("%s: not done: %s", job, str(error) or type(error).__name__)
        raise
    log.info("%s: done in %.2f s", job, time.monotonic() - start)


@contextmanager
def session(
    folder: WorkFolder, log: Path, counts: RunCounts, results: str = "") -> Iterator[Display]:
    """Work in `folder` while the block runs; after a stop, say how far it came.

    Args:
        folder: folder of the command.
        log: log file of the command.
        counts: figures that the block keeps up to date.
        results: name of the results, where they are not pictures.
    """
    with folder_lock(folder), log_to(log), crashes_reported_in(folder.fault):
        runtime.redirect_native_output(folder.native_log)
        display = make_display()
        try:
            yield display
        except KeyboardInterrupt:
            display.close()
            _say_how_far(counts, "stopped", results)
            raise typer.Exit(EXIT_STOPPED) from None
        except JStyleIDError:
            display.close()
            if counts.done:
                _say_how_far(counts, "interrupted", results)
            raise
        finally:
            display.close()


@contextmanager
def command_session() -> Iterator[Display]:
    """The session of a command without a folder; its report is kept only if it crashes."""
    with temporary_report() as report:
        runtime.redirect_native_output(report)
        display = make_display()
        try:
            yield display
        finally:
            display.close()


def _say_how_far(counts: RunCounts, what: str, results: str) -> None:
    count = " ".join(filter(None, (f"{counts.done} of {counts.total}", results, "done")))
    print(f"{what}; {count}; run the same command to continue", file=sys.stderr)
