"""The log of a command, as `out/.jstyleid/run.log`: a line a job with its time, and every error."""

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jstyleid_core.errors import OutputError

log = logging.getLogger(__name__)

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
