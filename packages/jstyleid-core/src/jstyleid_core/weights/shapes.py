"""Configurations of networks from the shapes of their tensors, which have diffusers' names.

A single file brings no `config.json`. All that differs between Stable Diffusion 1.x, 2.x and models
of the same layout is in the shapes, but for the number of heads: 8 in 1.x, 64 channels each in 2.x.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jstyleid_core.config import TextConfig, UNetConfig, VAEConfig
from jstyleid_core.errors import CheckpointError
from jstyleid_core.weights.tensors import StoredTensor

Tensors = Mapping[str, StoredTensor]

_HEAD_CHANNELS = 64
_HEADS_OF_1 = 8


def unet_config(file: Path, tensors: Tensors, second: bool) -> UNetConfig:
    """The configuration of a UNet.

    Args:
        file: the file, for messages.
        tensors: tensors of the UNet.
        second: whether it is of Stable Diffusion 2.x.

    Raises:
        CheckpointError: it is no UNet that this project builds.
    """
    shapes = _Shapes(file, "UNet", tensors)
    down, up = shapes.levels("down_blocks"), shapes.levels("up_blocks")
    channels = [shapes.size(f"{level}.resnets.0.conv1.weight", 0) for level in down]

    def blocks(levels: list[str], kind: str) -> list[str]:
        return [f"CrossAttn{kind}Block2D" if shapes.has(f"{level}.attentions.") else
                f"{kind}Block2D" for level in levels]

    middle = "mid_block.attentions.0"
    described: dict[str, Any] = {
        "in_channels": shapes.size("conv_in.weight", 1),
        "out_channels": shapes.size("conv_out.weight", 0),
        "down_block_types": blocks(down, "Down"),
        "up_block_types": blocks(up, "Up"),
        "block_out_channels": channels,
        "layers_per_block": len(shapes.levels(f"{down[0]}.resnets")),
        "cross_attention_dim":
            shapes.size(f"{middle}.transformer_blocks.0.attn2.to_k.weight", 1),
        "attention_head_dim":
            [_heads(width) for width in channels] if second else _HEADS_OF_1,
        "use_linear_projection": len(shapes.of(f"{middle}.proj_in.weight")) == 2,
        "transformer_layers_per_block": len(shapes.levels(f"{middle}.transformer_blocks")),
        "class_embed_type": "projection" if shapes.has("label_emb.") else None,
    }
    return UNetConfig.checked(file, described)


def vae_config(file: Path, tensors: Tensors) -> VAEConfig:
    """The configuration of an autoencoder; its scaling factor is that of Stable Diffusion.

    Raises:
        CheckpointError: it is no autoencoder that this project builds.
    """
    shapes = _Shapes(file, "autoencoder", tensors)
    levels = shapes.levels("encoder.down_blocks")
    return VAEConfig.checked(file, {
        "in_channels": shapes.size("encoder.conv_in.weight", 1),
        "out_channels": shapes.size("decoder.conv_out.weight", 0),
        "latent_channels": shapes.size("decoder.conv_in.weight", 1),
        "block_out_channels": [shapes.size(f"{each}.resnets.0.conv1.weight", 0)
                               for each in levels],
        "layers_per_block": len(shapes.levels(f"{levels[0]}.resnets")),
        "down_block_types": ["DownEncoderBlock2D"] * len(levels),
        "up_block_types": ["UpDecoderBlock2D"] * len(levels),
    })


def text_config(file: Path, tensors: Tensors, second: bool) -> TextConfig:
    """The configuration of a text encoder: CLIP's, or with `second` OpenCLIP's.

    Raises:
        CheckpointError: it is no text encoder that this project builds.
    """
    shapes = _Shapes(file, "text encoder", tensors)
    tokens = "text_model.embeddings.token_embedding.weight"
    layers = shapes.levels("text_model.encoder.layers")
    width = shapes.size(tokens, 1)
    return TextConfig.checked(file, {
        "vocab_size": shapes.size(tokens, 0),
        "hidden_size": width,
        "intermediate_size": shapes.size(f"{layers[0]}.mlp.fc1.weight", 0),
        "num_hidden_layers": len(layers),
        "num_attention_heads": _heads(width),
        "max_position_embeddings":
            shapes.size("text_model.embeddings.position_embedding.weight", 0),
        "hidden_act": "gelu" if second else "quick_gelu",
    })


def _heads(width: int) -> int:
    return max(width // _HEAD_CHANNELS, 1)


class _Shapes:
    """The shapes of a network's tensors."""

    def __init__(self, file: Path, network: str, tensors: Tensors) -> None:
        self._file, self._network, self._tensors = file, network, tensors

    def of(self, name: str) -> tuple[int, ...]:
        if name not in self._tensors:
            raise CheckpointError(
                f"{self._file}: the {self._network} lacks {name}, in diffusers' names. Give a "
                "whole checkpoint of Stable Diffusion 1.x or 2.x.")
        return self._tensors[name].shape

    def size(self, name: str, axis: int) -> int:
        shape = self.of(name)
        if len(shape) <= axis:
            raise CheckpointError(f"{self._file}: {self._tensors[name].name} {list(shape)} has too "
                                  f"few dimensions for the {self._network} of Stable Diffusion.")
        return shape[axis]

    def has(self, beginning: str) -> bool:
        return any(name.startswith(beginning) for name in self._tensors)

    def levels(self, path: str) -> list[str]:
        """The members of a list of modules, at least one."""
        member = re.compile(re.escape(path) + r"\.(\d{1,3})\.")
        numbers = {int(found[1]) for name in self._tensors if (found := member.match(name))}
        return [f"{path}.{number}" for number in sorted(numbers)] or [f"{path}.0"]
