"""`jstyleid status`: how far a run is."""

import contextlib
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jstyleid_runner import options

if TYPE_CHECKING:
    from rich.console import RenderableType

    from jstyleid_runner.run_status import RunStatus

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
        print(json.dumps(_look(out).facts(), indent=2, ensure_ascii=False))
    else:
        from rich.console import Console

        Console().print(_shown(_look(out), out))


def _look(out: Path) -> "RunStatus":
    from jstyleid_runner.out_folder import OutFolder
    from jstyleid_runner.run_status import run_status

    return run_status(OutFolder(out), time.time())


def _shown(found: "RunStatus", out: Path) -> "RenderableType":
    from jstyleid_runner.status_table import status_table

    return status_table(found, out, time.time())


def _watch(out: Path) -> None:
    from rich.live import Live

    found = _look(out)
    with contextlib.suppress(KeyboardInterrupt), Live(auto_refresh=False) as live:
        live.update(_shown(found, out), refresh=True)
        while found.process is not None:
            time.sleep(_EVERY)
            found = _look(out)
            live.update(_shown(found, out), refresh=True)
