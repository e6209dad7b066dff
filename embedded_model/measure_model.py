"""Measure the embedded model on drawings it was not trained on, with diffusers.

    python embedded_model/measure_model.py [--pictures 8]

Writes `measured.json` beside this file and sheets to look at into --sheets.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from diffusers import DDIMInverseScheduler, DDIMScheduler, StableDiffusionPipeline
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from architecture import SIZE
from classifier import recognised
from jstyleid_core.synthetic.objects import KINDS
from jstyleid_core.synthetic.rendering import draw_plain
from jstyleid_core.synthetic.scene import random_scene
from reference_sets import EMBEDDED

GUIDANCE, STEPS = 5.0, 25
INVERSION_STEPS = (50, 100)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=EMBEDDED)
    parser.add_argument("--pictures", type=int, default=8, help="generated of each kind")
    parser.add_argument("--sheets", type=Path, help="folder for sheets of the pictures")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("measured.json"))
    arguments = parser.parse_args()
    pipeline = StableDiffusionPipeline.from_pretrained(
        arguments.model, torch_dtype=torch.float32, safety_checker=None, feature_extractor=None
    )
    pipeline.set_progress_bar_config(disable=True)
    drawn = held_out()
    few = drawn[: len(KINDS)]
    with torch.no_grad():
        decoded = np.concatenate([
            as_pixels(decode(pipeline, encode(pipeline, drawn[start : start + 34])))
            for start in range(0, len(drawn), 34)
        ])
        returned = {steps: round_trip(pipeline, few, steps) for steps in INVERSION_STEPS}
    generated = {kind: draw(pipeline, kind, arguments.pictures) for kind in KINDS}
    seen = {
        kind: recognised(pictures, [kind] * len(pictures)) for kind, pictures in generated.items()
    }
    measured = {
        "drawings recognised": recognised(
            [Image.fromarray(p) for p in drawn], list(KINDS) * (len(drawn) // len(KINDS))
        ),
        "autoencoder PSNR, dB": psnr(drawn, decoded),
        "autoencoder PSNR of one drawing of each kind, dB": psnr(few, decoded[: len(few)]),
        "inversion and reversal PSNR of these by steps, dB": {
            steps: psnr(few, pictures) for steps, pictures in returned.items()
        },
        "generated recognised": float(np.mean(list(seen.values()))),
        "generated recognised, by kind": seen,
        "guidance": GUIDANCE,
        "steps": STEPS,
        "drawings": len(drawn),
        "generated of each kind": arguments.pictures,
    }
    print(json.dumps(measured, indent=2))
    arguments.out.write_text(json.dumps(measured, indent=2) + "\n")
    if arguments.sheets:
        arguments.sheets.mkdir(parents=True, exist_ok=True)
        sheet([pictures[:8] for pictures in generated.values()]).save(
            arguments.sheets / "generated.png")
        stacks = (drawn, decoded, *returned.values())
        sheet([[Image.fromarray(p) for p in stack[:16]] for stack in stacks]).save(
            arguments.sheets / "round-trips.png")


def held_out(count: int = 10 * len(KINDS)) -> NDArray[np.uint8]:
    rng = np.random.default_rng(3)
    scenes = [random_scene(rng, list(KINDS)[n % len(KINDS)]) for n in range(count)]
    return np.stack([np.asarray(draw_plain(scene, SIZE)) for scene in scenes])


def encode(pipeline: StableDiffusionPipeline, drawn: NDArray[np.uint8]) -> Tensor:
    pixels = torch.from_numpy(drawn).permute(0, 3, 1, 2) / 127.5 - 1
    return pipeline.vae.encode(pixels).latent_dist.mode() * pipeline.vae.config.scaling_factor


def decode(pipeline: StableDiffusionPipeline, latents: Tensor) -> Tensor:
    return pipeline.vae.decode(latents / pipeline.vae.config.scaling_factor).sample


def round_trip(
    pipeline: StableDiffusionPipeline, drawn: NDArray[np.uint8], steps: int
) -> NDArray[np.uint8]:
    """Pictures through the autoencoder, and between its halves DDIM inversion and reversal."""
    latents = encode(pipeline, drawn)
    tokens = pipeline.tokenizer([""], padding="max_length", max_length=77, return_tensors="pt")
    empty = pipeline.text_encoder(tokens.input_ids)[0].expand(len(drawn), -1, -1)
    for scheduler in (DDIMInverseScheduler.from_config(pipeline.scheduler.config),
                      DDIMScheduler.from_config(pipeline.scheduler.config)):
        scheduler.set_timesteps(steps)
        for time in scheduler.timesteps:
            velocity = pipeline.unet(latents, time, empty).sample
            latents = scheduler.step(velocity, time, latents).prev_sample
    return as_pixels(decode(pipeline, latents))


def draw(pipeline: StableDiffusionPipeline, kind: str, count: int) -> list[Image.Image]:
    generator = [torch.Generator().manual_seed(n) for n in range(count)]
    return pipeline(
        [f"a picture of a {kind}"] * count, num_inference_steps=STEPS, guidance_scale=GUIDANCE,
        generator=generator,
    ).images


def as_pixels(pictures: Tensor) -> NDArray[np.uint8]:
    values = (pictures.clamp(-1, 1) * 127.5 + 127.5).round()
    return values.permute(0, 2, 3, 1).numpy().astype(np.uint8)


def psnr(pictures: NDArray[np.uint8], others: NDArray[np.uint8]) -> float:
    """Mean over pictures, in dB."""
    error = ((pictures.astype(np.float64) - others) ** 2).mean((1, 2, 3))
    return float((10 * np.log10(255**2 / error)).mean())


def sheet(rows: Sequence[Sequence[Image.Image]]) -> Image.Image:
    picture = Image.new("RGB", (max(map(len, rows)) * (SIZE + 2), len(rows) * (SIZE + 2)), "white")
    for y, row in enumerate(rows):
        for x, one in enumerate(row):
            picture.paste(one, (x * (SIZE + 2), y * (SIZE + 2)))
    return picture


if __name__ == "__main__":
    main()
