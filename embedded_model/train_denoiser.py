"""Train the embedded model's UNet and text encoder on the autoencoder's latents of plain drawings.

    python embedded_model/train_denoiser.py --work FOLDER

It can be stopped and started again, also with more --steps: the learning rate is constant until
the last 30 % of the steps, in which it falls to zero.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers.training_utils import EMAModel
from numpy.typing import NDArray
from torch import Tensor, nn

from architecture import LATENT, SIZE, averaged_autoencoder, scheduler, text_encoder, unet
from drawings import TRAINING, drawings
from states import Log, State
from vocabulary import load_tokenizer, write_tokenizer

BATCH = 32
WARM_UP = 300
FALL = 0.3
"""The share of the steps in which the rate falls."""
UNCONDITIONAL = 0.12
"""The share of captions that are left out, for guidance and for StyleID's empty prompt."""
LOG_EVERY, SAVE_EVERY = 200, 500


@dataclass(frozen=True)
class Data:
    """Posteriors of the autoencoder, scaled, and captions as tokens."""

    mean: NDArray[np.float16]
    deviation: NDArray[np.float16]
    tokens: NDArray[np.int64]  # (pictures, captions a picture, 77)
    empty: NDArray[np.int64]
    scaling_factor: float


class Denoiser(nn.Module):
    """UNet and text encoder, which are trained together."""

    def __init__(self, vocabulary: dict[str, int]) -> None:
        super().__init__()
        self.unet, self.text_encoder = unet(), text_encoder(vocabulary)

    def forward(self, noisy: Tensor, times: Tensor, tokens: Tensor) -> Tensor:
        return self.unet(noisy, times, self.text_encoder(tokens)[0]).sample


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="with the autoencoder's state")
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--pictures", type=int, default=16000)
    parser.add_argument("--rate", type=float, default=6e-4)
    arguments = parser.parse_args()
    vocabulary = write_tokenizer(arguments.work / "tokenizer")
    data = latents(arguments.work, arguments.pictures)
    torch.manual_seed(1)
    model = Denoiser(vocabulary)
    average = EMAModel(model.parameters(), decay=0.9995, use_ema_warmup=True, power=0.75)
    optimizer = torch.optim.AdamW(model.parameters(), lr=arguments.rate, weight_decay=1e-3)
    state = State(arguments.work / "denoiser.pt", model, average, optimizer)
    log = Log(arguments.work / "denoiser.jsonl")
    alphas = scheduler().alphas_cumprod
    for step in range(state.step, arguments.steps):
        loss = loss_of(model, data, alphas, step)
        state.descend(loss, arguments.rate * rate_at(step, arguments.steps))
        log.add(loss.item())
        if (step + 1) % LOG_EVERY == 0:
            log.write(step + 1)
        if (step + 1) % SAVE_EVERY == 0 or step + 1 == arguments.steps:
            state.save(step + 1, scaling_factor=data.scaling_factor)


def rate_at(step: int, steps: int) -> float:
    return min(1.0, (step + 1) / WARM_UP, (steps - step) / (FALL * steps))


def loss_of(model: Denoiser, data: Data, alphas: Tensor, step: int) -> Tensor:
    """Error of the velocity on a batch that the step's number decides."""
    rng = np.random.default_rng([11, step])
    chosen = rng.integers(0, len(data.mean), BATCH)
    captions = data.tokens[chosen, rng.integers(0, data.tokens.shape[1], BATCH)]
    captions = np.where(rng.random((BATCH, 1)) < UNCONDITIONAL, data.empty, captions)
    mean, deviation = data.mean[chosen], data.deviation[chosen]
    sampled = mean + deviation * rng.standard_normal(mean.shape)
    clean = torch.from_numpy(sampled.astype(np.float32))
    noise = torch.from_numpy(rng.standard_normal(mean.shape, dtype=np.float32))
    times = torch.from_numpy(rng.integers(0, 1000, BATCH))
    alpha = alphas[times][:, None, None, None]
    noisy = alpha.sqrt() * clean + (1 - alpha).sqrt() * noise
    velocity = alpha.sqrt() * noise - (1 - alpha).sqrt() * clean
    with torch.autocast("cpu", torch.bfloat16):
        predicted = model(noisy, times, torch.from_numpy(captions))
    return nn.functional.mse_loss(predicted.float(), velocity)


def latents(work: Path, count: int) -> Data:
    """The autoencoder's posteriors of the training drawings; kept in the folder."""
    pictures, _, captions = drawings(work, TRAINING, count, SIZE)
    file = work / f"latents-{count}.npz"
    if not file.exists():
        model = averaged_autoencoder(work)
        mean = np.empty((count, 4, LATENT, LATENT), np.float32)
        deviation = np.empty_like(mean)
        for start in range(0, count, 50):
            pixels = torch.from_numpy(np.array(pictures[start : start + 50])).permute(0, 3, 1, 2)
            with torch.no_grad():
                posterior = model.encode(pixels / 127.5 - 1).latent_dist
            mean[start : start + 50] = posterior.mean.numpy()
            deviation[start : start + 50] = posterior.std.numpy()
        factor = float(1 / mean.std())
        np.savez(file, mean=(mean * factor).astype(np.float16),
                 deviation=(deviation * factor).astype(np.float16), factor=factor)
    kept = np.load(file)
    tokenizer = load_tokenizer(work / "tokenizer")

    def tokens(texts: list[str]) -> NDArray[np.int64]:
        return np.asarray(tokenizer(texts, padding="max_length", max_length=77).input_ids)

    return Data(kept["mean"], kept["deviation"], np.stack([tokens(texts) for texts in captions]),
                tokens([""]), float(kept["factor"]))


if __name__ == "__main__":
    main()
