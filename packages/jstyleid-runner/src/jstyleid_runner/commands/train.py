"""`jstyleid train`: a LoRA for each style of a split."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from jstyleid_core.errors import InputError
from jstyleid_runner.options.common import DataOption, ModelOptions, StylesOption, given_path
from jstyleid_runner.options.sources import with_options
from jstyleid_runner.options.training import PriorOptions, TrainingOptions


@dataclass(frozen=True, kw_only=True)
class _LoRAOptions:
    """The LoRAs to train, and what is shown and kept on the way."""

    split: Annotated[str, typer.Option("--split", help="Name of the split, a folder in --data.")]
    data: DataOption = Path("data")
    out: Annotated[
        Path,
        typer.Option(
            "--out", "-o", parser=given_path, metavar="<path>", help="Folder for the LoRAs."
        ),
    ] = Path("loras")
    styles: StylesOption = None
    pack: Annotated[
        str | None, typer.Option("--pack", help="One LoRA for all of these styles, as 00,03,09.")
    ] = None
    checkpoint_every: Annotated[
        int, typer.Option("--checkpoint-every", min=1, help="Steps between two checkpoints.")
    ] = 100
    validate_every: Annotated[
        int | None,
        typer.Option("--validate-every", min=1, help="Draw pictures to look at every N steps."),
    ] = None
    validation_prompts: Annotated[
        int,
        typer.Option(
            "--validation-prompts", min=1, help="How many: the first prompts of each style."
        ),
    ] = 3
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of all that is drawn.")] = 0
    force: Annotated[
        bool, typer.Option("--force", help="Remove LoRAs trained with other settings.")
    ] = False


@dataclass(frozen=True, kw_only=True)
class TrainOptions(ModelOptions, PriorOptions, TrainingOptions, _LoRAOptions):
    """All options of the command."""


@with_options
def train(context: typer.Context, options: TrainOptions) -> None:
    """Train a LoRA for each style of a split, by DreamBooth: OUT/NN/ for each style NN.

    Options left out are the preset's. LoRAs that are finished are kept; run the same command again
    after a stop. Class images and the log are in OUT/.jstyleid.
    """
    from jstyleid_runner.options.sources import refuse_given
    from jstyleid_runner.options.to_settings import (
        named_styles,
        train_settings,
    )
    from jstyleid_runner.storage.layout import LoRAFolder
    from jstyleid_runner.storage.split import read_split, training_objects
    from jstyleid_runner.workflows.model import ModelSource, source_of
    from jstyleid_runner.workflows.session import RunCounts, session
    from jstyleid_runner.workflows.train import (
        TrainRequest,
        ValidationPlan,
        train_loras,
        training_jobs,
    )

    if options.validate_every is None:
        refuse_given(context, ["validation_prompts"], "nothing is drawn without --validate-every.")
    packed = named_styles("--pack", options.pack)
    named = packed or named_styles("--styles", options.styles)
    if packed and options.styles:
        raise InputError(
            "--styles, --pack: give one of them; --pack names its styles itself.",
            fields=["styles", "pack"],
        )
    chosen = read_split(options.data, options.split, named)
    if packed and len(chosen.styles) < 2:
        raise InputError(
            f"--pack {options.pack}: a pack takes two styles or more. Give --styles "
            f"{options.pack}.",
            fields=["pack", "styles"],
        )
    settings = train_settings(options, options, options.seed, options.backend)
    folder = LoRAFolder(options.out)
    every = options.validate_every
    jobs = training_jobs(
        chosen,
        settings,
        folder,
        packed=packed is not None,
        objects=training_objects(options.data, chosen.name, settings),
        checkpoint_every=options.checkpoint_every,
        shown=ValidationPlan(every, options.validation_prompts) if every else None,
    )
    folder.prepare()
    counts = RunCounts(len(jobs))
    with session(folder, folder.log, counts, "LoRAs") as display:
        source = ModelSource(
            source_of(options), options.device, display, backend=options.backend)
        request = TrainRequest(jobs, folder, options.dtype, options.force)
        files = train_loras(request, source, display, counts)
    for file in files:
        print(file)
