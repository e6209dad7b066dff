"""Names of tensors in LoRA files: which network, which layer, and A, B or alpha.

====================== ==========================================================================
diffusers              `unet.<layer>.lora.down.weight`, `text_encoder.<layer>.lora_linear_layer.…`
older diffusers        `unet.<layer>.lora_linear_layer.down.weight`
attention processors   `<attention>.processor.to_q_lora.down.weight`
PEFT                   `base_model.model.<layer>.lora_A.weight`, `lora_A.default.weight`
kohya                  `lora_unet_<layer with underscores>.lora_down.weight`, `.alpha`
====================== ==========================================================================

Up and B are the same thing; so are down and A. A prefix names the network, before or behind PEFT's
`base_model.model`; without one the layer's own name decides. kohya's names are paths with
underscores for dots, sometimes in the module names of the original Stable Diffusion code of 2022.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from jstyleid_dreambooth.lora.weights import Part

Role = Literal["down", "up", "alpha"]

_ROLES: dict[str, Role] = {"down": "down", "A": "down", "up": "up", "B": "up"}
_KOHYA = re.compile(r"lora_(unet|te)_(\w+)\.(?:lora_(down|up)\.weight|alpha)")
_PREFIX = re.compile(r"(base_model\.model|unet|text_encoder)\.")
_LAYER = re.compile(r"(.+)\.lora(?:_linear_layer\.|\.|_)(down|up|A|B)(?:\.[^.]+)?\.weight")
_PROCESSOR = re.compile(r"(.+?)(?:\.processor)?\.to_(q|k|v|out)_lora\.(down|up)\.weight")
_ALPHA = re.compile(r"(.+)\.alpha")
_TEXT_LAYER = re.compile(r"(?:text_model\.)?((?:encoder\.layers|embeddings|final_layer_norm)\..+)")

# Words of module paths that have underscores of their own; every other underscore was a dot.
_COMPOUNDS = (
    "conv_in", "conv_out", "conv_shortcut", "down_blocks", "emb_layers", "final_layer_norm",
    "in_layers", "input_blocks", "k_proj", "layer_norm1", "layer_norm2", "linear_1", "linear_2",
    "mid_block", "middle_block", "out_layers", "out_proj", "output_blocks", "proj_in", "proj_out",
    "q_proj", "self_attn", "skip_connection", "text_model", "time_emb_proj", "time_embed",
    "time_embedding", "to_k", "to_out", "to_q", "to_v", "token_embedding", "transformer_blocks",
    "up_blocks", "v_proj",
)
_WORDS = re.compile(
    "(?:" + "|".join(sorted(_COMPOUNDS, key=len, reverse=True)) + r"|[^_]+)(?=_|$)")

# A level of the UNet: on the way down two residual blocks and what halves, up three and doubling.
_DOWN, _UP = 3, 3
_RESNET = {"in_layers.2": "conv1", "emb_layers.1": "time_emb_proj", "out_layers.3": "conv2",
           "skip_connection": "conv_shortcut"}
_TOP = {"time_embed.0": "time_embedding.linear_1", "time_embed.2": "time_embedding.linear_2",
        "input_blocks.0.0": "conv_in", "out.2": "conv_out"}
_BLOCK = re.compile(r"(input_blocks|output_blocks)\.(\d+)\.(\d)\.(.+)")
_MIDDLE = re.compile(r"middle_block\.(\d)\.(.+)")


@dataclass(frozen=True)
class TensorName:
    """Part, path and role of a tensor: `unet`, `mid_block.attentions.0.proj_in`, `down`."""

    part: Part
    path: str
    role: Role


def parse_name(name: str) -> TensorName | None:
    """Part, path and role of a tensor, from a name in any spelling; None if unknown."""
    if found := _KOHYA.fullmatch(name):
        role = _ROLES[found[3]] if found[3] else "alpha"
        if found[1] == "unet":
            return TensorName("unet", diffusers_path(dotted(found[2])), role)
        return TensorName("text_encoder", dotted(found[2]), role)
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
        return TensorName("text_encoder", f"text_model.{text[1]}", role)
    return TensorName(part or "unet", path, role)


def _projection(attention: str, letter: str) -> str:
    if attention.endswith("self_attn"):  # the text encoder's
        return f"{attention}.{letter}_proj"
    return f"{attention}.to_out.0" if letter == "out" else f"{attention}.to_{letter}"


def dotted(flat: str) -> str:
    """`up_blocks_1_attentions_0_proj_in` -> `up_blocks.1.attentions.0.proj_in`."""
    return ".".join(_WORDS.findall(flat))


def diffusers_path(path: str) -> str:
    """The UNet's module path in diffusers' names, of one in those of the original code.

    `input_blocks.1.1.proj_in` -> `down_blocks.0.attentions.0.proj_in`; a path that is in
    diffusers' names already stays.
    """
    if path in _TOP:
        return _TOP[path]
    path = _BLOCK.sub(_level, path)
    return _MIDDLE.sub(_middle, path)


def _level(match: re.Match[str]) -> str:
    way, number, place, rest = match[1], int(match[2]), int(match[3]), match[4]
    if way == "input_blocks":
        level, index = divmod(number - 1, _DOWN)
        if rest == "op":
            return f"down_blocks.{level}.downsamplers.0.conv"
        return _inner(f"down_blocks.{level}", index, place, rest)
    level, index = divmod(number, _UP)
    if rest == "conv":
        return f"up_blocks.{level}.upsamplers.0.conv"
    return _inner(f"up_blocks.{level}", index, place, rest)


def _middle(match: re.Match[str]) -> str:
    place = int(match[1])
    return _inner("mid_block", place // 2, place % 2, match[2])


def _inner(block: str, index: int, place: int, rest: str) -> str:
    if place == 0:
        return f"{block}.resnets.{index}.{_RESNET.get(rest, rest)}"
    return f"{block}.attentions.{index}.{rest}"
