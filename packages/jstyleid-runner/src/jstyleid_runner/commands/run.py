"""`jstyleid run`: draw and stylise every prompt of a split."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from jstyleid_runner.options import common as options
from jstyleid_runner.options import training as training_options


def run(
    context: typer.Context,
    split: Annotated[str, typer.Option("--split", help="Name of the split, a folder in --data.")],
    data: options.DataOption = Path("data"),
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the pictures.")] = Path(
        "out"
    ),
    method: Annotated[
        Literal["dreambooth", "styleid", "styleid-dreambooth"],
        typer.Option(
            "--method",
            help="dreambooth draws with the style's LoRA; styleid draws without one and stylises; "
            "styleid-dreambooth does both.",
        ),
    ] = "styleid-dreambooth",
    styles: options.StylesOption = None,
    prompts: options.PromptsOption = None,
    reference: Annotated[
        str,
        typer.Option(
            "--reference",
            help="Which sample image pictures are stylised after: first, random or a file's name.",
        ),
    ] = "first",
    seed: Annotated[
        int, typer.Option("--seed", help="Seed of drawing, training and a random reference.")
    ] = 0,
    size: options.SizeOption = "512",
    content_steps: Annotated[
        int,
        typer.Option(
            "--content-steps", help="DDIM steps of text to image.", rich_help_panel="Drawing"
        ),
    ] = 25,
    guidance: options.GuidanceOption = 7.5,
    negative: options.NegativeOption = "",
    template: options.TemplateOption = None,
    templates: options.TemplatesOption = None,
    start: options.StartOption = "noise",
    strength: options.StrengthOption = 0.9,
    batch: options.BatchOption = 1,
    force: options.ForceOption = False,
    lora: Annotated[
        Path | None,
        typer.Option(
            "--lora",
            help="Folder with the styles' LoRAs, or one LoRA for all; without it they are trained "
            "first, into OUT/.jstyleid/loras.",
            rich_help_panel="LoRA",
        ),
    ] = None,
    preset: training_options.PresetOption = "baseline",
    train_steps: Annotated[
        int | None,
        typer.Option(
            "--train-steps",
            min=1,
            help="Optimizer steps. Baseline: 500.",
            rich_help_panel="LoRA",
        ),
    ] = None,
    rank: training_options.RankOption = None,
    lr: training_options.LearningRateOption = None,
    gradient_checkpointing: training_options.GradientCheckpointingOption = None,
    steps: options.StepsOption = 20,
    gamma: options.GammaOption = 0.75,
    temperature: options.TemperatureOption = 1.5,
    layers: options.LayersOption = "7-11",
    adain: options.AdainOption = True,
    injection: options.InjectionOption = True,
    model: options.ModelOption = None,
    dtype: options.DtypeOption = "auto",
    device: options.DeviceOption = "auto",
    backend: options.BackendOption = "native",
    gpus: options.GpusOption = None,
    workers: options.WorkersOption = None,
    engine: options.EngineOption = "local",
    address: options.AddressOption = None,
) -> None:
    """Make a picture of every prompt of a split: OUT/NN/PROMPT.png for each style NN.

    Each prompt is drawn with its style's LoRA, which is trained first, and then given the look of
    one of the style's sample images; --method leaves out either half. Pictures that are there
    already are kept; run the same command again after a stop. Everything else (log, LoRAs,
    contents, contact sheets, settings) is in OUT/.jstyleid.
    """
    from jstyleid_runner.options.to_settings import read_choices
    from jstyleid_runner.workflows.run import Execution, make_pictures
    from jstyleid_runner.workflows.workers import WorkerOptions

    chosen = read_choices(
        context,
        split=split,
        data=data,
        method=method,
        styles=styles,
        prompts=prompts,
        reference=reference,
        seed=seed,
        size=size,
        content_steps=content_steps,
        guidance=guidance,
        negative=negative,
        template=template,
        templates=templates,
        start=start,
        strength=strength,
        lora=lora,
        preset=preset,
        train_steps=train_steps,
        rank=rank,
        lr=lr,
        gradient_checkpointing=gradient_checkpointing,
        steps=steps,
        gamma=gamma,
        temperature=temperature,
        layers=layers,
        adain=adain,
        injection=injection,
        backend=backend,
    )
    where = WorkerOptions(engine, address, device, gpus, workers)
    make_pictures(chosen, Execution(out, batch, force, model, dtype, where))
