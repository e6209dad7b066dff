"""`jstyleid generate`: text to image, of one text or of every prompt of a split."""

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from jstyleid_core.errors import InputError
from jstyleid_runner.options.common import (
    DataOption,
    ExecutionOptions,
    GenerationOptions,
    PromptsOption,
    SizeOption,
    StylesOption,
    WorkerOptions,
    given_path,
)
from jstyleid_runner.options.run import RunOptions
from jstyleid_runner.options.sources import values_of, with_options

_OF_SPLITS = (
    "data",
    "styles",
    "prompts",
    "template",
    "templates",
    "start",
    "strength",
    "batch",
    "force",
    "gpus",
    "workers",
    "engine",
    "address",
)


@dataclass(frozen=True, kw_only=True)
class _PictureOptions:
    """The picture to generate, or the split."""

    out: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            parser=given_path,
            metavar="<path>",
            help="The picture to write, a .png file; a folder for --split.",
        ),
    ]
    prompt: Annotated[
        str | None, typer.Argument(metavar="PROMPT", help="What to draw, without --split.")
    ] = None
    split: Annotated[
        str | None,
        typer.Option("--split", help="Draw every prompt of this split, a folder in --data."),
    ] = None
    data: DataOption = Path("data")
    styles: StylesOption = None
    prompts: PromptsOption = None
    lora: Annotated[
        list[str] | None,
        typer.Option(
            "--lora",
            metavar="FILE[:WEIGHT]|DIR",
            help="A LoRA file of diffusers, PEFT or kohya; weight 1 unless given. Repeatable. With "
            "--split the folder of the styles' LoRAs, or one LoRA for all.",
        ),
    ] = None
    steps: Annotated[int, typer.Option("--steps", min=1, max=1000, help="DDIM steps.")] = 25
    seed: Annotated[
        int, typer.Option("--seed", min=0, help="The same seed draws the same picture.")
    ] = 0
    size: SizeOption = "512"


@dataclass(frozen=True, kw_only=True)
class GenerateOptions(WorkerOptions, ExecutionOptions, GenerationOptions, _PictureOptions):
    """All options of the command."""


@with_options
def generate(context: typer.Context, options: GenerateOptions) -> None:
    """Draw a picture from a text; with --split, every prompt of a split with its style's LoRA.

    A picture's settings are recorded in it. With --split pictures go to OUT/NN/PROMPT.png; those
    that are there already are kept, and the same command goes on after a stop.
    """
    # The names of files may hold spaces, at which Typer would part those of a variable.
    options = replace(options, lora=list(values_of(context, "lora", options.lora or [])))
    if options.prompt is not None and options.split is not None:
        raise InputError(
            f"PROMPT {options.prompt!r} and --split {options.split} exclude each other. Give the "
            "one picture's text, or the split.",
            fields=["split"],
        )
    if options.prompt is not None:
        from jstyleid_runner.options.sources import refuse_given
        from jstyleid_runner.options.to_settings import parse_size
        from jstyleid_runner.workflows.generate import Drawing, draw_picture

        refuse_given(context, _OF_SPLITS, "belongs to --split. Leave this out, or PROMPT.")
        drawing = Drawing(
            options.prompt, options.negative, options.seed, options.steps, options.guidance,
            parse_size(options.size),
        )
        print(draw_picture(drawing, options.out, options.lora or [], options))
    elif options.split is not None:
        from jstyleid_runner.options.to_settings import refuse_strength
        from jstyleid_runner.workflows import run as workflow

        refuse_strength(context, options.start)
        workflow.run(_as_run(options, options.split))
    else:
        raise InputError("nothing to draw. Give a PROMPT, or --split for every prompt of a split.")


def _as_run(options: GenerateOptions, split: str) -> RunOptions:
    """The run that draws every prompt of a split."""
    loras = options.lora or []
    if len(loras) != 1:
        raise InputError(
            f"--split {split} takes one --lora, the folder of the styles' LoRAs, not {len(loras)}. "
            "`jstyleid train` makes them.",
            fields=["split", "lora"],
        )
    # `--steps` of a run are those of style transfer.
    same = {field.name for field in fields(RunOptions)} - {"split", "lora", "steps"}
    values: dict[str, Any] = {name: value for name, value in vars(options).items() if name in same}
    return RunOptions(split=split, method="dreambooth", lora=Path(loras[0]),
                      content_steps=options.steps, **values)
