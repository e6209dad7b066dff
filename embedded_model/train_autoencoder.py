"""Train the embedded model's autoencoder on plain drawings.

    python embedded_model/train_autoencoder.py --work FOLDER

It can be stopped and started again: it goes on from the last state in the folder.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import numpy as np
import torch
from diffusers.training_utils import EMAModel
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor

from architecture import SIZE, autoencoder
from drawings import HELD_OUT, TRAINING, drawings
from states import Log, State

CROP = 64
"""Most steps see parts of pictures: a convolution learns as much from fewer pixels at a time."""
WHOLE = 0.12
"""The share of the steps, the last ones, that see whole pictures."""
KL = 1e-3
EVERY = 500


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="folder for states and drawings")
    parser.add_argument("--steps", type=int, default=4600)
    parser.add_argument("--pictures", type=int, default=12000)
    parser.add_argument("--rate", type=float, default=1.5e-3)
    arguments = parser.parse_args()
    pictures, _, _ = drawings(arguments.work, TRAINING, arguments.pictures, SIZE)
    held_out, _, _ = drawings(arguments.work, HELD_OUT, 340, SIZE)
    torch.manual_seed(0)
    model = autoencoder()
    average = EMAModel(model.parameters(), decay=0.999)
    optimizer = torch.optim.AdamW(model.parameters(), lr=arguments.rate, weight_decay=1e-4)
    state = State(arguments.work / "autoencoder.pt", model, average, optimizer)
    log = Log(arguments.work / "autoencoder.jsonl")
    for step in range(state.step, arguments.steps):
        whole = step >= (1 - WHOLE) * arguments.steps
        loss = loss_of(model, batch(pictures, step, SIZE if whole else CROP, 4 if whole else 12))
        state.descend(loss, arguments.rate * rate_at(step / arguments.steps, step))
        log.add(loss.item())
        if (step + 1) % EVERY == 0 or step + 1 == arguments.steps:
            with state.averaged():
                log.write(step + 1, psnr=psnr(model, held_out))
            state.save(step + 1)


def rate_at(done: float, step: int) -> float:
    """Warm-up over 200 steps, then half a cosine."""
    return min(1.0, (step + 1) / 200) * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done)))


def batch(pictures: NDArray[np.uint8], step: int, size: int, count: int) -> Tensor:
    """Parts of pictures, (count, 3, size, size) from -1 to 1, some of them changed at random."""
    rng = np.random.default_rng([7, step])
    crops = [varied(rng, crop(rng, pictures, size), crop(rng, pictures, size))
             for _ in range(count)]
    return torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).contiguous()


def crop(rng: Generator, pictures: NDArray[np.uint8], size: int) -> NDArray[np.float32]:
    y, x = rng.integers(0, SIZE - size + 1, 2)
    pixels = pictures[rng.integers(len(pictures))][y : y + size, x : x + size]
    return pixels.astype(np.float32) / 127.5 - 1.0


def varied(
    rng: Generator, one: NDArray[np.float32], other: NDArray[np.float32]
) -> NDArray[np.float32]:
    """The first picture; at times turned, in other colours, or the two mixed by a fine pattern.

    So that the autoencoder does not fail at textures that plain drawings have none of.
    """
    one = np.rot90(one, rng.integers(4))
    chance = rng.random()
    if chance < 0.15:
        mix = rng.dirichlet(np.ones(3), 3).astype(np.float32)
        one = one @ mix * rng.choice(np.array([-1, 1], np.float32))
    elif chance < 0.35:
        y, x = np.mgrid[0 : len(one), 0 : len(one)]
        angle, period = rng.uniform(0, math.pi), rng.uniform(3, 16)
        wave = np.cos((x * math.cos(angle) + y * math.sin(angle)) * 2 * math.pi / period)
        if rng.random() < 0.5:
            wave = wave + np.cos((y * math.cos(angle) - x * math.sin(angle)) * 2 * math.pi / period)
        mask = np.clip(wave * rng.uniform(1, 4) + rng.normal(0, 0.7), 0, 1)[..., None]
        one = one * (1 - mask) + other * mask
    elif chance < 0.4:
        one = np.clip(one + rng.normal(0, rng.uniform(0.02, 0.2), one.shape), -1, 1)
    return np.ascontiguousarray(one, dtype=np.float32)


def loss_of(model: torch.nn.Module, pictures: Tensor) -> Tensor:
    with torch.autocast("cpu", torch.bfloat16):
        posterior = model.encode(pictures).latent_dist
        decoded = model.decode(posterior.sample()).sample.float()
    away = (decoded - pictures).abs()
    divergence = 0.5 * (posterior.mean.float() ** 2 + posterior.var.float() - 1
                        - posterior.logvar.float())
    return away.mean() + 2 * (away**2).mean() + KL * divergence.mean()


def psnr(model: torch.nn.Module, pictures: NDArray[np.uint8]) -> float:
    """Mean over pictures, in dB, of decoding the mode of the posterior."""
    values = []
    for start in range(0, len(pictures), 20):
        pixels = torch.from_numpy(np.array(pictures[start : start + 20])).permute(0, 3, 1, 2)
        with torch.no_grad():
            decoded = model.decode(model.encode(pixels / 127.5 - 1).latent_dist.mode()).sample
        error = ((decoded.clamp(-1, 1) * 127.5 + 127.5 - pixels) ** 2).mean((1, 2, 3))
        values += (10 * torch.log10(255**2 / error)).tolist()
    return float(np.mean(values))


if __name__ == "__main__":
    main()
