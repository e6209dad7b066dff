"""Entries of a LoRA's header in the forms of ModelSpec 1.0.1 and of kohya's scripts.

Which of them stay true when a LoRA is written in another format, or merged with others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jstyleid_dreambooth.lora.weights import LoRAWeights

VERSION = "1.0.1"
IMPLEMENTATIONS = {
    "diffusers": "diffusers",
    "peft": "diffusers",
    "kohya": "https://github.com/Stability-AI/generative-models",
}
"""ModelSpec's name of the code whose names the tensors of a format have."""

_SPEC, _IMPLEMENTATION = "modelspec.sai_model_spec", "modelspec.implementation"
_TITLE, _TRIGGER = "modelspec.title", "modelspec.trigger_phrase"
_MERGED_FROM = "modelspec.merged_from"
_NETWORK = ("ss_network_module", "ss_network_dim", "ss_network_alpha")
_OF_THE_FILE = ("sshs_model_hash", "sshs_legacy_hash", "modelspec.hash_sha256")
"""Digests of a file's tensors, which are not those of another file."""
_OF_THE_BASE = (
    "base_model", "modelspec.architecture", "modelspec.prediction_type", "modelspec.resolution",
    "ss_base_model_version", "ss_resolution", "ss_sd_model_name", "ss_v2",
)


def network_entries(weights: LoRAWeights) -> dict[str, str]:
    """Entries of kohya's scripts for the kind, the rank and the alpha of a LoRA."""
    alphas = sorted({layer.alpha for _, _, layer in weights.items()})
    ranks = weights.ranks()
    return dict(zip(_NETWORK, (
        "networks.lora",
        # As kohya's resize_lora.py says that layers differ.
        str(ranks[0]) if len(ranks) == 1 else "Dynamic",
        f"{alphas[0]:g}" if len(alphas) == 1 else "Dynamic",
    ), strict=True))


def carried(about: Mapping[str, Any], weights: LoRAWeights, form: str) -> dict[str, Any]:
    """The entries of a header that are true of a LoRA written in a format.

    Args:
        about: entries of the LoRA that was read.
        weights: the LoRA that is written, perhaps of one network only.
        form: `diffusers`, `peft` or `kohya`.
    """
    entries = {key: value for key, value in about.items() if key not in _OF_THE_FILE}
    if form == "kohya" or any(key in entries for key in _NETWORK):
        entries |= network_entries(weights)
    if _IMPLEMENTATION in entries:
        entries[_IMPLEMENTATION] = IMPLEMENTATIONS[form]
    return entries


def merged_entries(
    sources: Sequence[tuple[str, Mapping[str, str]]], title: str
) -> dict[str, str]:
    """The entries of several LoRAs that are true of them merged.

    Those of the base model stay where all agree, and the triggers of all are there. Where each has
    ModelSpec's entries, the result has.

    Args:
        sources: name and header of each LoRA.
        title: name of the result.
    """
    headers = [about for _, about in sources]
    entries = {key: headers[0][key] for key in _OF_THE_BASE
               if all(about.get(key) == headers[0].get(key) for about in headers)
               and key in headers[0]}
    phrases = dict.fromkeys(about[_TRIGGER] for about in headers if about.get(_TRIGGER))
    if phrases:
        entries[_TRIGGER] = ", ".join(phrases)
    if all(_SPEC in about for about in headers) and "modelspec.architecture" in entries:
        entries |= {
            _SPEC: VERSION, _IMPLEMENTATION: IMPLEMENTATIONS["diffusers"], _TITLE: title,
            _MERGED_FROM: ", ".join(about.get(_TITLE, name) for name, about in sources)}
    return entries
