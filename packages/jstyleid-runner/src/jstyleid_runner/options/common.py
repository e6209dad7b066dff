"""The options that several commands share: single ones, and groups of them as dataclasses."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from jstyleid_core.runtime import Backend, Device, DType
from jstyleid_runner.choices import EngineName, Prediction, Start
from jstyleid_runner.storage.layout import FolderPath

MOST_WORKERS = 1024
"""Many more than a machine has GPUs or processors."""

_DRAWING = "Drawing"
_MODEL = "Model and device"

DeviceOption = Annotated[
    Device, typer.Option("--device", help="Where to compute.", rich_help_panel=_MODEL)
]
BackendOption = Annotated[
    Backend,
    typer.Option(
        "--backend",
        help="Whose networks compute: this project's own, or an installation of JDiffusion's.",
        rich_help_panel=_MODEL,
    ),
]


def given_path(text: str | Path) -> Path:
    """A path from the command line, where `""` would mean the working directory.

    Raises:
        BadParameter: it is empty, as a shell variable that is not set leaves it.
    """
    if text == "":
        raise typer.BadParameter("it is empty. Give a path; . is the working directory.")
    return FolderPath(text) if str(text).endswith(("/", "/.")) else Path(text)


SizeOption = Annotated[
    str, typer.Option("--size", help="Size of the pictures in pixels, as 512 or 768x512.")
]
DataOption = Annotated[
    Path,
    typer.Option(
        "--data", parser=given_path, metavar="<path>", help="Folder that holds the splits."
    ),
]
StylesOption = Annotated[str | None, typer.Option("--styles", help="Only these styles, as 00,04.")]
PromptsOption = Annotated[
    int | None,
    typer.Option("--prompts", min=1, help="Only the first N prompts of each style."),
]
JsonOption = Annotated[
    bool, typer.Option("--json", allow_from_autoenv=False, help="Print it as JSON.")
]
RunFolderArgument = Annotated[
    Path,
    typer.Argument(
        metavar="OUT", parser=given_path, help="Folder of a run, as --out named it."
    ),
]
GpusOption = Annotated[
    int | None,
    typer.Option(
        "--gpus",
        min=0,
        max=MOST_WORKERS,
        help="GPUs to use, a worker on each; 0 is the CPU.",
        rich_help_panel=_MODEL,
    ),
]
WorkersOption = Annotated[
    int | None,
    typer.Option(
        "--workers",
        min=1,
        max=MOST_WORKERS,
        help="Workers on the CPU, which share its processors.",
        rich_help_panel=_MODEL,
    ),
]


@dataclass(frozen=True, kw_only=True)
class ModelOptions:
    """The checkpoint, and where and how it computes."""

    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            help="Checkpoint: a folder in diffusers layout, a .safetensors file, or a hub id. "
            "Default: JSTYLEID_MODEL, or Stable Diffusion 2.1.",
            rich_help_panel=_MODEL,
        ),
    ] = None
    vae: Annotated[
        str | None,
        typer.Option(
            "--vae",
            help="Another autoencoder: a folder in diffusers layout, or a .safetensors file.",
            rich_help_panel=_MODEL,
        ),
    ] = None
    tokenizer: Annotated[
        str | None,
        typer.Option(
            "--tokenizer",
            help="Folder with vocab.json and merges.txt, for a --model that is a file. Default: "
            "CLIP's, from the hub.",
            rich_help_panel=_MODEL,
        ),
    ] = None
    prediction: Annotated[
        Prediction | None,
        typer.Option(
            "--prediction",
            help="What the model predicts, if its files do not say it or say it wrongly.",
            rich_help_panel=_MODEL,
        ),
    ] = None
    dtype: Annotated[
        DType,
        typer.Option(
            "--dtype",
            help="Number format of the weights; auto is float16 on CUDA, float32 on CPU.",
            rich_help_panel=_MODEL,
        ),
    ] = "auto"
    device: DeviceOption = "auto"
    backend: BackendOption = "native"


@dataclass(frozen=True, kw_only=True)
class WorkerOptions(ModelOptions):
    """The workers that do the work of a run."""

    gpus: GpusOption = None
    workers: WorkersOption = None
    engine: Annotated[
        EngineName,
        typer.Option(
            "--engine",
            help="Workers on this machine, or on a Ray cluster: one on each of its GPUs, or as "
            "many as --gpus says.",
            rich_help_panel=_MODEL,
        ),
    ] = "local"
    address: Annotated[
        str | None,
        typer.Option(
            "--address",
            metavar="HOST:PORT|auto",
            help="With --engine ray: the cluster, as `ray start --head` shows it. Without it Ray "
            "is started on this machine.",
            rich_help_panel=_MODEL,
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class GenerationOptions:
    """The settings of text to image."""

    guidance: Annotated[
        float,
        typer.Option(
            "--guidance",
            help="Classifier-free guidance scale of text to image.",
            rich_help_panel=_DRAWING,
        ),
    ] = 7.5
    negative: Annotated[
        str, typer.Option("--negative", help="What to avoid.", rich_help_panel=_DRAWING)
    ] = ""
    template: Annotated[
        str | None,
        typer.Option(
            "--template",
            help="What is drawn for a prompt; may name {prompt} and {style}. With a LoRA: "
            "{prompt} in style_{style}.",
            rich_help_panel=_DRAWING,
        ),
    ] = None
    templates: Annotated[
        Path | None,
        typer.Option(
            "--templates",
            help='A JSON file with the templates of single styles, {"00": "...", "default": '
            '"..."}.',
            rich_help_panel=_DRAWING,
        ),
    ] = None
    start: Annotated[
        Start,
        typer.Option(
            "--start",
            help="What drawing starts from: noise, or the mean of the style's sample images.",
            rich_help_panel=_DRAWING,
        ),
    ] = "noise"
    strength: Annotated[
        float,
        typer.Option(
            "--strength",
            help="With --start mean: how much noise covers it, up to 1, and so which share of the "
            "steps is taken.",
            rich_help_panel=_DRAWING,
        ),
    ] = 0.9


@dataclass(frozen=True, kw_only=True)
class ExecutionOptions:
    """The way in which pictures are made, which changes none of them."""

    batch: Annotated[
        int | None,
        typer.Option(
            "--batch",
            min=1,
            max=1024,
            help="Pictures computed together, if memory allows. Without it 4 on a GPU, and for "
            "pictures smaller than 512 x 512 pixels; else 1.",
        ),
    ] = None
    force: Annotated[
        bool, typer.Option("--force", help="Replace pictures made with other settings.")
    ] = False
