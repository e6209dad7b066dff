"""The options that several commands share, described once."""

from typing import Annotated

import typer

from jstyleid_core.runtime import Device, DType

_METHOD = "StyleID"
_MODEL = "Model and device"

ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model",
        help="Checkpoint: a local folder in diffusers layout, or a hub id. "
        "Default: JSTYLEID_MODEL, or Stable Diffusion 2.1.",
        rich_help_panel=_MODEL,
    ),
]
DtypeOption = Annotated[
    DType,
    typer.Option(
        "--dtype",
        help="Number format of the weights; auto is float16 on CUDA, float32 on CPU.",
        rich_help_panel=_MODEL,
    ),
]
DeviceOption = Annotated[
    Device, typer.Option("--device", help="Where to compute.", rich_help_panel=_MODEL)
]
SizeOption = Annotated[
    str, typer.Option("--size", help="Size of the pictures in pixels, as 512 or 768x512.")
]
StepsOption = Annotated[
    int,
    typer.Option("--steps", help="DDIM steps up and down again.", rich_help_panel=_METHOD),
]
GammaOption = Annotated[
    float,
    typer.Option(
        "--gamma",
        help="How much of the content's queries is kept, 0 to 1; 0.3 is a strong style.",
        rich_help_panel=_METHOD,
    ),
]
TemperatureOption = Annotated[
    float,
    typer.Option(
        "--temperature", help="Sharpens the attention to the style.", rich_help_panel=_METHOD
    ),
]
LayersOption = Annotated[
    str,
    typer.Option(
        "--layers",
        help="Decoder layers that take the style, 3 to 11, as 7-11 or 7,9,11.",
        rich_help_panel=_METHOD,
    ),
]
AdainOption = Annotated[
    bool,
    typer.Option(
        "--adain/--no-adain",
        help="Give the initial latent the style's mean and spread.",
        rich_help_panel=_METHOD,
    ),
]
InjectionOption = Annotated[
    bool,
    typer.Option(
        "--injection/--no-injection",
        help="Let the self-attention look at the style.",
        rich_help_panel=_METHOD,
    ),
]
GuidanceOption = Annotated[
    float, typer.Option("--guidance", help="Classifier-free guidance scale of text to image.")
]
