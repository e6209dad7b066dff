"""StyleID on diffusers, written to be obviously right: the yardstick for the Jittor version.

Chung et al., "Style Injection in Diffusion: A Training-free Approach for Adapting Large-scale
Diffusion Models for Style Transfer", CVPR 2024, arXiv 2312.09008.

The variants are those of ``docs/variants.md``: each is written from its equation there.

Nothing here is optimised: one picture at a time, all features kept, float32.  The pipeline's
weights must not require gradients (``reference_values.load`` sees to that).
"""

from __future__ import annotations

from collections import defaultdict
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
    rule: Literal["styleid", "joint", "gated"] = "styleid"
    style_factor: float = 1.2  # of the style's scores in joint and gated
    gate: float = 2.5  # largest further factor in gated
    moments: float = 0.0  # weight of the style's second moments in joint and gated
    efdm: bool = False  # exact matching of the style's distribution instead of its statistics
    inversion_evaluations: int = 1  # a step; more than one is the fixed point iteration


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
    are kept by timestep as (1, heads, tokens, head_dim); of several styles side by side.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.mode: Literal["content", "style", "inject", "off"] = "off"
        self.timestep = 0
        self.styles = 0  # inverted before the present one
        self.query: dict[int, Tensor] = {}
        self.key: defaultdict[int, list[Tensor]] = defaultdict(list)
        self.value: defaultdict[int, list[Tensor]] = defaultdict(list)

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
            # Of several evaluations at one timestep the last one counts.
            self.key[t][self.styles :], self.value[t][self.styles :] = [key], [value]
        elif self.mode == "inject":
            gamma = self.settings.gamma
            # "Query preservation": gamma Q_c + (1 - gamma) Q_cs keeps the content's layout.
            query = gamma * self.query[t] + (1 - gamma) * query
            # "Attention temperature scaling": softmax(tau Q K^T / sqrt(d)) is sharper again,
            # which foreign keys had flattened.
            query = self.settings.temperature * query
            style = torch.cat(self.key[t], 2), torch.cat(self.value[t], 2)
            if self.settings.rule != "styleid":
                return project(attn, self.both(query, style, (key, value)))
            key, value = style
        return project(attn, scaled_dot_product_attention(query, key, value))

    def both(
        self, query: Tensor, style: tuple[Tensor, Tensor], own: tuple[Tensor, Tensor]
    ) -> Tensor:
        """Return the attention to the style's and the picture's own keys and values.

        "joint" is one softmax over the scores s and c of both; "gated" multiplies s by
        1 + (gate - 1) sigmoid(mean over heads of clip(LSE(s) - LSE(c), -20, 20)).
        """
        scale = query.shape[-1] ** -0.5
        s = self.settings.style_factor * scale * query @ style[0].transpose(2, 3)
        c = scale * query @ own[0].transpose(2, 3)
        if self.settings.rule == "gated":
            differences = (s.logsumexp(3) - c.logsumexp(3)).clip(-20, 20).mean(1)
            s = s * (1 + (self.settings.gate - 1) * differences.sigmoid())[:, None, :, None]
        weights, value = torch.cat([s, c], 3).softmax(3), torch.cat([style[1], own[1]], 2)
        mixed = weights @ value
        if self.settings.moments:
            spread = (weights @ value**2 - mixed**2).clip(0).sqrt()
            mean = query.mean(2, keepdim=True)
            variance = query.var(2, keepdim=True, unbiased=False)
            normal = (query - mean) / (variance + 1e-5).sqrt()
            mixed = mixed + self.settings.moments * spread * normal
        return mixed


def project(attn: Attention, mixed: Tensor) -> Tensor:
    """Return the layer's output of (1, heads, tokens, head_dim)."""
    linear, dropout = attn.to_out[0], attn.to_out[1]
    return dropout(linear(mixed.transpose(1, 2).flatten(2)))


def transfer(
    pipeline: StableDiffusionPipeline, content: Picture, style: Picture, settings: Settings,
    *others: Picture,
) -> Result:
    """Return ``content`` (H, W, 3) painted in the look of ``style`` (any size), by StyleID.

    With ``others`` the style is that of several pictures.
    """
    attentions = [self_attention(pipeline, layer) for layer in settings.layers]
    recorders = [RecordingAttention(settings) for _ in attentions]
    for attention, recorder in zip(attentions, recorders, strict=True):
        attention.set_processor(recorder)

    content_inverted = invert(pipeline, encode(pipeline, content), settings, recorders, "content")
    pooled = []
    for number, picture in enumerate((style, *others)):
        for recorder in recorders:
            recorder.styles = number
        pooled.append(invert(pipeline, encode(pipeline, picture), settings, recorders, "style"))
    style_inverted = pooled[0]
    pixels = torch.cat([each.flatten(2) for each in pooled], 2)[:, :, None]
    match = efdm if settings.efdm else adain
    start = match(content_inverted, pixels) if settings.adain else content_inverted
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
    max(0, t - 1000//steps); the DDIM step goes from that noise level to t's.  More evaluations a
    step see the result at t, and the step is taken anew with their output.
    """
    scheduler = DDIMInverseScheduler.from_config(pipeline.scheduler.config)
    scheduler.set_timesteps(settings.steps)
    text = empty_prompt(pipeline)
    for t in scheduler.timesteps:
        set_mode(recorders, mode, int(t))
        output = pipeline.unet(latent, t, text).sample
        above = scheduler.step(output, t, latent).prev_sample
        for _ in range(settings.inversion_evaluations - 1):
            output = noise_of(pipeline, pipeline.unet(above, t, text).sample, above, int(t))
            above = from_noise(pipeline, output, latent, int(t), 1000 // settings.steps)
        latent = above
    return latent


def noise_of(
    pipeline: StableDiffusionPipeline, output: Tensor, latent: Tensor, timestep: int
) -> Tensor:
    """Return the predicted noise of the UNet's output at ``latent``."""
    if pipeline.scheduler.config.prediction_type == "epsilon":
        return output
    bar = pipeline.scheduler.alphas_cumprod[timestep]
    return bar.sqrt() * output + (1 - bar).sqrt() * latent


def from_noise(
    pipeline: StableDiffusionPipeline, noise: Tensor, below: Tensor, timestep: int, stride: int
) -> Tensor:
    """Return the latent at ``timestep`` that DDIM brings to ``below``, given the noise."""
    bars = pipeline.scheduler.alphas_cumprod
    bar, bar_below = bars[timestep], bars[max(0, timestep - stride)]
    x0 = (below - (1 - bar_below).sqrt() * noise) / bar_below.sqrt()
    return bar.sqrt() * x0 + (1 - bar).sqrt() * noise


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


def efdm(content: Tensor, style: Tensor) -> Tensor:
    """Return ``content`` with the style's values by rank; both (1, 4, ...) of as many pixels.

    Exact feature distribution matching (Zhang et al., CVPR 2022).
    """
    ranks = content.flatten(2).argsort(2).argsort(2)
    return style.flatten(2).sort(2).values.gather(2, ranks).view_as(content)
