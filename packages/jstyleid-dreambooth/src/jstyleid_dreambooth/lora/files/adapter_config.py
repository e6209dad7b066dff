"""PEFT's settings of a LoRA, which hold the alpha that its tensors do not.

diffusers puts them into the safetensors header under `lora_adapter_metadata`, with the network's
name before each key; PEFT writes `adapter_config.json` beside the tensors.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from jstyleid_core.errors import CheckpointError
from jstyleid_core.json_files import parse_json, read_bytes
from jstyleid_core.validation import problems_of
from jstyleid_dreambooth.lora.files.patterns import ModulePatterns, PatternError
from jstyleid_dreambooth.lora.weights import LowRank, Part

HEADER_KEY = "lora_adapter_metadata"
CONFIG_NAME = "adapter_config.json"

_NETWORKS: tuple[Part, ...] = ("unet", "text_encoder")
_ORDINARY_STARTS = (True, False, "true", "false", "gaussian", "eva", "orthogonal", "mica")
_CHANGED_BASES = {
    "pissa": "PiSSA", "olora": "OLoRA", "corda": "CorDA", "lora_ga": "LoRA-GA"}
_VARIANTS = {
    "use_dora": "DoRA", "use_qalora": "QALoRA", "use_bdlora": "BD-LoRA", "kasa_config": "KaSA",
    "arrow_config": "Arrow", "monteclora_config": "MonteCLoRA",
    "alora_invocation_tokens": "Activated LoRA", "layer_replication": "repetition of layers",
    "trainable_token_indices": "training of tokens", "lora_bias": "training of biases",
}


class AdapterConfig(BaseModel):
    """PEFT's settings that change the result of a LoRA.

    Attributes:
        lora_alpha, r: alpha and rank of the layers that no pattern matches.
        alpha_pattern, rank_pattern: alpha and rank by pattern, see `ModulePatterns`.
        use_rslora: whether alpha is divided by the root of the rank.
    """

    model_config = ConfigDict(strict=True, frozen=True)

    peft_type: str = "LORA"
    r: int | None = None
    lora_alpha: float | None = None
    rank_pattern: dict[str, int] = {}
    alpha_pattern: dict[str, float] = {}
    init_lora_weights: bool | str = True
    bias: str = "none"
    use_rslora: bool = False

    @cached_property
    def _alphas(self) -> ModulePatterns[float]:
        return ModulePatterns(self.alpha_pattern)

    @cached_property
    def _ranks(self) -> ModulePatterns[int]:
        return ModulePatterns(self.rank_pattern)

    def alpha(self, path: str, rank: int) -> float:
        """The alpha of a layer, such that alpha / rank is its scale.

        Raises:
            PatternError: a pattern cannot be followed.
            ValueError: the layer has another rank by these settings.
        """
        forms = (path, path.removeprefix("text_model."))
        expected = self._ranks.get(forms) or self.r
        if expected is not None and expected != rank:
            raise ValueError(f"the rank is {expected} by the settings and {rank} by its tensors")
        alpha = self._alphas.get(forms)
        alpha = self.lora_alpha if alpha is None else alpha
        if alpha is None:
            return float(rank)
        # Rank-stabilised LoRA (Kalajdzievski 2023) divides by the root of the rank.
        return alpha * rank**0.5 if self.use_rslora else float(alpha)


def config_in_header(text: str, file: Path) -> dict[Part, AdapterConfig]:
    """The settings for each network, from the text under `HEADER_KEY` in a file's header.

    Keys without a network's name, as diffusers' `save_lora_adapter` writes them, are for all.

    Raises:
        CheckpointError: the settings are damaged, or ask for more than a plain LoRA.
    """
    place = f"{file}: {HEADER_KEY} in its header"
    everything = _parsed(text.encode(), place)
    for_all = {key: value for key, value in everything.items() if "." not in key}
    parts = {part: for_all | _under(f"{part}.", everything) for part in _NETWORKS}
    return {part: _config(found, place) for part, found in parts.items() if found}


def config_beside(file: Path) -> dict[Part, AdapterConfig]:
    """The settings in `adapter_config.json` in the file's folder, which are for both networks.

    Raises:
        CheckpointError: the settings are damaged, or ask for more than a plain LoRA.
    """
    beside = file.with_name(CONFIG_NAME)
    if not (beside.exists() or beside.is_symlink()):
        return {}
    config = _config(_parsed(read_bytes(beside), str(beside)), str(beside))
    return dict.fromkeys(_NETWORKS, config)


def header_config(part: Part, layers: Mapping[str, LowRank], source: str) -> dict[str, Any]:
    """The entries under `HEADER_KEY` from which diffusers builds the layers of one network.

    Raises:
        CheckpointError: see `peft_config`.
    """
    return {f"{part}.{key}": value for key, value in peft_config(layers, source).items()}


def peft_config(layers: Mapping[str, LowRank], source: str) -> dict[str, Any]:
    """The settings from which PEFT builds the layers of one network.

    Args:
        layers: the layers by path.
        source: the LoRA, for messages.

    Raises:
        CheckpointError: the path of one layer is the end of another one's, or no name, so that
            patterns cannot tell their ranks and alphas.
    """
    # PEFT compares the ends of paths, and in transformers 5 they no longer begin with text_model.
    ends = {path.removeprefix("text_model."): layer for path, layer in layers.items()}
    ranks = {path: layer.rank for path, layer in ends.items()}
    alphas = {path: _whole(layer.alpha) for path, layer in ends.items()}
    rank, alpha = _most_common(ranks), _most_common(alphas)
    settings = {
        "r": rank,
        "lora_alpha": alpha,
        "rank_pattern": {path: r for path, r in ranks.items() if r != rank},
        "alpha_pattern": {path: a for path, a in alphas.items() if a != alpha},
    }
    read = AdapterConfig.model_validate(settings)
    for path, layer in ends.items():
        try:
            found = read.alpha(path, layer.rank)
        except (PatternError, ValueError):
            found = None
        if found != layer.alpha:
            raise CheckpointError(
                f"{source}: PEFT's patterns cannot tell the rank and the alpha of {path} from "
                "those of other layers. Convert it to kohya, which has an alpha for each layer.")
    return {**settings, "target_modules": sorted(ends)}


def _whole(alpha: float) -> float:
    return int(alpha) if alpha == int(alpha) else alpha


def _most_common(values: Mapping[str, Any]) -> Any:
    return Counter(values.values()).most_common(1)[0][0]


def _under(prefix: str, everything: dict[str, Any]) -> dict[str, Any]:
    return {key.removeprefix(prefix): value for key, value in everything.items()
            if key.startswith(prefix)}


def _parsed(data: bytes, place: str) -> dict[str, Any]:
    try:
        # In UTF-8, -16 or -32, with a byte order mark or without.
        found = parse_json(data.decode(json.detect_encoding(data)))
    except UnicodeDecodeError as error:
        raise CheckpointError(
            f"{place} is no text in UTF-8 ({error}). Save it in UTF-8.") from error
    except ValueError as error:
        raise CheckpointError(f"{place} is not valid JSON ({error}). Replace the file.") from error
    if not isinstance(found, dict):
        raise CheckpointError(f"{place} is not a JSON object. Replace the file.")
    return found


def _config(found: dict[str, Any], place: str) -> AdapterConfig:
    # PEFT writes null for what is not set.
    given = {key: value for key, value in found.items() if value is not None}
    try:
        config = AdapterConfig.model_validate(given)
        _ = config._alphas, config._ranks  # patterns of other forms are refused here
    except ValidationError as error:
        problem = problems_of(error)[0]
        raise CheckpointError(
            f"{place} cannot be used: {problem.field}: {problem.reason}. Replace the file."
        ) from error
    except PatternError as error:
        raise CheckpointError(f"{place} cannot be used: {error}. Replace the file.") from error
    if refused := _refused(config, given):
        raise CheckpointError(f"{place}: {refused}")
    return config


def _refused(config: AdapterConfig, given: Mapping[str, Any]) -> str | None:
    """What of the settings is more than a plain LoRA, and the fix."""
    start = config.init_lora_weights
    word = start.lower() if isinstance(start, str) else start
    changed = next((method for begin, method in _CHANGED_BASES.items()
                    if isinstance(word, str) and word.startswith(begin)), None)
    if changed:
        return (
            f"init_lora_weights is {start}: {changed} changed the base weights that A and B belong "
            "to. Save the adapter again by PEFT's save_pretrained with "
            "path_initial_model_for_weight_conversion, which makes a plain LoRA of it."
        )
    for setting, method in _VARIANTS.items():
        if given.get(setting):
            return f"{setting} is set; {method} is not supported. Use a plain LoRA."
    for setting, value, plain in (("init_lora_weights", start, word in _ORDINARY_STARTS),
                                  ("peft_type", config.peft_type,
                                   config.peft_type.upper() == "LORA"),
                                  ("bias", config.bias, config.bias == "none")):
        if not plain:
            return f"{setting} is {value}, which is not supported. Use a plain LoRA."
    return None
