"""The LoRA file of a folder, as diffusers, PEFT and other programs save it."""

from __future__ import annotations

import os
from pathlib import Path

from jstyleid_core.errors import CheckpointError

SUFFIXES = (".safetensors", ".bin", ".pt", ".pth", ".ckpt")
"""Endings of the files that are taken for LoRAs in a folder."""

_DIFFUSERS, _PEFT = "pytorch_lora_weights", "adapter_model"
_NAMES = tuple(f"{stem}{suffix}" for stem in (_DIFFUSERS, _PEFT) for suffix in SUFFIXES[:2])


def find_file(path: Path) -> Path:
    """The file itself, or the LoRA file of a folder, see `lora_in`.

    Raises:
        CheckpointError: nothing is there, or a folder without a LoRA file or with several.
    """
    if found := lora_in(path):
        return found
    if os.path.isdir(path):
        raise CheckpointError(
            f"{path} holds no LoRA: none of {', '.join(_NAMES)} is in the folder, and no other "
            f"file ending in {', '.join(SUFFIXES)}. Give the file."
        )
    if os.path.exists(path):
        raise CheckpointError(f"{path} is no ordinary file. Give a LoRA file, or its folder.")
    raise CheckpointError(f"{path} does not exist. Give a LoRA file, or the folder it is in.")


def lora_in(place: Path) -> Path | None:
    """The LoRA file that a file or a folder is, None where there is none.

    In a folder that is `pytorch_lora_weights` or else `adapter_model`, as safetensors rather than
    as `.bin`; otherwise the only file with such an ending; otherwise that of the only folder in it
    with an `adapter_model`, where PEFT saves an adapter that has a name.

    Raises:
        CheckpointError: the folder holds several LoRAs, or cannot be read.
    """
    if os.path.isfile(place):  # unlike Path.is_file also of a name that is too long for a file
        return place
    if not os.path.isdir(place):
        return None
    if named := named_file(place):
        return named
    try:
        entries = sorted(place.iterdir())
    except OSError as error:
        raise CheckpointError(f"{place} cannot be read: {error.strerror or error}.") from error
    found = [path for path in entries if path.suffix.lower() in SUFFIXES
             and os.path.isfile(path) and not path.name.startswith(".")]
    if not found:
        named_ones = map(named_file, filter(os.path.isdir, entries))
        found = [path for path in named_ones if path and path.stem == _PEFT]
    if len(found) > 1:
        names = ", ".join(str(path.relative_to(place)) for path in found)
        raise CheckpointError(f"{place} holds several LoRAs: {names}. Give one of the files.")
    return found[0] if found else None


def named_file(folder: Path) -> Path | None:
    """The file in a folder that has the name of a LoRA's, diffusers' rather than PEFT's."""
    return next((folder / name for name in _NAMES if os.path.isfile(folder / name)), None)
