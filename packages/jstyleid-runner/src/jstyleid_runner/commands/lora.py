"""`jstyleid lora`: what a LoRA file is, several in one, and one as other programs write it."""

import json
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from jstyleid_core.errors import InputError
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


def merge(
    loras: Annotated[
        list[str],
        typer.Argument(metavar="FILE[:WEIGHT]...", help="LoRA files; weight 1 unless given."),
    ],
    out: Annotated[
        Path,
        typer.Option("--out", "-o", parser=options.given_path, metavar="<path>",
                     help="The .safetensors file to write."),
    ],
    rank: Annotated[
        int | None,
        typer.Option("--rank", min=1, help="Largest rank of a layer, by singular values; without "
                     "it the ranks add up."),
    ] = None,
) -> None:
    """Merge LoRAs into one that acts as all of them together.

    The ranks add up, and the update is the exact sum but for float32's rounding. With --rank it is
    the nearest of that rank, and the relative error is printed. No model is loaded.
    """
    from jstyleid_dreambooth import write_lora
    from jstyleid_dreambooth.lora.files.modelspec import merged_entries, network_entries
    from jstyleid_dreambooth.lora.merging import merge_loras
    from jstyleid_runner.storage.layout import require_writable
    from jstyleid_runner.workflows.generate import read_loras

    _require_safetensors(out)
    require_writable(out.parent)
    named = read_loras(loras)
    merged, error = merge_loras([(each.weights, each.weight) for each in named], rank)
    parts = json.dumps([each.provenance() for each in named], sort_keys=True)
    entries = merged_entries([(Path(each.weights.source).stem, each.weights.about)
                              for each in named], out.stem)
    print(write_lora(out, merged, {**entries, **network_entries(merged), "merged": parts}))
    ranks = ", ".join(map(str, merged.ranks()))
    loss = f"; relative error {error:.3g}" if rank else ""
    print(f"{len(merged)} layers of rank {ranks}{loss}", file=sys.stderr)


def convert(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A LoRA file, or its folder.")],
    out: Annotated[
        Path,
        typer.Option("--out", "-o", parser=options.given_path, metavar="<path>",
                     help="The .safetensors file to write; for peft a new folder."),
    ],
    to: Annotated[
        Literal["diffusers", "peft", "kohya"],
        typer.Option("--to", help="The program that is to read it."),
    ],
    only: Annotated[
        Literal["unet", "text_encoder"] | None,
        typer.Option("--only", help="The layers of one network; a folder of peft has no more."),
    ] = None,
) -> None:
    """Write a LoRA as diffusers, PEFT or kohya's scripts do.

    A, B and the alpha of each layer stay the same numbers. No model is loaded.
    """
    from jstyleid_dreambooth import read_lora
    from jstyleid_dreambooth.lora.files.formats import write_as
    from jstyleid_runner.storage.layout import require_writable

    if to != "peft":
        _require_safetensors(out)
    require_writable(out.parent)
    lora = read_lora(file)
    if only:
        if not lora.layers.get(only):
            raise InputError(f"--only {only}: {lora.source} has no layer of it.", fields=["only"])
        lora = replace(lora, layers={only: lora.layers[only]})
    print(write_as(out, lora, to))
    print(f"{len(lora)} layers of rank {', '.join(map(str, lora.ranks()))}", file=sys.stderr)


def _require_safetensors(out: Path) -> None:
    if out.suffix != ".safetensors":
        raise InputError(f"--out {out}: must be a .safetensors file.", fields=["out"])


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
        *((key, _short(value)) for key, value in sorted(found.metadata.items())
          if key.startswith(("modelspec.", "ss_"))),
    ]


_LONGEST = 100


def _short(value: str) -> str:
    """The value of a line; a thumbnail takes thousands of characters."""
    if len(value) <= _LONGEST:
        return value
    return f"{value[:_LONGEST]}... ({len(value)} characters; --json shows all)"
