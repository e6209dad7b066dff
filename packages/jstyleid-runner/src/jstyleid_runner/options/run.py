"""The options of `jstyleid run`; `plan`, `generate --split` and `demo` make runs of them too."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from jstyleid_runner.choices import Method
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
from jstyleid_runner.options.presets import RunPreset
from jstyleid_runner.options.styleid import StyleIDOptions
from jstyleid_runner.options.training import (
    BucketsOption,
    CaptionDropoutOption,
    GradientCheckpointingOption,
    LearningRateOption,
    MonitoringOptions,
    RankOption,
    ScheduleOption,
    WarmupStepsOption,
)


@dataclass(frozen=True, kw_only=True)
class _PictureOptions:
    """The pictures of a run."""

    split: Annotated[str, typer.Option("--split", help="Name of the split, a folder in --data.")]
    data: DataOption = Path("data")
    out: Annotated[
        Path,
        typer.Option(
            "--out", "-o", parser=given_path, metavar="<path>", help="Folder for the pictures."
        ),
    ] = Path("out")
    method: Annotated[
        Method,
        typer.Option(
            "--method",
            help="dreambooth draws with the style's LoRA; styleid draws without one and stylises; "
            "styleid-dreambooth does both. direct and direct-dreambooth stylise while they draw, "
            "at the cost of drawing.",
        ),
    ] = "styleid-dreambooth"
    styles: StylesOption = None
    prompts: PromptsOption = None
    reference: Annotated[
        str,
        typer.Option(
            "--reference",
            help="Which sample images pictures are stylised after: first, random, all, the first "
            "N, or files' names, as apple,ring.",
        ),
    ] = "first"
    seed: Annotated[
        int, typer.Option("--seed", help="Seed of all that is random.")
    ] = 0
    content_trajectory: Annotated[
        bool,
        typer.Option(
            "--content-trajectory",
            help="Stylise each drawing from what its denoising has left in memory, instead of "
            "inverting it: half of the work, and closer to the drawing. Takes --steps for both.",
        ),
    ] = False
    negative_query: Annotated[
        bool,
        typer.Option(
            "--negative-query",
            help="Lead away from the objects in the reference; for direct and direct-dreambooth.",
        ),
    ] = False
    size: SizeOption = "512"
    content_steps: Annotated[
        int,
        typer.Option(
            "--content-steps", help="DDIM steps of text to image.", rich_help_panel="Drawing"
        ),
    ] = 25


@dataclass(frozen=True, kw_only=True)
class _PageOptions:
    """What is shown at the end."""

    open: Annotated[
        bool, typer.Option("--open", help="Open the gallery in the browser at the end.")
    ] = False


@dataclass(frozen=True, kw_only=True)
class LoRAOptions(MonitoringOptions):
    """The LoRAs of a run: a folder of them, or the settings of their training."""

    lora: Annotated[
        Path | None,
        typer.Option(
            "--lora",
            help="Folder with the styles' LoRAs, or one LoRA for all; without it they are trained "
            "first, into OUT/.jstyleid/loras.",
            rich_help_panel="LoRA",
        ),
    ] = None
    preset: Annotated[
        RunPreset,
        typer.Option(
            "--preset",
            help="What options left out take their values from. Of the trainings: baseline is the "
            "challenge's recipe, tuned what raised its score. Of the style transfer: paper, "
            "reference (the defaults) or strong. Of both: fast, or score for the challenge.",
        ),
    ] = "baseline"
    train_steps: Annotated[
        int | None,
        typer.Option(
            "--train-steps",
            min=1,
            help="Optimizer steps. Baseline: 500.",
            rich_help_panel="LoRA",
        ),
    ] = None
    rank: RankOption = None
    lr: LearningRateOption = None
    schedule: ScheduleOption = None
    warmup_steps: WarmupStepsOption = None
    gradient_checkpointing: GradientCheckpointingOption = None
    caption_dropout: CaptionDropoutOption = None
    buckets: BucketsOption = None


@dataclass(frozen=True, kw_only=True)
class RunOptions(
    WorkerOptions, StyleIDOptions, LoRAOptions, _PageOptions, ExecutionOptions, GenerationOptions,
    _PictureOptions,
):
    """All options of a run."""
