"""`jstyleid doctor`: check the machine for all that Jittor and the models need."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from jstyleid_runner.errors import EXIT_FAILED
from jstyleid_runner.options import common as options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jstyleid_core.doctor import Check


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print the checks as JSON.")] = False,
    warm: Annotated[
        bool, typer.Option("--warm", help="Compile everything now that runs would compile.")
    ] = False,
    device: options.DeviceOption = "auto",
    backend: options.BackendOption = "native",
) -> None:
    """Check the machine: compiler, Jittor, oneDNN, CUDA, models, disk. Exit code 1 if one fails."""
    from jstyleid_core.doctor import run_checks
    from jstyleid_runner.workflows.session import command_session

    with command_session() as display:
        checks = run_checks(device, display.preparing, backend)
        display.close()
        good = all(check.ok for check in checks)
        if as_json:
            listed = [asdict(check) for check in checks]
            print(json.dumps({"ok": good, "checks": listed}, indent=2))
        else:
            _print_table(checks)
        if warm and good:
            from jstyleid_core.warm import warm_kernels
            from jstyleid_dreambooth.training.warm import warm_training

            warm_kernels(display.preparing, backend)
            warm_training(display.preparing, backend)
            display.note("--warm: everything is compiled")
        elif warm:
            display.note("--warm: nothing is compiled before the checks succeed")
    if not good:
        raise typer.Exit(EXIT_FAILED)


def _print_table(checks: "Sequence[Check]") -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from jstyleid_runner.reports.narrow import NarrowTable

    table = Table("check", "")
    table.add_column("found", overflow="fold")
    for check in checks:
        mark = Text("ok", "green") if check.ok else Text("FAILED", "bold red")
        found = check.value if check.ok or not check.fix else f"{check.value}\nfix: {check.fix}"
        # As Text, because values may hold brackets, which Rich would take for markup.
        table.add_row(Text(check.name), mark, Text(found))
    Console().print(NarrowTable(table, least=60))
