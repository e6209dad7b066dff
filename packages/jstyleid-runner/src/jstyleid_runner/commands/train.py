"""`jstyleid train`: a LoRA for each style of a split."""

from pathlib import Path
from typing import Annotated

import typer

from jstyleid_core.errors import InputError
from jstyleid_runner.options import common as options
from jstyleid_runner.options import training


def train(
    context: typer.Context,
    split: Annotated[str, typer.Option("--split", help="Name of the split, a folder in --data.")],
    data: options.DataOption = Path("data"),
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the LoRAs.")] = Path("loras"),
    styles: options.StylesOption = None,
    pack: Annotated[
        str | None, typer.Option("--pack", help="One LoRA for all of these styles, as 00,03,09.")
    ] = None,
    checkpoint_every: Annotated[
        int, typer.Option("--checkpoint-every", min=1, help="Steps between two checkpoints.")
    ] = 100,
    validate_every: Annotated[
        int | None,
        typer.Option("--validate-every", min=1, help="Draw pictures to look at every N steps."),
    ] = None,
    validation_prompts: Annotated[
        int,
        typer.Option(
            "--validation-prompts", min=1, help="How many: the first prompts of each style."
        ),
    ] = 3,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of all that is drawn.")] = 0,
    force: Annotated[
        bool, typer.Option("--force", help="Remove LoRAs trained with other settings.")
    ] = False,
    preset: training.PresetOption = "baseline",
    steps: training.TrainingStepsOption = None,
    rank: training.RankOption = None,
    alpha: training.AlphaOption = None,
    dropout: training.DropoutOption = None,
    targets: training.TargetsOption = None,
    text_targets: training.TextTargetsOption = None,
    learning_rate: training.LearningRateOption = None,
    up_rate_ratio: training.UpRateRatioOption = None,
    schedule: training.ScheduleOption = None,
    warmup_steps: training.WarmupStepsOption = None,
    weight_decay: training.WeightDecayOption = None,
    max_grad_norm: training.MaxGradNormOption = None,
    accumulation: training.AccumulationOption = None,
    gradient_checkpointing: training.GradientCheckpointingOption = None,
    batch: training.TrainingBatchOption = None,
    size: training.TrainingSizeOption = None,
    enlarge: training.EnlargeOption = None,
    crops: training.CropsOption = None,
    prompt: training.SamplePromptOption = None,
    prior: training.PriorOption = None,
    prior_weight: training.PriorWeightOption = None,
    prior_images: training.PriorImagesOption = None,
    prior_prompt: training.PriorPromptOption = None,
    model: options.ModelOption = None,
    dtype: options.DtypeOption = "auto",
    device: options.DeviceOption = "auto",
    backend: options.BackendOption = "native",
) -> None:
    """Train a LoRA for each style of a split, by DreamBooth: OUT/NN/ for each style NN.

    Options left out are the preset's. LoRAs that are finished are kept; run the same command again
    after a stop. Class images and the log are in OUT/.jstyleid.
    """
    from jstyleid_runner.options.sources import refuse_given
    from jstyleid_runner.options.to_settings import (
        layer_names,
        named_styles,
        parse_size,
        training_settings,
    )
    from jstyleid_runner.storage.layout import LoRAFolder
    from jstyleid_runner.storage.split import class_objects, read_split
    from jstyleid_runner.worker.engine import named_source
    from jstyleid_runner.workflows.model import ModelSource
    from jstyleid_runner.workflows.session import RunCounts, session
    from jstyleid_runner.workflows.train import (
        TrainRequest,
        ValidationPlan,
        train_loras,
        training_jobs,
    )

    if validate_every is None:
        refuse_given(context, ["validation_prompts"], "nothing is drawn without --validate-every.")
    packed = named_styles("--pack", pack)
    named = packed or named_styles("--styles", styles)
    if packed and styles:
        raise InputError("--styles, --pack: give one of them; --pack names its styles itself.")
    chosen = read_split(data, split, named)
    if packed and len(chosen.styles) < 2:
        raise InputError(f"--pack {pack}: a pack takes two styles or more. Give --styles {pack}.")
    settings = training_settings(
        preset,
        {
            "steps": steps,
            "rank": rank,
            "alpha": alpha,
            "dropout": dropout,
            "targets": layer_names("--targets", targets),
            "text_targets": layer_names("--text-targets", text_targets),
            "learning_rate": learning_rate,
            "up_rate_ratio": up_rate_ratio,
            "schedule": schedule,
            "warmup_steps": warmup_steps,
            "weight_decay": weight_decay,
            "max_grad_norm": max_grad_norm,
            "accumulation": accumulation,
            "gradient_checkpointing": gradient_checkpointing,
            "batch": batch,
            "size": parse_size(size) if size is not None else None,
            "enlarge": enlarge,
            "crops": crops,
            "prompt": prompt,
            "seed": seed,
        },
        prior,
        {"weight": prior_weight, "images": prior_images, "prompt": prior_prompt},
        backend,
    )
    folder = LoRAFolder(out)
    jobs = training_jobs(
        chosen,
        settings,
        folder,
        packed=packed is not None,
        objects=class_objects(data, split, settings),
        checkpoint_every=checkpoint_every,
        looks=ValidationPlan(validate_every, validation_prompts) if validate_every else None,
    )
    folder.prepare()
    counts = RunCounts(len(jobs))
    with session(folder, folder.log, counts, "LoRAs") as reporter:
        source = ModelSource(named_source(model), device, reporter, backend=backend)
        request = TrainRequest(jobs, folder, dtype, force)
        files = train_loras(request, source, reporter, counts)
    for file in files:
        print(file)
