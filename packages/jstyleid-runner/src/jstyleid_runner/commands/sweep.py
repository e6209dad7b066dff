"""`jstyleid sweep`: try several settings of a run, and find the best."""

from dataclasses import replace
from typing import Annotated

import typer

from jstyleid_runner.options.presets import with_preset
from jstyleid_runner.options.run import RunOptions
from jstyleid_runner.options.sources import with_options


@with_options
def sweep(
    context: typer.Context,
    options: RunOptions,
    values: Annotated[
        list[str],
        typer.Option(
            "--set",
            metavar="OPTION=VALUE,VALUE,…",
            allow_from_autoenv=False,
            help="Values to try for an option of `jstyleid run`, as gamma=0.3,0.5. Values that "
            'hold commas are written as a list: layers=["7-11","7,9"]. Repeatable.',
        ),
    ],
    random: Annotated[
        int | None,
        typer.Option(
            "--random", min=1, allow_from_autoenv=False,
            help="Only so many combinations, chosen at random by --seed.",
        ),
    ] = None,
    checker: Annotated[
        str | None,
        typer.Option(
            "--checker",
            allow_from_autoenv=False,
            help="Command of jdiff-check and its options, as 'jdiff-check --weights W': its scores "
            "are taken, too, and its final score decides.",
        ),
    ] = None,
) -> None:
    """Make the pictures of every combination of values, and compare them.

    Each combination is a run in a folder of OUT, with all other options as given. What is equal is
    made once: contents, LoRAs, inverted styles. OUT/sweep.html shows all runs, their colour score
    (that of the challenge) and their pictures, OUT/sweep.csv has the figures, and OUT/best.toml the
    best options for `jstyleid run --config`. Run it again after a stop.
    """
    from jstyleid_runner.options.swept import combine, folder_name, parse_grid, with_values
    from jstyleid_runner.options.to_settings import monitoring_of, refuse_unused
    from jstyleid_runner.workflows.sweep import Combination, Sweep, run_sweep

    grid = parse_grid(context, "run", values)
    options = with_preset(context, options, options.preset)
    refuse_unused(context, options)
    combinations = []
    for chosen in combine(grid, random, options.seed):
        changed = with_values(context, "run", options, chosen)
        combinations.append(Combination(
            chosen, replace(changed, out=options.out / folder_name(chosen))))
    run_sweep(Sweep(options.out, tuple(combinations), checker), monitoring_of(context, options))
