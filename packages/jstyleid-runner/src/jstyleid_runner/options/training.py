"""The options that describe a training, each with the baseline's value.

Left out, they are None: the preset then decides.
"""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import typer

from jstyleid_dreambooth.training.presets import Preset

_LORA = "LoRA"
_OPTIMIZER = "Optimizer"
_SAMPLES = "Samples"
_PRIOR = "Prior preservation"
_MONITORING = "During a training"


def _setting(*names: str, help: str, baseline: str, panel: str, **more: Any) -> Any:
    return typer.Option(*names, help=f"{help} Baseline: {baseline}.", rich_help_panel=panel, **more)


PresetOption = Annotated[
    Preset,
    typer.Option(
        "--preset",
        help="What options left out take their values from: baseline is the challenge's recipe, "
        "tuned what raised its score.",
        rich_help_panel=_LORA,
    ),
]
RankOption = Annotated[
    int | None,
    _setting("--rank", min=1, baseline="4", panel=_LORA, help="Inner width of the LoRA."),
]
LearningRateOption = Annotated[
    float | None,
    _setting("--lr", "--learning-rate", baseline="0.0001", panel=_OPTIMIZER, help="Learning rate."),
]
BucketsOption = Annotated[
    bool | None,
    _setting(
        "--buckets/--no-buckets",
        baseline="off",
        panel=_SAMPLES,
        help="Samples keep their proportions, with at most the pixels of the size.",
    ),
]
CaptionDropoutOption = Annotated[
    float | None,
    _setting(
        "--caption-dropout",
        baseline="0",
        panel=_SAMPLES,
        help="How often a sample is shown with an empty prompt, 0 to 1.",
    ),
]
ScheduleOption = Annotated[
    Literal["constant", "linear", "cosine"] | None,
    _setting(
        "--schedule",
        baseline="constant",
        panel=_OPTIMIZER,
        help="The learning rate over the steps: as it is, or down to zero after the last, along a "
        "line or half a cosine.",
    ),
]
WarmupStepsOption = Annotated[
    int | None,
    _setting(
        "--warmup-steps",
        min=0,
        baseline="0",
        panel=_OPTIMIZER,
        help="First steps, over which the learning rate rises from zero.",
    ),
]
GradientCheckpointingOption = Annotated[
    bool | None,
    _setting(
        "--gradient-checkpointing/--no-gradient-checkpointing",
        baseline="off",
        panel=_OPTIMIZER,
        help="Less memory, a third more time.",
    ),
]


@dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    """The settings of a training; None leaves a setting to the preset."""

    preset: PresetOption = "baseline"
    steps: Annotated[
        int | None,
        _setting("--steps", min=1, baseline="500", panel=_LORA, help="Optimizer steps."),
    ] = None
    rank: RankOption = None
    alpha: Annotated[
        float | None,
        _setting(
            "--alpha",
            baseline="the rank",
            panel=_LORA,
            help="The update is scaled by alpha / rank.",
        ),
    ] = None
    dropout: Annotated[
        float | None,
        _setting(
            "--dropout",
            baseline="0",
            panel=_LORA,
            help="Share of the LoRA's inputs that is zeroed.",
        ),
    ] = None
    targets: Annotated[
        str | None,
        _setting(
            "--targets",
            baseline="to_q,to_k,to_v,to_out.0",
            panel=_LORA,
            help="Layers of the UNet, by the end of their names; * stands for anything.",
        ),
    ] = None
    text_targets: Annotated[
        str | None,
        _setting(
            "--text-targets",
            baseline="none",
            panel=_LORA,
            help="Layers of the text encoder, as q_proj,k_proj,v_proj,out_proj.",
        ),
    ] = None
    learning_rate: LearningRateOption = None
    up_rate_ratio: Annotated[
        float | None,
        _setting(
            "--up-rate-ratio",
            baseline="1",
            panel=_OPTIMIZER,
            help="Learning rate of the LoRA's B over that of its A.",
        ),
    ] = None
    schedule: ScheduleOption = None
    warmup_steps: WarmupStepsOption = None
    weight_decay: Annotated[
        float | None,
        _setting("--weight-decay", baseline="0.01", panel=_OPTIMIZER, help="Of AdamW."),
    ] = None
    max_grad_norm: Annotated[
        float | None,
        _setting(
            "--max-grad-norm",
            baseline="1",
            panel=_OPTIMIZER,
            help="The gradients are scaled down to this norm; 0 leaves them as they are.",
        ),
    ] = None
    accumulation: Annotated[
        int | None,
        _setting(
            "--accumulation",
            min=1,
            baseline="1",
            panel=_OPTIMIZER,
            help="Gradients averaged a step: memory of one, effect of several.",
        ),
    ] = None
    gradient_checkpointing: GradientCheckpointingOption = None
    batch: Annotated[
        int | None,
        _setting("--batch", min=1, baseline="1", panel=_SAMPLES, help="Sample images a gradient."),
    ] = None
    size: Annotated[
        str | None,
        _setting(
            "--size", baseline="512", panel=_SAMPLES, help="Size in pixels, as 512 or 768x512."),
    ] = None
    buckets: BucketsOption = None
    enlarge: Annotated[
        float | None,
        _setting(
            "--enlarge",
            baseline="1",
            panel=_SAMPLES,
            help="Samples are scaled to this times the size, then cut; 1.04 leaves 4 % to cut.",
        ),
    ] = None
    crops: Annotated[
        int | None,
        _setting(
            "--crops", min=1, baseline="16", panel=_SAMPLES, help="Places each sample is cut at."),
    ] = None
    prompt: Annotated[
        str | None,
        _setting(
            "--prompt",
            baseline="style_{style}",
            panel=_SAMPLES,
            help="What a sample without a caption, a .txt file beside it, shows; may name {style} "
            "and {object}, the latter by its file's name.",
        ),
    ] = None
    caption_dropout: CaptionDropoutOption = None


@dataclass(frozen=True, kw_only=True)
class PriorOptions:
    """The settings of prior preservation; None leaves a setting to the preset."""

    prior: Annotated[
        bool | None,
        _setting(
            "--prior/--no-prior",
            baseline="no-prior",
            panel=_PRIOR,
            help="Train on class images too, drawn once without the style, so that the LoRA "
            "forgets less of what the model knew.",
        ),
    ] = None
    prior_weight: Annotated[
        float | None,
        typer.Option(
            "--prior-weight",
            rich_help_panel=_PRIOR,
            help="Weight of the class images in the loss. With --prior: 1.",
        ),
    ] = None
    prior_images: Annotated[
        int | None,
        typer.Option(
            "--prior-images",
            min=1,
            rich_help_panel=_PRIOR,
            help="How many class images are drawn. With --prior: 300.",
        ),
    ] = None
    prior_prompt: Annotated[
        str | None,
        typer.Option(
            "--prior-prompt",
            rich_help_panel=_PRIOR,
            help="What they show; {object} takes each object of the split's samples in turn. With "
            "--prior: an image of {object}.",
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class MonitoringOptions:
    """What trainings show and keep on their way."""

    checkpoint_every: Annotated[
        int,
        typer.Option(
            "--checkpoint-every",
            min=1,
            rich_help_panel=_MONITORING,
            help="Steps between two checkpoints.",
        ),
    ] = 100
    keep_checkpoints: Annotated[
        int,
        typer.Option(
            "--keep-checkpoints",
            min=1,
            rich_help_panel=_MONITORING,
            help="The last N checkpoints are kept.",
        ),
    ] = 2
    validate_every: Annotated[
        int | None,
        typer.Option(
            "--sample-every",
            "--validate-every",
            min=1,
            rich_help_panel=_MONITORING,
            help="Draw pictures with the LoRA every N steps.",
        ),
    ] = None
    sample_prompt: Annotated[
        list[str] | None,
        typer.Option(
            "--sample-prompt",
            rich_help_panel=_MONITORING,
            help="What they show; may name {style}. Repeatable; in an environment variable one a "
            "line. Default: the first prompts of each style.",
        ),
    ] = None
    validation_prompts: Annotated[
        int,
        typer.Option(
            "--validation-prompts",
            min=1,
            rich_help_panel=_MONITORING,
            help="How many of these first prompts.",
        ),
    ] = 3
    wandb: Annotated[
        str | None,
        typer.Option(
            "--wandb",
            metavar="PROJECT",
            rich_help_panel=_MONITORING,
            help="Send figures and pictures to this project of Weights & Biases, too.",
        ),
    ] = None
