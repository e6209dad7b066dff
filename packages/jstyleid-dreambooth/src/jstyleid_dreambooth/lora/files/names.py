"""Names of tensors in LoRA files: which network, which layer, and A, B, alpha or the middle.

====================== ==========================================================================
diffusers              `unet.<layer>.lora.down.weight`, `text_encoder.<layer>.lora_linear_layer.…`
older diffusers        `unet.<layer>.lora_linear_layer.down.weight`
attention processors   `<attention>.processor.to_q_lora.down.weight`
PEFT                   `base_model.model.<layer>.lora_A.weight`, `lora_A.default.weight`
kohya                  `lora_unet_<layer with underscores>.lora_down.weight`, `.alpha`
OneTrainer             `lora_unet.<layer>.lora_down.weight`, `clip_l.<layer>.…`
ComfyUI                `diffusion_model.<layer>.lora_down.weight`, `text_encoders.clip_l.…`
LyCORIS                `lycoris_<layer with underscores>.lora_down.weight`, `.lora_mid.weight`
====================== ==========================================================================

Up and B are the same thing; so are down and A. A prefix names the network, before or behind PEFT's
`base_model.model`; without one the layer's own name decides. Names with underscores are paths with
underscores for dots. In each spelling the layers of the UNet may have diffusers' names or those of
the original Stable Diffusion code of 2022 (`input_blocks.1.1.…`), as A1111 and ComfyUI have them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from jstyleid_core.weights.original_names import unet_module
from jstyleid_dreambooth.lora.weights import Part

Role = Literal["down", "up", "mid", "alpha"]

_ROLES: dict[str, Role] = {"down": "down", "A": "down", "up": "up", "B": "up", "mid": "mid"}
_ENDINGS = (
    re.compile(r"(?P<layer>.+)\.lora(?:_|\.|_linear_layer\.)(?P<role>down|up|mid)\.weight"),
    re.compile(r"(?P<layer>.+)\.lora_(?P<role>A|B)(?:(?:\.(?P<adapter>[^.]+))??\.weight)?"),
    re.compile(r"(?P<layer>.+)_lora\.(?P<role>down|up)\.weight"),
    re.compile(r"(?P<layer>.+)\.alpha"),
)
_FLAT = re.compile(r"(?:lora_(unet|te1?)|lycoris)_(\w+)")
_PREFIX = re.compile(
    r"(?:base_model\.model|module|_orig_mod"
    r"|(?P<unet>(?:lora_)?unet|(?:model\.)?diffusion_model)"
    r"|(?P<text>text_encoder|lora_te1?|(?:text_encoders\.)?clip_[lh](?:\.transformer)?"
    r"|cond_stage_model\.transformer))\."
)
_WRAPPERS = re.compile(r"\.(?:processor|_orig_mod)(?=\.)")
_TEXT_LAYER = re.compile(r"(?:text_model\.)?((?:encoder\.layers|embeddings|final_layer_norm)\..+)")
_TEXT_PROJECTION = re.compile(r"(.+\.self_attn)\.(?:\w+_proj\.)?to_(q|k|v|out)")

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


@dataclass(frozen=True)
class TensorName:
    """The place of a tensor: `unet`, `mid_block.attentions.0.proj_in`, `down`.

    Attributes:
        part: network.
        path: layer, by diffusers' name.
        role: A is `down`, B is `up`; `mid` is the core of a convolution in Tucker's form.
        adapter: PEFT's name of the adapter, where the tensor's name says it.
    """

    part: Part
    path: str
    role: Role
    adapter: str | None = None


_PROGRAMS = (
    ("LyCORIS", re.compile(r"lycoris_")),
    ("kohya", re.compile(r"lora_(?:unet|te1?)_")),
    ("OneTrainer", re.compile(r"lora_(?:unet|te1?)\.|clip_l\.")),
    ("ComfyUI", re.compile(r"(?:model\.)?diffusion_model\.|text_encoders\.")),
    ("PEFT", re.compile(r"base_model\.model\.")),
)


def spelling_of(name: str) -> str:
    """The program whose spelling the name of a LoRA's tensor has; diffusers' has no mark."""
    return next((program for program, start in _PROGRAMS if start.match(name)), "diffusers")


def parse_name(name: str) -> TensorName | None:
    """The place of a tensor, from a name in any spelling; None if unknown."""
    found = next(filter(None, (ending.fullmatch(name) for ending in _ENDINGS)), None)
    if found is None:
        return None
    said = found.groupdict()
    role = _ROLES[said["role"]] if "role" in said else "alpha"
    place = _layer(said["layer"])
    return place and TensorName(*place, role, said.get("adapter"))


def _layer(name: str) -> tuple[Part, str] | None:
    """Network and path of a layer that is named in any spelling."""
    part: Part | None = None
    if flat := _FLAT.fullmatch(name):
        name = dotted(flat[2])
        if flat[1]:
            part = "unet" if flat[1] == "unet" else "text_encoder"
    elif "." not in name and name.startswith("lora_"):
        return None  # a network that is not there, such as SDXL's second text encoder
    while prefix := _PREFIX.match(name):
        if prefix["unet"]:
            part = "unet"
        elif prefix["text"]:
            part = "text_encoder"
        name = name[prefix.end():]
    path = _WRAPPERS.sub("", name)
    if projection := _TEXT_PROJECTION.fullmatch(path):
        path = f"{projection[1]}.{projection[2]}_proj"
    if path.endswith(".to_out"):
        path = f"{path}.0"
    text = _TEXT_LAYER.fullmatch(path)
    if text and part != "unet":
        # Files of transformers 5 leave `text_model.` out.
        return "text_encoder", f"text_model.{text[1]}"
    if part == "text_encoder":
        return part, path
    return "unet", unet_module(path)


def dotted(flat: str) -> str:
    """`up_blocks_1_attentions_0_proj_in` -> `up_blocks.1.attentions.0.proj_in`."""
    return ".".join(_WORDS.findall(flat))

