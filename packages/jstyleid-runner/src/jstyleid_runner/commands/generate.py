"""`jstyleid generate`: text to image, of one text or of every prompt of a split."""

from pathlib import Path
from typing import Annotated

import typer

from jstyleid_core.errors import InputError
from jstyleid_runner.options import common as options

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


def generate(
    context: typer.Context,
    out: Annotated[
        Path,
        typer.Option(
            "--out", "-o", help="The picture to write, a .png file; a folder for --split."
        ),
    ],
    prompt: Annotated[
        str | None, typer.Argument(metavar="PROMPT", help="What to draw, without --split.")
    ] = None,
    split: Annotated[
        str | None,
        typer.Option("--split", help="Draw every prompt of this split, a folder in --data."),
    ] = None,
    data: options.DataOption = Path("data"),
    styles: options.StylesOption = None,
    prompts: options.PromptsOption = None,
    lora: Annotated[
        list[str] | None,
        typer.Option(
            "--lora",
            metavar="FILE[:WEIGHT]|DIR",
            help="A LoRA file of diffusers, PEFT or kohya; weight 1 unless given. Repeatable. With "
            "--split the folder of the styles' LoRAs, or one LoRA for all.",
        ),
    ] = None,
    steps: Annotated[int, typer.Option("--steps", min=1, max=1000, help="DDIM steps.")] = 25,
    seed: Annotated[
        int, typer.Option("--seed", min=0, help="The same seed draws the same picture.")
    ] = 0,
    size: options.SizeOption = "512",
    guidance: options.GuidanceOption = 7.5,
    negative: options.NegativeOption = "",
    template: options.TemplateOption = None,
    templates: options.TemplatesOption = None,
    start: options.StartOption = "noise",
    strength: options.StrengthOption = 0.9,
    batch: options.BatchOption = 1,
    force: options.ForceOption = False,
    model: options.ModelOption = None,
    dtype: options.DtypeOption = "auto",
    device: options.DeviceOption = "auto",
    backend: options.BackendOption = "native",
    gpus: options.GpusOption = None,
    workers: options.WorkersOption = None,
    engine: options.EngineOption = "local",
    address: options.AddressOption = None,
) -> None:
    """Draw a picture from a text; with --split, every prompt of a split with its style's LoRA.

    A picture's settings are recorded in it. With --split pictures go to OUT/NN/PROMPT.png; those
    that are there already are kept, and the same command goes on after a stop.
    """
    if prompt is not None and split is not None:
        raise InputError(
            f"PROMPT {prompt!r} and --split {split} exclude each other. Give the one picture's "
            "text, or the split."
        )
    if prompt is not None:
        from jstyleid_runner.options.sources import refuse_given
        from jstyleid_runner.options.to_settings import parse_size
        from jstyleid_runner.workflows.generate import Drawing, draw_picture

        refuse_given(context, _OF_SPLITS, "belongs to --split. Leave this out, or PROMPT.")
        drawing = Drawing(prompt, negative, seed, steps, guidance, parse_size(size))
        loras = lora or []
        drawn = draw_picture(
            drawing, out, loras=loras, model=model, dtype=dtype, device=device, backend=backend
        )
        print(drawn)
    elif split is not None:
        from jstyleid_runner.options.to_settings import parse_size, refuse_strength
        from jstyleid_runner.settings import PictureChoices
        from jstyleid_runner.workflows.run import Execution, make_pictures
        from jstyleid_runner.workflows.workers import WorkerOptions

        refuse_strength(context, start)
        chosen = PictureChoices(
            split=split,
            data=data,
            styles=styles,
            prompts=prompts,
            method="dreambooth",
            lora=_folder_of_loras(split, lora or []),
            seed=seed,
            size=parse_size(size),
            content_steps=steps,
            guidance=guidance,
            negative=negative,
            template=template,
            templates=templates,
            start=start,
            strength=strength,
            backend=backend,
        )
        where = WorkerOptions(engine, address, device, gpus, workers)
        make_pictures(chosen, Execution(out, batch, force, model, dtype, where))
    else:
        raise InputError("nothing to draw. Give a PROMPT, or --split for every prompt of a split.")


def _folder_of_loras(split: str, given: list[str]) -> Path:
    if len(given) != 1:
        raise InputError(
            f"--split {split} takes one --lora, the folder of the styles' LoRAs, not {len(given)}. "
            "`jstyleid train` makes them."
        )
    return Path(given[0])
