"""`jstyleid train`: a LoRA for each style of a split."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from jstyleid_core.errors import InputError
from jstyleid_runner.options.common import DataOption, ModelOptions, StylesOption, given_path
from jstyleid_runner.options.sources import with_options
from jstyleid_runner.options.training import MonitoringOptions, PriorOptions, TrainingOptions


@dataclass(frozen=True, kw_only=True)
class _LoRAOptions:
    """The LoRAs to train."""

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
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of all that is drawn.")] = 0
    force: Annotated[
        bool, typer.Option("--force", help="Remove LoRAs trained with other settings.")
    ] = False


@dataclass(frozen=True, kw_only=True)
class TrainOptions(ModelOptions, MonitoringOptions, PriorOptions, TrainingOptions, _LoRAOptions):
    """All options of the command."""


@with_options
def train(context: typer.Context, options: TrainOptions) -> None:
    """Train a LoRA for each style of a split, by DreamBooth: OUT/NN/ for each style NN.

    Options left out are the preset's. LoRAs that are finished are kept; run the same command again
    after a stop. Class images and the log are in OUT/.jstyleid.
    """
    from jstyleid_runner.options.to_settings import monitoring_of, named_styles, train_settings
    from jstyleid_runner.storage.layout import LoRAFolder
    from jstyleid_runner.storage.split import read_split, training_objects
    from jstyleid_runner.workflows.model import ModelSource, source_of
    from jstyleid_runner.workflows.session import RunCounts, session
    from jstyleid_runner.workflows.train import (
        TrainRequest,
        train_loras,
        training_jobs,
    )

    monitoring = monitoring_of(context, options)
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
    jobs = training_jobs(
        chosen,
        settings,
        folder,
        packed=packed is not None,
        objects=training_objects(options.data, chosen.name, settings),
        monitoring=monitoring,
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
