"""Reading LoRA files of every common spelling, as weights under diffusers' module paths.

PEFT stores its settings with a LoRA, and these hold the alpha that the tensors do not. diffusers
puts them into the safetensors header under `lora_adapter_metadata`, with the network's name before
each key; PEFT writes `adapter_config.json` beside the tensors.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ValidationError
from safetensors import safe_open

from jstyleid_core.errors import CheckpointError
from jstyleid_core.weights.tensors import stored_tensors, widen_bfloat16
from jstyleid_core.weights.torch_files import read_torch_file
from jstyleid_dreambooth.lora.files.names import Role, parse_name
from jstyleid_dreambooth.lora.weights import LoRAWeights, LowRank, Part, as_float32

_SHOWN = 3
_LORA_WORDS = ("lora", "hada", "lokr", "oft_")

Tensors = dict[Role, NDArray[np.float32]]

HEADER_KEY = "lora_adapter_metadata"
CONFIG_NAME = "adapter_config.json"

_NAMES = tuple(f"{stem}.{suffix}" for stem in ("pytorch_lora_weights", "adapter_model")
               for suffix in ("safetensors", "bin"))
_PICKLES = (".bin", ".pt", ".pth", ".ckpt")


def read_lora(path: str | os.PathLike[str]) -> LoRAWeights:
    """Read a LoRA that diffusers, PEFT, kohya's scripts, JDiffusion or this package wrote.

    Args:
        path: a `.safetensors` file, a `.bin` or `.pt` file of torch's (read as data: code in it is
            an error, not run), or a folder with `pytorch_lora_weights.*` or `adapter_model.*`.

    Returns:
        Every layer in float32. alpha is the file's (kohya's tensors, diffusers' header, PEFT's
        `adapter_config.json`), or the rank where none is given.

    Raises:
        CheckpointError: the file is missing, damaged, without LoRA tensors, holds code, or is
            spelled in an unknown way; A and B of a layer disagree or one of them is missing.
    """
    file = read_tensors(find_file(Path(path).expanduser()))
    found: dict[Part, dict[str, Tensors]] = {}
    unknown = []
    for name, values in file.tensors.items():
        place = parse_name(name)
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
    if rank == 0 or not math.isfinite(alpha):
        raise CheckpointError(
            f"{file}: {name} has rank {rank} and alpha {alpha}, which give no factor. "
            "Export the LoRA again."
        )
    return LowRank(down, up, alpha)


class AdapterConfig(BaseModel):
    """PEFT's settings that change the result of a LoRA; patterns are regular expressions."""

    lora_alpha: float | None = None
    alpha_pattern: dict[str, float] = {}
    use_rslora: bool = False
    use_dora: bool = False

    def alpha(self, path: str, rank: int) -> float:
        """The alpha of a layer, such that alpha / rank is its scale."""
        matching = (value for pattern, value in self.alpha_pattern.items()
                    if re.match(rf"(.*\.)?({pattern})$", path))
        alpha = next(matching, self.lora_alpha)
        if alpha is None:
            return float(rank)
        # Rank-stabilised LoRA (Kalajdzievski 2023) divides by the root of the rank.
        return alpha * rank**0.5 if self.use_rslora else alpha


def read_configs(file: TensorFile, peft: bool) -> dict[Part, AdapterConfig]:
    """PEFT's settings for each network, from the header or from the file beside the tensors.

    Raises:
        CheckpointError: the settings are damaged, or ask for DoRA.
    """
    if HEADER_KEY in file.header:
        place = f"{file.path}: {HEADER_KEY} in its header"
        everything = _parsed(file.header[HEADER_KEY], place)
        parts: dict[Part, dict[str, Any]] = {
            "unet": _under("unet.", everything),
            "text_encoder": _under("text_encoder.", everything),
        }
        return {part: _config(found, place) for part, found in parts.items() if found}
    beside = file.path.with_name(CONFIG_NAME)
    if peft and beside.is_file():
        config = _config(_parsed(beside.read_text(encoding="utf-8"), str(beside)), str(beside))
        return {"unet": config, "text_encoder": config}
    return {}


def header_config(part: Part, layers: Mapping[str, LowRank]) -> dict[str, Any]:
    """The entries under `HEADER_KEY` from which diffusers builds the layers of one network."""
    # PEFT compares the ends of paths, and in transformers 5 they no longer begin with text_model.
    ends = {path.removeprefix("text_model."): layer for path, layer in layers.items()}
    ranks = {path: layer.rank for path, layer in ends.items()}
    alphas = {path: _whole(layer.alpha) for path, layer in ends.items()}
    rank, alpha = _most_common(ranks), _most_common(alphas)
    return {
        f"{part}.r": rank,
        f"{part}.lora_alpha": alpha,
        f"{part}.rank_pattern": {path: r for path, r in ranks.items() if r != rank},
        f"{part}.alpha_pattern": {path: a for path, a in alphas.items() if a != alpha},
        f"{part}.target_modules": sorted(ends),
    }


def _whole(alpha: float) -> float:
    return int(alpha) if alpha == int(alpha) else alpha


def _most_common(values: Mapping[str, Any]) -> Any:
    return Counter(values.values()).most_common(1)[0][0]


def _under(prefix: str, everything: dict[str, Any]) -> dict[str, Any]:
    return {key.removeprefix(prefix): value for key, value in everything.items()
            if key.startswith(prefix)}


def _parsed(text: str, place: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        raise CheckpointError(f"{place} is not valid JSON ({error}). Replace the file.") from error
    if not isinstance(found, dict):
        raise CheckpointError(f"{place} is not a JSON object. Replace the file.")
    return found


def _config(found: dict[str, Any], place: str) -> AdapterConfig:
    # PEFT writes null for what is not set.
    given = {key: value for key, value in found.items() if value is not None}
    try:
        config = AdapterConfig.model_validate(given)
        for pattern in config.alpha_pattern:
            re.compile(pattern)
    except (ValidationError, re.error) as error:
        raise CheckpointError(f"{place} cannot be used: {error}. Replace the file.") from error
    if config.use_dora:
        raise CheckpointError(
            f"{place}: use_dora is set; DoRA is not supported. Use a plain LoRA.")
    return config


@dataclass(frozen=True)
class TensorFile:
    """A file's tensors as float32, and the texts in its header."""

    path: Path
    tensors: Mapping[str, NDArray[np.float32]]
    header: Mapping[str, str] = field(default_factory=dict)


def find_file(path: Path) -> Path:
    """The file itself, or the LoRA file of a folder.

    Raises:
        CheckpointError: nothing is there, or a folder without a LoRA file.
    """
    if path.is_dir():
        for name in _NAMES:
            if (path / name).is_file():
                return path / name
        raise CheckpointError(
            f"{path} holds no LoRA: none of {', '.join(_NAMES)} is in the folder. "
            "Give the file itself if it has another name."
        )
    if not path.is_file():
        raise CheckpointError(f"{path} does not exist. Give a LoRA file, or the folder it is in.")
    return path


def read_tensors(path: Path) -> TensorFile:
    """Read a `.safetensors` file, or a file of torch's without running code in it.

    Raises:
        CheckpointError: the file is damaged, holds code, or is of another kind.
    """
    if path.suffix == ".safetensors":
        tensors = {}
        for name, stored in stored_tensors([path]).items():
            values = stored.map()
            tensors[name] = widen_bfloat16(values) if stored.dtype == "BF16" else as_float32(values)
        with safe_open(path, framework="numpy") as opened:
            header = opened.metadata() or {}
        return TensorFile(path, tensors, header)
    if path.suffix in _PICKLES:
        return TensorFile(path, read_torch_file(path))
    raise CheckpointError(
        f"{path}: a LoRA file ends in .safetensors or .bin, not in {path.suffix or 'nothing'}.")
