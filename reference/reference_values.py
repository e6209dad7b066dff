"""Compute what diffusers and transformers answer for a checkpoint: the values to compare with.

Everything is float32 on the CPU; ids and timesteps are int32, pictures uint8.  Inputs are drawn by
numpy from the seed and stored beside the outputs (pictures H x W x 3, everything else N x C x H x W
or N x tokens x channels).

====================================== =================== =======================================
key                                    shape               meaning
====================================== =================== =======================================
unet.sample, .timestep, .context, .out 2x4x16x16, 2,       UNet, a different timestep each
                                       2x77x48
unet.wide.*                            1x4x8x16            the same, not square
text.ids, text.out                     5x77, 5x77x48       text encoder, last_hidden_state
vae.picture, .mean, .logvar            64x64x3, 1x4x8x8    encoder, picture/127.5 - 1 goes in; the
                                                           mode is the mean; unscaled
vae.wide.*                             64x96x3, 1x4x8x12   the same, not square
vae.code, vae.decoded                  1x4x8x8, 1x3x64x64  decoder; the code is unscaled
vae.wide.code, .decoded                1x4x8x12            the same, not square
sample.noise, sample.latent            1x4x16x16           DDIM, 20 steps, guidance 7.5; the prompts
                                                           are PROMPT and NEGATIVE_PROMPT
start.latent, start.drawn              1x4x16x16           image to image from that latent: as
                                                           sample.*, START_STRENGTH of the steps;
                                                           noise by numpy from START_SEED
invert.latent, invert.noise            1x4x16x16           DDIM inversion, 20 steps, empty prompt
tokenizer.ids                          1000x77             ids of prompt_strings.prompts(seed)
styleid.content, styleid.style         128x128x3           the two input pictures
styleid.wide.style                     64x128x3            another style picture, not square
styleid.content_inverted               1x4x16x16           content at t = T
styleid.style_inverted                 1x4x16x16           style at t = T
styleid.wide.style_inverted            1x4x8x16            the same of styleid.wide.style
styleid.<variant>.latent               1x4x16x16           predicted x0 of the last step
styleid.default.picture, .wide.picture 128x128x3           its picture
====================================== =================== =======================================

Variants: see VARIANTS; ``default`` and ``wide`` (the other style picture) have default settings.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    StableDiffusionImg2ImgPipeline,
    StableDiffusionPipeline,
    UNet2DConditionModel,
)
from diffusers.pipelines.stable_diffusion import pipeline_stable_diffusion_img2img
from diffusers.utils import logging
from numpy.typing import NDArray
from transformers.utils.logging import disable_progress_bar as disable_transformers_bar

import styleid_torch
from prompt_strings import NEGATIVE_PROMPT, PROMPT, prompts
from reference_sets import START_SEED, START_STRENGTH
from styleid_torch import Picture, Settings

Values = dict[str, NDArray[Any]]

STEPS = 20
GUIDANCE = 7.5
TEXTS = ("", PROMPT, NEGATIVE_PROMPT, "ΘΆΛΑΣΣΑ 風景 café", "a cat and a dog " * 40)

VARIANTS = {
    "default": Settings(STEPS),
    "reconstruction": Settings(STEPS, inject=False, adain=False),
    "adain": Settings(STEPS, inject=False),
    "inject": Settings(STEPS, adain=False),
    "strong": Settings(STEPS, gamma=0.3),
    "neutral": Settings(STEPS, temperature=1.0),
    "paper_layers": Settings(STEPS, layers=(6, 7, 8, 9, 10, 11)),
    "all_layers": Settings(STEPS, layers=(3, 4, 5, 6, 7, 8, 9, 10, 11)),
    "joint": Settings(STEPS, rule="joint"),
    "gated": Settings(STEPS, rule="gated"),
    "moments": Settings(STEPS, rule="gated", moments=0.2),
    "efdm": Settings(STEPS, efdm=True),
    "fixed_point": Settings(STEPS, inversion_evaluations=3),
}


def load(folder: Path, variant: str | None = None) -> StableDiffusionPipeline:
    """Return the checkpoint in ``folder`` as a float32 pipeline with a DDIM scheduler."""
    # DDIM and PNDM warn about each other's options in the same configuration, at every turn.
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    disable_transformers_bar()
    # How sums are split over threads shows in the last digits; and for tensors this small, two
    # threads on a busy machine mostly wait for each other.
    torch.set_num_threads(1)
    pipeline = StableDiffusionPipeline.from_pretrained(
        folder, variant=variant, torch_dtype=torch.float32, local_files_only=True
    )
    pipeline.scheduler = DDIMScheduler.from_config(pipeline.scheduler.config)
    pipeline.set_progress_bar_config(disable=True)
    for model in (pipeline.unet, pipeline.vae, pipeline.text_encoder):
        model.requires_grad_(False)
    return pipeline


def values(folder: Path, seed: int, variant: str | None = None) -> Values:
    """Return the reference values of the checkpoint in ``folder``, as in the table above."""
    pipeline = load(folder, variant)
    rng = np.random.default_rng(seed)
    return {
        **unet_values("unet", pipeline.unet, rng, (2, 16, 16)),
        **unet_values("unet.wide", pipeline.unet, rng, (1, 8, 16)),
        **text_values(pipeline),
        **vae_values("vae", pipeline.vae, rng, 64, 64),
        **vae_values("vae.wide", pipeline.vae, rng, 64, 96),
        **sampling_values(pipeline, rng),
        "tokenizer.ids": token_ids(pipeline, prompts(seed)),
        **styleid_values(pipeline, rng),
        **start_values(pipeline, rng),
    }


def normal(rng: np.random.Generator, *shape: int) -> torch.Tensor:
    """Return standard normal numbers."""
    return torch.from_numpy(rng.standard_normal(shape, dtype=np.float32))


def unet_values(
    key: str, unet: UNet2DConditionModel, rng: np.random.Generator, size: tuple[int, int, int]
) -> Values:
    """One evaluation of the UNet on ``size`` = (batch, height, width) latents."""
    batch, height, width = size
    sample = normal(rng, batch, 4, height, width)
    context = normal(rng, batch, 77, unet.config.cross_attention_dim)
    timestep = torch.from_numpy(rng.choice(1000, batch, replace=False))
    out = unet(sample, timestep, context).sample
    return {
        f"{key}.sample": sample.numpy(),
        f"{key}.timestep": timestep.numpy().astype(np.int32),
        f"{key}.context": context.numpy(),
        f"{key}.out": out.numpy(),
    }


def token_ids(pipeline: StableDiffusionPipeline, texts: list[str]) -> NDArray[np.int32]:
    """Return the ids (len(texts), 77) of texts, padded and cut as Stable Diffusion does."""
    ids = pipeline.tokenizer(texts, padding="max_length", max_length=77, truncation=True).input_ids
    return np.array(ids, dtype=np.int32)


def text_values(pipeline: StableDiffusionPipeline) -> Values:
    """The text encoder on TEXTS; Stable Diffusion gives it no attention mask."""
    ids = token_ids(pipeline, list(TEXTS))
    out = pipeline.text_encoder(torch.from_numpy(ids).long()).last_hidden_state
    return {"text.ids": ids, "text.out": out.numpy()}


def vae_values(
    key: str, vae: AutoencoderKL, rng: np.random.Generator, height: int, width: int
) -> Values:
    """Encoder and decoder, each on its own random input."""
    picture = smooth_picture(rng, height, width)
    pixels = torch.from_numpy(picture).permute(2, 0, 1)[None] / 127.5 - 1.0
    posterior = vae.encode(pixels).latent_dist
    code = normal(rng, 1, 4, height // 8, width // 8) / vae.config.scaling_factor
    return {
        f"{key}.picture": picture,
        f"{key}.mean": posterior.mean.numpy(),
        f"{key}.logvar": posterior.logvar.numpy(),
        f"{key}.code": code.numpy(),
        f"{key}.decoded": vae.decode(code).sample.numpy(),
    }


def sampling_values(pipeline: StableDiffusionPipeline, rng: np.random.Generator) -> Values:
    """Text to image by diffusers' own pipeline, and the inversion of a random latent."""
    noise, latent = normal(rng, 1, 4, 16, 16), normal(rng, 1, 4, 16, 16)
    sampled = pipeline(
        PROMPT,
        negative_prompt=NEGATIVE_PROMPT,
        height=128,
        width=128,
        num_inference_steps=STEPS,
        guidance_scale=GUIDANCE,
        latents=noise.clone(),
        output_type="latent",
    ).images
    inverted = styleid_torch.invert(pipeline, latent, Settings(STEPS), [], "off")
    return {
        "sample.noise": noise.numpy(),
        "sample.latent": sampled.numpy(),
        "invert.latent": latent.numpy(),
        "invert.noise": inverted.numpy(),
    }


def start_values(pipeline: StableDiffusionPipeline, rng: np.random.Generator) -> Values:
    """Image to image by diffusers' own pipeline, from a random latent."""
    latent = normal(rng, 1, 4, 16, 16)
    noise = np.random.default_rng(START_SEED).standard_normal((1, 4, 16, 16), dtype=np.float32)
    image_to_image = StableDiffusionImg2ImgPipeline(
        **pipeline.components, requires_safety_checker=False)
    image_to_image.set_progress_bar_config(disable=True)
    with mock.patch.object(pipeline_stable_diffusion_img2img, "randn_tensor",
                           return_value=torch.from_numpy(noise)):
        drawn = image_to_image(
            PROMPT,
            image=latent.clone(),
            negative_prompt=NEGATIVE_PROMPT,
            strength=START_STRENGTH,
            num_inference_steps=STEPS,
            guidance_scale=GUIDANCE,
            output_type="latent",
        ).images
    return {"start.latent": latent.numpy(), "start.drawn": drawn.numpy()}


def styleid_values(pipeline: StableDiffusionPipeline, rng: np.random.Generator) -> Values:
    """StyleID with several settings on random pictures."""
    content, style = smooth_picture(rng, 128, 128), smooth_picture(rng, 128, 128)
    wide = smooth_picture(rng, 64, 128)
    results = {
        name: styleid_torch.transfer(pipeline, content, style, settings)
        for name, settings in VARIANTS.items()
    }
    default = VARIANTS["default"]
    results["wide"] = styleid_torch.transfer(pipeline, content, wide, default)
    results["together"] = styleid_torch.transfer(pipeline, content, style, default, wide)
    found: Values = {
        "styleid.content": content,
        "styleid.style": style,
        "styleid.wide.style": wide,
        "styleid.content_inverted": results["default"].content_inverted.numpy(),
        "styleid.style_inverted": results["default"].style_inverted.numpy(),
        "styleid.wide.style_inverted": results["wide"].style_inverted.numpy(),
    }
    for name, result in results.items():
        found[f"styleid.{name}.latent"] = result.latent.numpy()
    for name in ("default", "wide"):
        found[f"styleid.{name}.picture"] = results[name].picture
    return found


def smooth_picture(rng: np.random.Generator, height: int, width: int) -> Picture:
    """Return a random picture (height, width, 3) of low frequencies: a few waves a channel."""
    rows = np.linspace(0.0, 1.0, height)[:, None]
    columns = np.linspace(0.0, 1.0, width)[None, :]
    channels = []
    for _ in range(3):
        wave = np.zeros((height, width))
        for _ in range(4):
            down, across = rng.uniform(-3.0, 3.0, 2)
            phase = rng.uniform(0.0, 1.0)
            wave += np.sin(2 * np.pi * (down * rows + across * columns + phase))
        channels.append(rng.uniform(64.0, 192.0) + 40.0 * wave)
    picture: Picture = np.stack(channels, axis=2).clip(0, 255).round().astype(np.uint8)
    return picture
