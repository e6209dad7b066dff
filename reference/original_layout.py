"""Names and shapes of Stable Diffusion's single files, built up as the original code builds them.

This follows the constructors of the code of 2022 (``UNetModel``, ``Encoder`` and ``Decoder`` of
``ldm``, the text encoders of transformers and OpenCLIP), not any converter: it is what converters
are tried on. ``FULL`` are the published sizes, ``SMALL`` the same depth with narrow layers.
No torch here.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from small_checkpoint import draw

Shapes = dict[str, tuple[int, ...]]

BLOCKS = 2  # residual blocks of a level
LATENTS = 4
POSITIONS = 77
SCHEDULE = (
    "betas", "alphas_cumprod", "alphas_cumprod_prev", "sqrt_alphas_cumprod",
    "sqrt_one_minus_alphas_cumprod", "log_one_minus_alphas_cumprod", "sqrt_recip_alphas_cumprod",
    "sqrt_recipm1_alphas_cumprod", "posterior_variance", "posterior_log_variance_clipped",
    "posterior_mean_coef1", "posterior_mean_coef2",
)  # buffers of the diffusion model, in every file that was not pruned of them


@dataclass(frozen=True)
class Kind:
    """A family of single files."""

    second: bool  # 2.x: OpenCLIP's text encoder, linear projections in the UNet
    unet_levels: tuple[int, ...]
    vae_levels: tuple[int, ...]
    text_width: int
    text_layers: int
    text_inner: int
    vocabulary: int


FULL = {
    "sd15": Kind(False, (320, 640, 1280, 1280), (128, 256, 512, 512), 768, 12, 3072, 49408),
    "sd21": Kind(True, (320, 640, 1280, 1280), (128, 256, 512, 512), 1024, 24, 4096, 49408),
}
SMALL = {
    "sd15": Kind(False, (32, 64, 64, 64), (32, 32, 64, 64), 64, 3, 128, 1514),
    "sd21": Kind(True, (32, 64, 64, 64), (32, 32, 64, 64), 64, 24, 128, 1514),
}


def checkpoint(kind: Kind) -> Shapes:
    """Return every tensor of a single file, the averages (EMA) of a training apart."""
    text = open_clip(kind) if kind.second else clip(kind)
    prefix = "cond_stage_model.model." if kind.second else "cond_stage_model.transformer."
    return {
        **dict.fromkeys(SCHEDULE, (1000,)),
        **{f"model.diffusion_model.{name}": shape for name, shape in unet(kind).items()},
        **{f"first_stage_model.{name}": shape for name, shape in vae(kind).items()},
        **{f"{prefix}{name}": shape for name, shape in text.items()},
    }


def averages(kind: Kind) -> Shapes:
    """Return the EMA weights of the UNet, which unpruned files carry under flat names."""
    flat = {f"model_ema.diffusion_model{name.replace('.', '')}": shape
            for name, shape in unet(kind).items()}
    return {**flat, "model_ema.decay": (), "model_ema.num_updates": ()}


def write_file(path: Path, shapes: Shapes, seed: int = 0, header: dict[str, str] | None = None,
               dtype: str = "float32") -> Path:
    """Write a file of these tensors, drawn as those of the small checkpoints."""
    tensors = {name: np.asarray(draw(name, shape, seed, dtype)) for name, shape in shapes.items()}
    save_file(tensors, path, metadata={"format": "pt", **(header or {})})
    return path


def digest(values: NDArray[np.float32]) -> str:
    """Return a digest of a tensor's shape and numbers."""
    described = f"{list(values.shape)}".encode()
    return f"{zlib.crc32(values.astype('<f4').tobytes(), zlib.crc32(described)):08x}"


def unet(kind: Kind) -> Shapes:
    """Return the tensors of the UNet."""
    levels = kind.unet_levels
    found: Shapes = {}
    width, time = levels[0], 4 * levels[0]
    found |= _linear("time_embed.0", width, time) | _linear("time_embed.2", time, time)
    found |= _conv("input_blocks.0.0", LATENTS, width, 3)
    kept, number = [width], 1
    for level, out in enumerate(levels):
        attends = level < len(levels) - 1
        for _ in range(BLOCKS):
            found |= _residual(f"input_blocks.{number}.0", width, out, time)
            width = out
            if attends:
                found |= _transformer(f"input_blocks.{number}.1", width, kind)
            kept.append(width)
            number += 1
        if level < len(levels) - 1:
            found |= _conv(f"input_blocks.{number}.0.op", width, width, 3)
            kept.append(width)
            number += 1
    found |= _residual("middle_block.0", width, width, time)
    found |= _transformer("middle_block.1", width, kind)
    found |= _residual("middle_block.2", width, width, time)
    number = 0
    for level, out in reversed(list(enumerate(levels))):
        attends = level < len(levels) - 1
        for block in range(BLOCKS + 1):
            found |= _residual(f"output_blocks.{number}.0", width + kept.pop(), out, time)
            width = out
            if attends:
                found |= _transformer(f"output_blocks.{number}.1", width, kind)
            if level and block == BLOCKS:
                place = 2 if attends else 1
                found |= _conv(f"output_blocks.{number}.{place}.conv", width, width, 3)
            number += 1
    return found | _norm("out.0", width) | _conv("out.2", width, LATENTS, 3)


def vae(kind: Kind) -> Shapes:
    """Return the tensors of the autoencoder."""
    levels = kind.vae_levels
    found: Shapes = {}
    top, width = levels[-1], levels[0]
    found |= _conv("encoder.conv_in", 3, width, 3)
    for level, out in enumerate(levels):
        for block in range(BLOCKS):
            found |= _vae_block(f"encoder.down.{level}.block.{block}", width, out)
            width = out
        if level < len(levels) - 1:
            found |= _conv(f"encoder.down.{level}.downsample.conv", width, width, 3)
    found |= _vae_middle("encoder", top) | _norm("encoder.norm_out", top)
    found |= _conv("encoder.conv_out", top, 2 * LATENTS, 3)
    found |= _conv("decoder.conv_in", LATENTS, top, 3) | _vae_middle("decoder", top)
    width = top
    for level, out in reversed(list(enumerate(levels))):
        for block in range(BLOCKS + 1):
            found |= _vae_block(f"decoder.up.{level}.block.{block}", width, out)
            width = out
        if level:
            found |= _conv(f"decoder.up.{level}.upsample.conv", width, width, 3)
    found |= _norm("decoder.norm_out", width) | _conv("decoder.conv_out", width, 3, 3)
    found |= _conv("quant_conv", 2 * LATENTS, 2 * LATENTS, 1)
    return found | _conv("post_quant_conv", LATENTS, LATENTS, 1)


def clip(kind: Kind) -> Shapes:
    """Return the tensors of 1.x's text encoder."""
    width = kind.text_width
    found: Shapes = {}
    found["text_model.embeddings.position_ids"] = (1, POSITIONS)
    found["text_model.embeddings.token_embedding.weight"] = (kind.vocabulary, width)
    found["text_model.embeddings.position_embedding.weight"] = (POSITIONS, width)
    for layer in range(kind.text_layers):
        path = f"text_model.encoder.layers.{layer}"
        for name in ("k_proj", "v_proj", "q_proj", "out_proj"):
            found |= _linear(f"{path}.self_attn.{name}", width, width)
        found |= _norm(f"{path}.layer_norm1", width) | _norm(f"{path}.layer_norm2", width)
        found |= _linear(f"{path}.mlp.fc1", width, kind.text_inner)
        found |= _linear(f"{path}.mlp.fc2", kind.text_inner, width)
    return found | _norm("text_model.final_layer_norm", width)


def open_clip(kind: Kind) -> Shapes:
    """Return the tensors of 2.x's text encoder."""
    width = kind.text_width
    found: Shapes = {
        "positional_embedding": (POSITIONS, width), "text_projection": (width, width),
        "logit_scale": (), "token_embedding.weight": (kind.vocabulary, width)}
    for layer in range(kind.text_layers):
        path = f"transformer.resblocks.{layer}"
        found |= _norm(f"{path}.ln_1", width) | _norm(f"{path}.ln_2", width)
        found[f"{path}.attn.in_proj_weight"] = (3 * width, width)
        found[f"{path}.attn.in_proj_bias"] = (3 * width,)
        found |= _linear(f"{path}.attn.out_proj", width, width)
        found |= _linear(f"{path}.mlp.c_fc", width, kind.text_inner)
        found |= _linear(f"{path}.mlp.c_proj", kind.text_inner, width)
    return found | _norm("ln_final", width)


def _linear(path: str, width: int, out: int, bias: bool = True) -> Shapes:
    return {f"{path}.weight": (out, width), **({f"{path}.bias": (out,)} if bias else {})}


def _conv(path: str, width: int, out: int, kernel: int) -> Shapes:
    return {f"{path}.weight": (out, width, kernel, kernel), f"{path}.bias": (out,)}


def _norm(path: str, width: int) -> Shapes:
    return {f"{path}.weight": (width,), f"{path}.bias": (width,)}


def _residual(path: str, width: int, out: int, time: int) -> Shapes:
    found = _norm(f"{path}.in_layers.0", width) | _conv(f"{path}.in_layers.2", width, out, 3)
    found |= _linear(f"{path}.emb_layers.1", time, out) | _norm(f"{path}.out_layers.0", out)
    found |= _conv(f"{path}.out_layers.3", out, out, 3)
    return found if width == out else found | _conv(f"{path}.skip_connection", width, out, 1)


def _transformer(path: str, width: int, kind: Kind) -> Shapes:
    inner, found = f"{path}.transformer_blocks.0", _norm(f"{path}.norm", width)
    for name in ("proj_in", "proj_out"):
        found |= (_linear(f"{path}.{name}", width, width) if kind.second
                  else _conv(f"{path}.{name}", width, width, 1))
    for attention, source in (("attn1", width), ("attn2", kind.text_width)):
        found |= _linear(f"{inner}.{attention}.to_q", width, width, bias=False)
        found |= _linear(f"{inner}.{attention}.to_k", source, width, bias=False)
        found |= _linear(f"{inner}.{attention}.to_v", source, width, bias=False)
        found |= _linear(f"{inner}.{attention}.to_out.0", width, width)
    found |= _linear(f"{inner}.ff.net.0.proj", width, 8 * width)
    found |= _linear(f"{inner}.ff.net.2", 4 * width, width)
    for norm in ("norm1", "norm2", "norm3"):
        found |= _norm(f"{inner}.{norm}", width)
    return found


def _vae_block(path: str, width: int, out: int) -> Shapes:
    found = _norm(f"{path}.norm1", width) | _conv(f"{path}.conv1", width, out, 3)
    found |= _norm(f"{path}.norm2", out) | _conv(f"{path}.conv2", out, out, 3)
    return found if width == out else found | _conv(f"{path}.nin_shortcut", width, out, 1)


def _vae_middle(half: str, width: int) -> Shapes:
    found = _vae_block(f"{half}.mid.block_1", width, width)
    found |= _vae_block(f"{half}.mid.block_2", width, width)
    found |= _norm(f"{half}.mid.attn_1.norm", width)
    for name in ("q", "k", "v", "proj_out"):
        found |= _conv(f"{half}.mid.attn_1.{name}", width, width, 1)
    return found
