"""A LoRA file of any common spelling, as weights under diffusers' module paths."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from jstyleid_core.errors import CheckpointError
from jstyleid_dreambooth.lora.files.config import HEADER_KEY, AdapterConfig, read_configs
from jstyleid_dreambooth.lora.files.spellings import Role, meaning
from jstyleid_dreambooth.lora.files.tensors import TensorFile, find_file, read_tensors
from jstyleid_dreambooth.lora.weights import LoRAWeights, LowRank, Part

_SHOWN = 3
_LORA_WORDS = ("lora", "hada", "lokr", "oft_")

Tensors = dict[Role, NDArray[np.float32]]


def read_lora(path: str | os.PathLike[str]) -> LoRAWeights:
    """Read a LoRA that diffusers, PEFT, kohya's scripts, JDiffusion or this package wrote.

    Args:
        path: a `.safetensors` file, a `.bin` or `.pt` file of torch's (read as data: code in it is
            an error, not run), or a folder with `pytorch_lora_weights.*` or `adapter_model.*`.

    Returns:
        Every layer in float32. alpha is the file's (kohya's tensors, diffusers' header, PEFT's
        `adapter_config.json`), and the rank where it says none.

    Raises:
        CheckpointError: the file is missing, damaged, without LoRA tensors, holds code, or is
            spelled in an unknown way; A and B of a layer disagree or one of them is missing.
    """
    file = read_tensors(find_file(Path(path).expanduser()))
    found: dict[Part, dict[str, Tensors]] = {}
    unknown = []
    for name, values in file.tensors.items():
        place = meaning(name)
        if place is None:
            unknown.append(name)
        else:
            found.setdefault(place.part, {}).setdefault(place.path, {})[place.role] = values
    _check_names(file, unknown)
    peft = any(".lora_A." in name for name in file.tensors)
    configs = read_configs(file, peft)
    layers = {
        part: {layer: _layer(file.path, f"{part}.{layer}", layer, tensors, configs.get(part))
               for layer, tensors in by_path.items()}
        for part, by_path in found.items()
    }
    about = {key: value for key, value in file.header.items() if key not in (HEADER_KEY, "format")}
    return LoRAWeights(layers, about, str(file.path))


def _check_names(file: TensorFile, unknown: list[str]) -> None:
    names = list(file.tensors)
    if not any(word in name for name in names for word in _LORA_WORDS):
        what = f"{len(names)} tensors such as {names[0]}" if names else "no tensors at all"
        raise CheckpointError(
            f"{file.path} holds no LoRA tensors; it holds {what}. "
            "Give the file that the LoRA training wrote."
        )
    if unknown:
        raise CheckpointError(
            f"{file.path}: {len(unknown)} of {len(names)} tensors have names that are not "
            f"understood: {', '.join(unknown[:_SHOWN])}. LoRA layers are read as diffusers, PEFT "
            "and kohya's scripts name them; DoRA, LoHa, LoKr and SDXL's second text encoder are "
            "not supported."
        )


def _layer(
    file: Path, name: str, path: str, tensors: Tensors, config: AdapterConfig | None
) -> LowRank:
    if "down" not in tensors or "up" not in tensors:
        there = " and ".join(tensors)
        raise CheckpointError(
            f"{file}: {name} is incomplete, of A (down) and B (up) there is only: {there}. "
            "Export the LoRA again."
        )
    down, up = tensors["down"], tensors["up"]
    if min(down.ndim, up.ndim) < 2 or up.shape[1] != down.shape[0] or np.prod(up.shape[2:]) != 1:
        raise CheckpointError(
            f"{file}: the rank of {name} is unclear: A (down) is {list(down.shape)}, rank first, "
            f"and B (up) is {list(up.shape)}, rank second. Export the LoRA again."
        )
    if not (np.isfinite(down).all() and np.isfinite(up).all()):
        raise CheckpointError(
            f"{file}: {name} holds numbers that are not finite: the training diverged or the file "
            "is damaged. Use another checkpoint of the LoRA."
        )
    rank = down.shape[0]
    if "alpha" in tensors:
        alpha = float(tensors["alpha"].reshape(-1)[0])
    else:
        alpha = config.alpha(path, rank) if config else float(rank)
    return LowRank(down, up, alpha)
