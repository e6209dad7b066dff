"""`jstyleid status` and `jstyleid retry`: the state of a run, and its failed jobs tried again."""

import contextlib
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jstyleid_runner.options import common as options

if TYPE_CHECKING:
    from rich.console import RenderableType

    from jstyleid_runner.reports.status import RunStatus


_EVERY = 1.0


def status(
    out: options.RunFolderArgument,
    as_json: options.JsonOption = False,
    watch: Annotated[
        bool,
        typer.Option("--watch", help="Show it anew every second, until the run ends or Ctrl-C."),
    ] = False,
) -> None:
    """Show what is done, running, waiting and set aside of a run, and how long the rest takes.

    The run may be at work, and is not disturbed.
    """
    from jstyleid_core.errors import InputError

    if as_json and watch:
        raise InputError("--json, --watch: exclude each other. Give one of them.")
    if watch:
        _watch(out)
    elif as_json:
        print(json.dumps(_snapshot(out).status.facts(), indent=2, ensure_ascii=False))
    else:
        from rich.console import Console

        Console().print(_shown(_snapshot(out), out))


@dataclass(frozen=True)
class _Snapshot:
    """The state of a run, and when it was that, by the run's clock."""

    status: "RunStatus"
    now: float


def _snapshot(out: Path) -> _Snapshot:
    from jstyleid_runner.reports.status import run_status
    from jstyleid_runner.scheduling.ledger import read_time
    from jstyleid_runner.storage.layout import OutFolder

    folder = OutFolder(out)
    now = read_time(folder.ledger)
    return _Snapshot(run_status(folder, now), now)


def _shown(found: _Snapshot, out: Path) -> "RenderableType":
    from jstyleid_runner.reports.status import status_table

    return status_table(found.status, out, found.now)


def _watch(out: Path) -> None:
    from rich.live import Live

    found = _snapshot(out)
    with contextlib.suppress(KeyboardInterrupt), Live(auto_refresh=False) as live:
        live.update(_shown(found, out), refresh=True)
        while found.status.process is not None:
            time.sleep(_EVERY)
            found = _snapshot(out)
            live.update(_shown(found, out), refresh=True)


def retry(out: options.RunFolderArgument) -> None:
    """Let the jobs of a run that were set aside be tried again, by the next run."""
    from jstyleid_runner.workflows.retry import retry_jobs

    for line in retry_jobs(out):
        print(line)
