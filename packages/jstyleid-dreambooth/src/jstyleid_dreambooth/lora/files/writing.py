"""Writing LoRA files in diffusers' layout."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jstyleid_core.errors import OutputError
from jstyleid_core.files import write_whole
from jstyleid_core.weights.torch_files import torch_file
from jstyleid_dreambooth.lora.files.adapter_config import HEADER_KEY, header_config
from jstyleid_dreambooth.lora.weights import LoRAWeights, LowRank, Part

FILE_NAME = "pytorch_lora_weights.safetensors"
_RESERVED = ("format", "rank", "alpha", HEADER_KEY)
_INFIX: dict[Part, str] = {"unet": "lora", "text_encoder": "lora_linear_layer"}


def write_lora(
    path: str | os.PathLike[str], weights: LoRAWeights, about: Mapping[str, Any] | None = None
) -> Path:
    """Write a LoRA that diffusers loads (`load_lora_weights`), whole or not at all.

    The same LoRA gives the same bytes. The header of a `.safetensors` file holds PEFT's settings
    (rank, alpha, targets), and for people `rank`, `alpha` and everything in `about`. A `.bin` file
    has no place for either, and readers take alpha to be the rank, diffusers the first layer's:
    there alpha / rank is multiplied into B, and layers of lower rank are filled up with zeros, so
    that every reader computes the same. Text encoder layers belong into `.safetensors`: from
    transformers 5 on, diffusers places them by the header.

    Args:
        path: a file ending in `.safetensors` or `.bin`; any other name is a folder, in which
            `pytorch_lora_weights.safetensors` is written.
        weights: the LoRA; its own `about` is written too.
        about: such as `base_model`, `prompt`, `steps`, `seed`. Texts are written as they are,
            everything else as JSON.

    Returns:
        The file.

    Raises:
        OutputError: it cannot be written.
        ValueError: there is no layer, or `about` uses a name the header needs itself.
    """
    path = Path(os.path.expanduser(path))
    if path.suffix not in (".safetensors", ".bin"):
        if path.is_file():
            raise OutputError(f"{path} is a file: give a folder, or a name ending in .safetensors")
        path = path / FILE_NAME
    if not len(weights):
        raise ValueError("a LoRA without layers cannot be written")
    notes = {**weights.about, **(about or {})}
    if about and (reserved := [key for key in about if key in _RESERVED]):
        raise ValueError(f"{', '.join(reserved)}: the file's header says this itself")
    as_pickle = path.suffix == ".bin"
    tensors: dict[str, NDArray[np.float32]] = {}
    for part, layer_path, layer in weights.items():
        name = f"{part}.{layer_path}.{_INFIX[part]}"
        stored = _of_scale_one(layer, max(weights.ranks())) if as_pickle else layer
        tensors[f"{name}.down.weight"] = stored.down
        tensors[f"{name}.up.weight"] = stored.up
    data = torch_file(tensors) if as_pickle else safetensors(tensors, _header(weights, notes))
    write_whole(path, data)
    return path


def described(notes: Mapping[str, Any]) -> dict[str, str]:
    """The entries of a header: texts as they are, everything else as JSON."""
    return {key: value if isinstance(value, str) else json.dumps(value)
            for key, value in sorted(notes.items()) if key not in _RESERVED}


def safetensors(
    tensors: Mapping[str, NDArray[np.floating[Any]]], header: Mapping[str, str]
) -> bytes:
    """The bytes of a safetensors file, of numbers in float32 and float64.

    The library orders the header anew in every process; this does not.
    """
    entries: dict[str, Any] = {"__metadata__": {"format": "pt", **header}}  # transformers needs it
    # The larger numbers first, so that each begins at a multiple of its size.
    ordered = sorted(tensors.items(), key=lambda each: -each[1].itemsize)
    end = 0
    for name, values in ordered:
        start, end = end, end + values.nbytes
        entries[name] = {"dtype": f"F{8 * values.itemsize}", "shape": list(values.shape),
                         "data_offsets": [start, end]}
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the numbers begin at a multiple of eight
    numbers = b"".join(values.astype(f"<f{values.itemsize}").tobytes() for _, values in ordered)
    return len(text).to_bytes(8, "little") + text + numbers


def _of_scale_one(layer: LowRank, rank: int) -> LowRank:
    """The same update with this rank for alpha, and for rank by rows and columns of zeros."""
    missing = rank - layer.rank
    down = np.concatenate([layer.down, np.zeros((missing, *layer.down.shape[1:]), np.float32)])
    columns = np.zeros((layer.up.shape[0], missing, *layer.up.shape[2:]), np.float32)
    up = np.concatenate([layer.up * np.float32(layer.scale), columns], axis=1)
    return LowRank(down, up, float(rank))


def _header(weights: LoRAWeights, notes: Mapping[str, Any]) -> dict[str, str]:
    config: dict[str, Any] = {}
    for part, layers in weights.layers.items():
        if layers:
            config |= header_config(part, layers, weights.source)
    alphas = sorted({layer.alpha for _, _, layer in weights.items()})
    return {
        **described(notes),
        "rank": ", ".join(map(str, weights.ranks())),
        "alpha": ", ".join(f"{alpha:g}" for alpha in alphas),
        HEADER_KEY: json.dumps(config, indent=2, sort_keys=True),
    }
