"""StyleID on diffusers, written to be obviously right: the yardstick for the Jittor version.

Chung et al., "Style Injection in Diffusion: A Training-free Approach for Adapting Large-scale
Diffusion Models for Style Transfer", CVPR 2024, arXiv 2312.09008.

Nothing here is optimised: one picture at a time, all features kept, float32.  The pipeline's
weights must not require gradients (``reference_values.load`` sees to that).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from diffusers import DDIMInverseScheduler, DDIMScheduler, StableDiffusionPipeline
from diffusers.models.attention_processor import Attention, AttnProcessor2_0
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class Settings:
    """The knobs of StyleID; the defaults are those of the Stable Diffusion 2.1 reference."""

    steps: int = 20
    gamma: float = 0.75  # weight of the content's query; 0.3 gives strong style
    temperature: float = 1.5  # tau, multiplies the query
    layers: tuple[int, ...] = (7, 8, 9, 10, 11)  # decoder layers, 3..11
    inject: bool = True  # use the recorded query, key and value
    adain: bool = True  # move the initial latent to the style's statistics


@dataclass(frozen=True)
class Result:
    """What StyleID computed on the way; latents are (1, 4, H/8, W/8)."""

    content_inverted: Tensor
    style_inverted: Tensor
    latent: Tensor  # predicted x0 of the last step
    picture: Picture  # (H, W, 3)


class RecordingAttention:
    """Self-attention (attn1) that notes its query, key and value, or uses noted ones.

    ``mode`` and ``timestep`` are set from outside before each evaluation of the UNet.  Features
    are kept by timestep as (1, heads, tokens, head_dim).
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.mode: Literal["content", "style", "inject", "off"] = "off"
        self.timestep = 0
        self.query: dict[int, Tensor] = {}
        self.key: dict[int, Tensor] = {}
        self.value: dict[int, Tensor] = {}

    def __call__(self, attn: Attention, hidden_states: Tensor, **_: Tensor | None) -> Tensor:
        """Attend over ``hidden_states`` (1, tokens, channels); context and mask do not apply."""

        def heads(x: Tensor) -> Tensor:
            return x.unflatten(2, (attn.heads, -1)).transpose(1, 2)

        query = heads(attn.to_q(hidden_states))
        key = heads(attn.to_k(hidden_states))
        value = heads(attn.to_v(hidden_states))
        t = self.timestep
        if self.mode == "content":
            self.query[t] = query
        elif self.mode == "style":
            self.key[t], self.value[t] = key, value
        elif self.mode == "inject":
            gamma = self.settings.gamma
            # "Query preservation": gamma Q_c + (1 - gamma) Q_cs keeps the content's layout.
            query = gamma * self.query[t] + (1 - gamma) * query
            # "Attention temperature scaling": softmax(tau Q K^T / sqrt(d)) is sharper again,
            # which foreign keys had flattened.
            query = self.settings.temperature * query
            key, value = self.key[t], self.value[t]
        mixed = scaled_dot_product_attention(query, key, value)
        mixed = mixed.transpose(1, 2).flatten(2)
        linear, dropout = attn.to_out[0], attn.to_out[1]
        return dropout(linear(mixed))


def transfer(
    pipeline: StableDiffusionPipeline, content: Picture, style: Picture, settings: Settings
) -> Result:
    """Return ``content`` (H, W, 3) painted in the look of ``style`` (any size), by StyleID."""
    attentions = [self_attention(pipeline, layer) for layer in settings.layers]
    recorders = [RecordingAttention(settings) for _ in attentions]
    for attention, recorder in zip(attentions, recorders, strict=True):
        attention.set_processor(recorder)

    content_inverted = invert(pipeline, encode(pipeline, content), settings, recorders, "content")
    style_inverted = invert(pipeline, encode(pipeline, style), settings, recorders, "style")
    start = adain(content_inverted, style_inverted) if settings.adain else content_inverted
    latent = reverse(pipeline, start, settings, recorders)

    for attention in attentions:
        attention.set_processor(AttnProcessor2_0())
    return Result(content_inverted, style_inverted, latent, decode(pipeline, latent))


def self_attention(pipeline: StableDiffusionPipeline, layer: int) -> Attention:
    """Return attn1 of decoder layer ``layer``; 3 is the first, as ``up_blocks[0]`` has none."""
    block = pipeline.unet.up_blocks[layer // 3].attentions[layer % 3]
    attention = block.transformer_blocks[0].attn1
    assert isinstance(attention, Attention)
    return attention


def encode(pipeline: StableDiffusionPipeline, picture: Picture) -> Tensor:
    """Return the latent (1, 4, H/8, W/8) of ``picture`` (H, W, 3): the posterior's mode, scaled."""
    pixels = torch.from_numpy(picture).to(pipeline.device).permute(2, 0, 1)[None] / 127.5 - 1.0
    mode = pipeline.vae.encode(pixels).latent_dist.mode()
    return mode * pipeline.vae.config.scaling_factor


def decode(pipeline: StableDiffusionPipeline, latent: Tensor) -> Picture:
    """Return the picture (H, W, 3) of ``latent`` (1, 4, H/8, W/8)."""
    pixels = pipeline.vae.decode(latent / pipeline.vae.config.scaling_factor).sample
    unit = (pixels / 2 + 0.5).clamp(0, 1)
    picture: Picture = (unit[0].permute(1, 2, 0) * 255).round().to(torch.uint8).cpu().numpy()
    return picture


def empty_prompt(pipeline: StableDiffusionPipeline) -> Tensor:
    """Return the text encoder's output (1, 77, width) for the empty prompt."""
    tokens = pipeline.tokenizer("", padding="max_length", max_length=77, return_tensors="pt")
    return pipeline.text_encoder(tokens.input_ids.to(pipeline.device)).last_hidden_state


def invert(
    pipeline: StableDiffusionPipeline,
    latent: Tensor,
    settings: Settings,
    recorders: list[RecordingAttention],
    mode: Literal["content", "style", "off"],
) -> Tensor:
    """Return the noise (1, 4, h, w) from which DDIM would draw ``latent``, noting features.

    At each t the UNet sees t and the latent that belongs to the step before,
    max(0, t - 1000//steps); the DDIM step goes from that noise level to t's.
    """
    scheduler = DDIMInverseScheduler.from_config(pipeline.scheduler.config)
    scheduler.set_timesteps(settings.steps)
    text = empty_prompt(pipeline)
    for t in scheduler.timesteps:
        set_mode(recorders, mode, int(t))
        output = pipeline.unet(latent, t, text).sample
        latent = scheduler.step(output, t, latent).prev_sample
    return latent


def reverse(
    pipeline: StableDiffusionPipeline,
    latent: Tensor,
    settings: Settings,
    recorders: list[RecordingAttention],
) -> Tensor:
    """Return the predicted x0 (1, 4, h, w) of the last DDIM step (eta 0) from ``latent``."""
    scheduler = DDIMScheduler.from_config(pipeline.scheduler.config)
    scheduler.set_timesteps(settings.steps)
    text = empty_prompt(pipeline)
    x0 = latent
    for t in scheduler.timesteps:
        set_mode(recorders, "inject" if settings.inject else "off", int(t))
        output = pipeline.unet(latent, t, text).sample
        step = scheduler.step(output, t, latent)
        latent, x0 = step.prev_sample, step.pred_original_sample
    return x0


def set_mode(
    recorders: list[RecordingAttention],
    mode: Literal["content", "style", "inject", "off"],
    timestep: int,
) -> None:
    """Tell the injection layers what to do in the coming evaluation of the UNet."""
    for recorder in recorders:
        recorder.mode, recorder.timestep = mode, timestep


def adain(content: Tensor, style: Tensor) -> Tensor:
    """Return ``content`` with the style's channel statistics; both (1, 4, h, w).

    The paper's "initial latent AdaIN":
    z_cs = (z_c - mean_c) / (std_c + 1e-4) * std_s + mean_s, with the unbiased standard deviation.
    """
    over = (2, 3)
    content_mean, style_mean = content.mean(over, keepdim=True), style.mean(over, keepdim=True)
    content_std, style_std = content.std(over, keepdim=True), style.std(over, keepdim=True)
    return (content - content_mean) / (content_std + 1e-4) * style_std + style_mean
