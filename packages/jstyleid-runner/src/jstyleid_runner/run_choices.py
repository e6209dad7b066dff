"""What the options of `jstyleid run` choose."""

from pathlib import Path
from typing import TypedDict, Unpack

import typer

from jstyleid_core.runtime import Backend
from jstyleid_dreambooth.training.presets import Preset
from jstyleid_runner.method_options import refuse_unused
from jstyleid_runner.method_settings import method_settings
from jstyleid_runner.picture_choices import PictureChoices
from jstyleid_runner.settings import Method, Start
from jstyleid_runner.sizes import parse_size
from jstyleid_runner.training_settings import training_settings


class RunOptions(TypedDict):
    """The options that decide the pictures, as the command line gives them."""

    split: str
    data: Path
    method: Method
    styles: str | None
    prompts: int | None
    reference: str
    seed: int
    size: str
    content_steps: int
    guidance: float
    negative: str
    template: str | None
    templates: Path | None
    start: Start
    strength: float
    lora: Path | None
    preset: Preset
    train_steps: int | None
    rank: int | None
    lr: float | None
    gradient_checkpointing: bool | None
    steps: int
    gamma: float
    temperature: float
    layers: str
    adain: bool
    injection: bool
    backend: Backend


def read_choices(context: typer.Context, **told: Unpack[RunOptions]) -> PictureChoices:
    """What the options choose.

    Raises:
        InputError: a value is not allowed, or an option was given that the method does not use.
    """
    method, lora, size = told["method"], told["lora"], parse_size(told["size"])
    refuse_unused(context, method, told["start"], lora)
    training = styleid = None
    if method != "styleid" and lora is None:
        given = {
            "steps": told["train_steps"],
            "rank": told["rank"],
            "learning_rate": told["lr"],
            "gradient_checkpointing": told["gradient_checkpointing"],
            "size": size,
            "seed": told["seed"],
        }
        training = training_settings(told["preset"], given, backend=told["backend"])
    if method != "dreambooth":
        styleid = method_settings(
            steps=told["steps"],
            gamma=told["gamma"],
            temperature=told["temperature"],
            layers=told["layers"],
            adain=told["adain"],
            injection=told["injection"],
        )
    return PictureChoices(
        split=told["split"],
        data=told["data"],
        styles=told["styles"],
        prompts=told["prompts"],
        method=method,
        lora=lora,
        seed=told["seed"],
        size=size,
        content_steps=told["content_steps"],
        guidance=told["guidance"],
        negative=told["negative"],
        template=told["template"],
        templates=told["templates"],
        start=told["start"],
        strength=told["strength"],
        training=training,
        styleid=styleid,
        reference=told["reference"] if styleid else None,
        backend=told["backend"],
    )
