"""What a tensor's name says: which network, which layer, and A, B or alpha.

====================== ==========================================================================
diffusers              `unet.<layer>.lora.down.weight`, `text_encoder.<layer>.lora_linear_layer.…`
older diffusers        `unet.<layer>.lora_linear_layer.down.weight`
attention processors   `<attention>.processor.to_q_lora.down.weight`
PEFT                   `base_model.model.<layer>.lora_A.weight`, `lora_A.default.weight`
kohya                  `lora_unet_<layer with underscores>.lora_down.weight`, `.alpha`
====================== ==========================================================================

Up and B are the same thing; so are down and A. A prefix names the network, before or behind PEFT's
`base_model.model`; without one the layer's own name tells.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from jstyleid_dreambooth.lora.files.kohya import diffusers_path, dotted
from jstyleid_dreambooth.lora.weights import Part

Role = Literal["down", "up", "alpha"]

_ROLES: dict[str, Role] = {"down": "down", "A": "down", "up": "up", "B": "up"}
_KOHYA = re.compile(r"lora_(unet|te)_(\w+)\.(?:lora_(down|up)\.weight|alpha)")
_PREFIX = re.compile(r"(base_model\.model|unet|text_encoder)\.")
_LAYER = re.compile(r"(.+)\.lora(?:_linear_layer\.|\.|_)(down|up|A|B)(?:\.[^.]+)?\.weight")
_PROCESSOR = re.compile(r"(.+?)(?:\.processor)?\.to_(q|k|v|out)_lora\.(down|up)\.weight")
_ALPHA = re.compile(r"(.+)\.alpha")
_TEXT_LAYER = re.compile(r"(?:text_model\.)?((?:encoder\.layers|embeddings|final_layer_norm)\..+)")


@dataclass(frozen=True)
class Meaning:
    """One tensor's place: `unet`, `mid_block.attentions.0.proj_in`, `down`."""

    part: Part
    path: str
    role: Role


def meaning(name: str) -> Meaning | None:
    """The meaning of a tensor's name in any of the spellings; None if it is in none."""
    if found := _KOHYA.fullmatch(name):
        role = _ROLES[found[3]] if found[3] else "alpha"
        if found[1] == "unet":
            return Meaning("unet", diffusers_path(dotted(found[2])), role)
        return Meaning("text_encoder", dotted(found[2]), role)
    if name.startswith("lora_"):
        return None  # kohya's name for a network that is not there, such as SDXL's second encoder
    part: Part | None = None
    while prefix := _PREFIX.match(name):
        if prefix[1] == "unet":
            part = "unet"
        elif prefix[1] == "text_encoder":
            part = "text_encoder"
        name = name[prefix.end():]
    if found := _PROCESSOR.fullmatch(name):
        path, role = _projection(found[1], found[2]), _ROLES[found[3]]
    elif found := _LAYER.fullmatch(name):
        path, role = found[1], _ROLES[found[2]]
    elif found := _ALPHA.fullmatch(name):
        path, role = found[1], "alpha"
    else:
        return None
    text = _TEXT_LAYER.fullmatch(path)
    if text and part != "unet":
        # Files of transformers 5 leave `text_model.` out.
        return Meaning("text_encoder", f"text_model.{text[1]}", role)
    return Meaning(part or "unet", path, role)


def _projection(attention: str, letter: str) -> str:
    if attention.endswith("self_attn"):  # the text encoder's
        return f"{attention}.{letter}_proj"
    return f"{attention}.to_out.0" if letter == "out" else f"{attention}.to_{letter}"
