"""Which LoRA of a folder each style is drawn with."""

from collections.abc import Sequence
from pathlib import Path

from jstyleid_core.errors import InputError
from jstyleid_runner.split import Split

_FILES = ("pytorch_lora_weights.safetensors", "pytorch_lora_weights.bin")
_PACK = "pack-"


def find_loras(given: Path, split: Split) -> dict[str, Path]:
    """The LoRA file of each chosen style of a split, each of them read once to see that it can be.

    A style's LoRA is in the folder `NN`, `style_NN` or `style_<split>_NN` of `given`; or else in
    a folder `pack-...` there whose name lists the style; or else `given` itself is one.

    Raises:
        InputError: there is none, more than one, or one that cannot be read.
    """
    from jstyleid_dreambooth import read_lora

    if not given.exists():
        raise InputError(
            f"--lora {given}: no such folder or file. Give a folder with a LoRA a style, as "
            "`jstyleid train` writes it, or one LoRA for all."
        )
    loras = {style.id: _find(given, split.name, style.id) for style in split.styles}
    for path in dict.fromkeys(loras.values()):
        read_lora(path)
    return loras


def _find(given: Path, split: str, style: str) -> Path:
    names = (style, f"style_{style}", f"style_{split}_{style}")
    for folders in ([given / name for name in names], _packs(given, style), [given]):
        if found := [file for folder in folders if (file := _lora_in(folder))]:
            if len(found) > 1:
                listed = " and ".join(map(str, found))
                raise InputError(
                    f"--lora {given}: style {style} has more than one LoRA: {listed}. Keep one."
                )
            return found[0]
    looked = ", ".join(f"{given / name}/" for name in names)
    raise InputError(
        f"--lora {given}: no LoRA for style {style}. Looked for {' or '.join(_FILES)} in {looked}, "
        f"a folder {given / _PACK}... that lists {style}, and {given} itself."
    )


def _packs(given: Path, style: str) -> Sequence[Path]:
    if not given.is_dir():
        return ()
    folders = sorted(path for path in given.glob(f"{_PACK}*") if path.is_dir())
    # By the whole name between two dashes: `pack-10-20` lists neither 0 nor 1.
    return [path for path in folders if f"-{style}-" in f"{path.name}-"]


def _lora_in(place: Path) -> Path | None:
    if place.is_file():
        return place
    return next((place / name for name in _FILES if (place / name).is_file()), None)
