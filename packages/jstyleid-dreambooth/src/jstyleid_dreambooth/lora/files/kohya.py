"""kohya's module names: paths with underscores for dots, sometimes in the names of 2022's code."""

from __future__ import annotations

import re

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
