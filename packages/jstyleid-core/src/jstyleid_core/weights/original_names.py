"""Names of the original Stable Diffusion code of 2022, translated to those of diffusers.

A, B and so on stand for numbers that count otherwise on the two sides:

================================= ===================================================
UNet                              `input_blocks.A.0`   `down_blocks.B.resnets.C`
autoencoder                       `decoder.up.A`       `decoder.up_blocks.B`
text encoder of SD 2.x, OpenCLIP  `resblocks.A.ln_1`   `encoder.layers.A.layer_norm1`
================================= ===================================================

The text encoder of SD 1.x has transformers' names there, too.
"""

from __future__ import annotations

import re

OPEN_CLIP_LAYERS = 23
"""Layers of SD 2.x's text encoder that are used; the files hold one more."""

_UNET_TOP = {
    "time_embed.0": "time_embedding.linear_1", "time_embed.2": "time_embedding.linear_2",
    "input_blocks.0.0": "conv_in", "out.0": "conv_norm_out", "out.2": "conv_out",
}
_RESNET = {
    "in_layers.0": "norm1", "in_layers.2": "conv1", "emb_layers.1": "time_emb_proj",
    "out_layers.0": "norm2", "out_layers.3": "conv2", "skip_connection": "conv_shortcut",
}
_UNET_BLOCK = re.compile(r"(input_blocks|output_blocks)\.(\d{1,4})\.(\d)\.(.+)")
_UNET_MIDDLE = re.compile(r"middle_block\.(\d)\.(.+)")

_VAE_LEVEL = re.compile(r"(encoder|decoder)\.(?:down|up)\.(\d{1,4})\.(.+)")
_VAE_BLOCK = re.compile(r"block\.(\d{1,4})\.(.+)")
_VAE_MIDDLE = re.compile(r"(encoder|decoder)\.mid\.(?:block_(\d)|attn_1)\.(.+)")
_VAE_SAMPLER = {"downsample.conv": "downsamplers.0.conv", "upsample.conv": "upsamplers.0.conv"}
_VAE_ATTENTION = {"norm": "group_norm", "q": "to_q", "k": "to_k", "v": "to_v",
                  "proj_out": "to_out.0"}

_TEXT_TOP = {
    "positional_embedding": "embeddings.position_embedding.weight",
    "token_embedding.weight": "embeddings.token_embedding.weight",
    "ln_final.weight": "final_layer_norm.weight", "ln_final.bias": "final_layer_norm.bias",
}
_TEXT_LAYER = re.compile(r"transformer\.resblocks\.(\d{1,4})\.(.+)\.(weight|bias)")
_TEXT_FUSED = re.compile(r"transformer\.resblocks\.(\d{1,4})\.attn\.in_proj_(weight|bias)")
_TEXT_INNER = {"ln_1": "layer_norm1", "ln_2": "layer_norm2", "mlp.c_fc": "mlp.fc1",
               "mlp.c_proj": "mlp.fc2", "attn.out_proj": "self_attn.out_proj"}


def unet_module(path: str, depth: int = 2) -> str:
    """A module of the UNet: `input_blocks.1.1.proj_in` -> `down_blocks.0.attentions.0.proj_in`.

    A path that is in diffusers' names already stays.

    Args:
        path: path of the module.
        depth: residual blocks of a level on the way down; one less than on the way up.
    """
    if path in _UNET_TOP:
        return _UNET_TOP[path]
    if found := _UNET_MIDDLE.fullmatch(path):
        place = int(found[1])
        return _in_block("mid_block", place // 2, place % 2, found[2])
    if found := _UNET_BLOCK.fullmatch(path):
        way, number, place, rest = found[1], int(found[2]), int(found[3]), found[4]
        if way == "input_blocks":
            level, index = divmod(number - 1, depth + 1)
            if rest == "op":
                return f"down_blocks.{level}.downsamplers.0.conv"
            return _in_block(f"down_blocks.{level}", index, place, rest)
        level, index = divmod(number, depth + 1)
        if rest == "conv":
            return f"up_blocks.{level}.upsamplers.0.conv"
        return _in_block(f"up_blocks.{level}", index, place, rest)
    return path


def _in_block(block: str, index: int, place: int, rest: str) -> str:
    if place == 0:
        return f"{block}.resnets.{index}.{_RESNET.get(rest, rest)}"
    return f"{block}.attentions.{index}.{rest}"


def vae_module(path: str, levels: int) -> str:
    """A module of the autoencoder: `encoder.down.0.block.1.conv1` -> `encoder.down_blocks.0.…`.

    Args:
        path: path of the module; one that has the same name on both sides stays.
        levels: number of resolutions; the original code counts the decoder's from the end.
    """
    if found := _VAE_MIDDLE.fullmatch(path):
        half, block, rest = found.groups()
        if block is None:
            return f"{half}.mid_block.attentions.0.{_VAE_ATTENTION.get(rest, rest)}"
        return f"{half}.mid_block.resnets.{int(block) - 1}.{_vae_resnet(rest)}"
    if found := _VAE_LEVEL.fullmatch(path):
        half, level, rest = found[1], int(found[2]), found[3]
        down = half == "encoder"
        outer = f"{half}.down_blocks.{level}" if down else f"{half}.up_blocks.{levels - 1 - level}"
        if inner := _VAE_BLOCK.fullmatch(rest):
            return f"{outer}.resnets.{inner[1]}.{_vae_resnet(inner[2])}"
        return f"{outer}.{_VAE_SAMPLER.get(rest, rest)}"
    return re.sub(r"^(encoder|decoder)\.norm_out$", r"\1.conv_norm_out", path)


def _vae_resnet(rest: str) -> str:
    return "conv_shortcut" if rest == "nin_shortcut" else rest


def open_clip_names(name: str) -> tuple[str, ...]:
    """The parameters that are in a tensor of OpenCLIP's text encoder: one, or query, key and value.

    None for the projection and for the last layer, which Stable Diffusion leaves out.
    """
    if name in _TEXT_TOP:
        return (f"text_model.{_TEXT_TOP[name]}",)
    fused = _TEXT_FUSED.fullmatch(name)
    found = fused or _TEXT_LAYER.fullmatch(name)
    if name == "text_projection" or (found and int(found[1]) >= OPEN_CLIP_LAYERS):
        return ()
    if found is None:
        return (name,)
    layer = f"text_model.encoder.layers.{found[1]}"
    if fused:
        return tuple(f"{layer}.self_attn.{part}_proj.{fused[2]}" for part in "qkv")
    return (f"{layer}.{_TEXT_INNER.get(found[2], found[2])}.{found[3]}",)
