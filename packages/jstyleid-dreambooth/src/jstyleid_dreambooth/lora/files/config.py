"""The settings PEFT stores with a LoRA, which hold the alpha that its tensors do not.

diffusers puts them into the safetensors header under `lora_adapter_metadata`, with the network's
name before each key; PEFT writes `adapter_config.json` beside the tensors.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from jstyleid_core.errors import CheckpointError
from jstyleid_dreambooth.lora.files.tensors import TensorFile
from jstyleid_dreambooth.lora.weights import LowRank, Part

HEADER_KEY = "lora_adapter_metadata"
CONFIG_NAME = "adapter_config.json"


class AdapterConfig(BaseModel):
    """The fields that change what a LoRA computes; patterns are regular expressions of paths."""

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
    """What the file, or in PEFT's folders the file beside it, says about each network.

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
    """What diffusers needs under `HEADER_KEY` to build the layers of one network."""
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
