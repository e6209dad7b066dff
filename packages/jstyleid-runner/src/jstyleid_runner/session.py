"""The surroundings of a command that works in a folder: lock, logs, progress, how it ends."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer

from jstyleid_core import runtime
from jstyleid_core.errors import JStyleIDError
from jstyleid_runner.failures import EXIT_STOPPED, crashes_reported_in
from jstyleid_runner.reports.progress import Reporter, make_reporter
from jstyleid_runner.runlog import log_to
from jstyleid_runner.storage.layout import WorkFolder
from jstyleid_runner.storage.lock import folder_lock
from jstyleid_runner.tally import Tally


@contextmanager
def session(folder: WorkFolder, log: Path, tally: Tally, results: str = "") -> Iterator[Reporter]:
    """Work in `folder` while the block runs; after a stop, say how far it came.

    Args:
        folder: where.
        log: of the command.
        tally: what the block keeps up to date.
        results: what it counts, where that is not pictures.
    """
    with folder_lock(folder.lock), log_to(log), crashes_reported_in(log):
        runtime.redirect_native_output(folder.native_log)
        reporter = make_reporter()
        try:
            yield reporter
        except KeyboardInterrupt:
            reporter.close()
            _say_how_far(tally, "stopped", results)
            raise typer.Exit(EXIT_STOPPED) from None
        except JStyleIDError:
            reporter.close()
            if tally.done:
                _say_how_far(tally, "interrupted", results)
            raise
        finally:
            reporter.close()


def _say_how_far(tally: Tally, what: str, results: str) -> None:
    count = " ".join(filter(None, (f"{tally.done} of {tally.total}", results, "done")))
    print(f"{what}; {count}; run the same command to continue", file=sys.stderr)
