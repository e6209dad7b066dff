"""`jstyleid plan`: show the work of a run without doing it."""

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jstyleid_runner.options.common import JsonOption
from jstyleid_runner.options.presets import with_preset
from jstyleid_runner.options.run import RunOptions
from jstyleid_runner.options.sources import with_options

if TYPE_CHECKING:
    from jstyleid_runner.reports.plan_figures import PlanFigures

_NOT_TAKEN = ("force", "open", "dtype", "device", "engine", "address")
"""Options of `jstyleid run` that decide nothing of what there is to do."""
_SHOWN = 8
"""Jobs that a line lists of those that come before."""


@partial(with_options, without=_NOT_TAKEN)
def plan(
    context: typer.Context,
    options: RunOptions,
    jobs: Annotated[
        bool,
        typer.Option("--jobs", allow_from_autoenv=False, help="List every job, in order."),
    ] = False,
    as_json: JsonOption = False,
    seconds_per_evaluation: Annotated[
        float | None,
        typer.Option(
            "--seconds-per-evaluation",
            allow_from_autoenv=False,
            help="Estimate the time with this, not with what the ledger in --out shows.",
        ),
    ] = None,
) -> None:
    """Show what `jstyleid run` would do with the same options, without starting Jittor.

    Jobs and UNet evaluations of each stage, what is left of them in --out, and, once jobs are
    finished there or with --seconds-per-evaluation, how long that takes on one worker and on as
    many as --gpus or --workers say; and which words of prompts are too many for the text encoder,
    if --model is on this machine. Its options may stand where those of a run may: in
    the table [run] of a file, and in JSTYLEID_RUN_GAMMA and the like.
    """
    from jstyleid_core.errors import InputError
    from jstyleid_runner.options.to_settings import refuse_unused
    from jstyleid_runner.reports.plan_figures import plan_figures
    from jstyleid_runner.storage.layout import OutFolder
    from jstyleid_runner.workflows.model import note_cut_texts, source_of
    from jstyleid_runner.workflows.run import plan_run

    if seconds_per_evaluation is not None and not 0 < seconds_per_evaluation < float("inf"):
        raise InputError(
            f"--seconds-per-evaluation {seconds_per_evaluation}: must be above 0. Give the seconds "
            "of one UNet evaluation, or leave it out."
        )
    out, gpus, workers = options.out, options.gpus, options.workers
    if gpus and workers:
        raise InputError(
            f"--gpus {gpus}, --workers {workers}: give one; workers are for the CPU.",
            fields=["gpus", "workers"],
        )
    options = with_preset(context, options, options.preset)
    refuse_unused(context, options)
    work, settings = plan_run(options)
    note_cut_texts(source_of(options), work.texts(settings, OutFolder(out)))
    found = plan_figures(
        work,
        settings,
        OutFolder(out),
        workers=gpus or workers or 1,
        seconds_per_evaluation=seconds_per_evaluation,
    )
    if as_json:
        print(json.dumps(found.facts(jobs), indent=2, ensure_ascii=False))
        return
    if jobs:
        _print_jobs(found)
    _print_figures(found, out)


def _print_jobs(plan: "PlanFigures") -> None:
    width = len(str(max((task.cost for task in plan.tasks), default=0)))
    for task in plan.tasks:
        needs = f"  after {_some(task.needs)}" if task.needs else ""
        print(f"{task.cost:>{width}}  {task.id}{needs}")
    print()


def _some(ids: Sequence[str]) -> str:
    """A job may need hundreds; `--json` has all."""
    more = f" and {len(ids) - _SHOWN} more" if len(ids) > _SHOWN else ""
    return ", ".join(ids[:_SHOWN]) + more


def _print_figures(plan: "PlanFigures", out: Path) -> None:
    from jstyleid_runner.reports.progress import clock_text

    print(_row("stage", "jobs", "evaluations", "jobs left", "evaluations left"))
    for stage in (*plan.stages, plan.whole):
        print(_row(stage.stage, *(str(figure) for figure in (
            stage.jobs, stage.evaluations, stage.jobs_left, stage.evaluations_left))))
    print(f"{plan.pictures} pictures" + ("" if plan.whole.jobs_left else ", nothing left to do"))
    if plan.changes:
        print(f"{out} holds pictures made with other settings, which are not counted as done:")
        for change in plan.changes:
            print(f"  {change}")
    if plan.set_aside:
        print(f"set aside after failing: {len(plan.set_aside)}; `jstyleid retry {out}` lets them "
              "be tried again")
    for estimate in plan.estimates:
        workers = "1 worker" if estimate.workers == 1 else f"{estimate.workers} workers"
        print(f"about {clock_text(estimate.seconds)} on {workers}, by the {plan.rate} rate")


def _row(name: str, *figures: str) -> str:
    return f"{name:8}" + "".join(f"{figure:>18}" for figure in figures)
