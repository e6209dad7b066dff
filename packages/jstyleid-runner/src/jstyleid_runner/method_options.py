"""Which options a method makes no use of."""

from pathlib import Path

import typer

from jstyleid_runner.given_options import refuse_given
from jstyleid_runner.settings import Method, Start

_TRAINING = ("preset", "train_steps", "rank", "lr", "gradient_checkpointing")
_STYLEID = ("reference", "steps", "gamma", "temperature", "layers", "adain", "injection")


def refuse_unused(context: typer.Context, method: Method, start: Start, lora: Path | None) -> None:
    """Raise an InputError if `jstyleid run` was given an option that its method does not use."""
    if method == "styleid":
        refuse_given(
            context,
            ("lora", *_TRAINING),
            "--method styleid uses no LoRA. Leave this out, or give another --method.",
        )
    if method == "dreambooth":
        refuse_given(
            context,
            _STYLEID,
            "--method dreambooth stylises nothing. Leave this out, or give another --method.",
        )
    if lora:
        refuse_given(
            context, _TRAINING, "nothing is trained with --lora. Leave this or --lora out."
        )
    refuse_strength(context, start)


def refuse_strength(context: typer.Context, start: Start) -> None:
    """Raise an InputError if a strength was given for a start that has none."""
    if start == "noise":
        refuse_given(context, ["strength"], "belongs to --start mean. Give both, or neither.")
