"""`jstyleid lora info`: what a LoRA file is."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jstyleid_runner.options import common as options

if TYPE_CHECKING:
    from jstyleid_dreambooth.lora.files.describing import LoRADescription


def info(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A LoRA file, or its folder.")],
    as_json: options.JsonOption = False,
) -> None:
    """Show what a LoRA is: its layers, ranks, base and trigger.

    A file that cannot be used is refused with the reason, and exit code 2. No model is loaded.
    """
    from jstyleid_dreambooth.lora.files.describing import describe_lora

    found = describe_lora(file)
    if as_json:
        print(json.dumps(asdict(found), indent=2))
        return
    for name, value in _lines(found):
        # A header may hold what moves a terminal's cursor.
        print(f"{name:<10} {value if value.isprintable() else json.dumps(value)}")


def _lines(found: "LoRADescription") -> list[tuple[str, str]]:
    counts = ", ".join(f"{count} of the {part.replace('_', ' ')}"
                       for part, count in found.layers.items())
    if found.convolutions:
        counts += f"; {found.convolutions} of them convolutions"
    return [
        ("file", found.file),
        ("sha256", found.sha256),
        ("title", found.title or "not said"),
        ("names of", found.spelling),
        ("layers", counts),
        ("rank", ", ".join(map(str, found.ranks))),
        ("alpha", ", ".join(f"{alpha:g}" for alpha in found.alphas)),
        ("parameters", str(found.parameters)),
        ("version", found.version or "unknown: the width of cross attention does not tell it"),
        ("base", found.base or "not said"),
        ("trigger", found.trigger or "not said"),
    ]
