"""Train the classifier that measures the embedded model; see `classifier.py`.

python embedded_model/train_classifier.py --work FOLDER
"""

from __future__ import annotations

import argparse
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from classifier import CHANNELS, SIZE, WEIGHTS, probabilities
from drawings import HELD_OUT, TRAINING, drawings
from jstyleid_core.synthetic.objects import KINDS

BATCH = 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--pictures", type=int, default=24000)
    parser.add_argument("--steps", type=int, default=4000)
    arguments = parser.parse_args()
    pictures, kinds, _ = drawings(arguments.work, TRAINING, arguments.pictures, SIZE)
    torch.manual_seed(2)
    convolutions = nn.ModuleList(
        nn.Conv2d(i, o, 3, stride=2, padding=1) for i, o in pairwise(CHANNELS)
    )
    out = nn.Linear(CHANNELS[-1] * (SIZE // 16) ** 2, len(KINDS))
    parameters = [*convolutions.parameters(), *out.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=2e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, arguments.steps)
    for step in range(arguments.steps):
        rng = np.random.default_rng([5, step])
        chosen = np.sort(rng.integers(0, len(pictures), BATCH))
        hidden = varied(rng, pictures[chosen])
        for convolution in convolutions:
            hidden = functional.relu(convolution(hidden))
        scores = out(functional.dropout(hidden.flatten(1), 0.3))
        loss = functional.cross_entropy(scores, torch.from_numpy(kinds[chosen]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if (step + 1) % 500 == 0:
            print({"step": step + 1, "loss": loss.item()}, flush=True)
    weights = {f"{n}.{k}": v for n, c in enumerate(convolutions) for k, v in c.state_dict().items()}
    weights |= {f"out.{k}": v for k, v in out.state_dict().items()}
    save_file({k: v.half().contiguous() for k, v in weights.items()}, WEIGHTS)
    held_out, kinds, _ = drawings(arguments.work, HELD_OUT, 340, SIZE)
    seen = probabilities([Image.fromarray(pixels) for pixels in held_out]).argmax(1)
    print({"held-out drawings recognised": float((seen == kinds).mean())})


def varied(rng: np.random.Generator, pictures: NDArray[np.uint8]) -> Tensor:
    """Pictures as the network takes them, in other colours, blurred, moved and noisy at random.

    So that it goes by shapes, which stylising leaves, and not by colours.
    """
    pixels = torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1
    mix = torch.from_numpy(rng.dirichlet(np.ones(3), (len(pictures), 3))).float()
    sign = torch.from_numpy(rng.choice([-1.0, 1.0], len(pictures))).float()[:, None, None, None]
    mixed = sign * torch.einsum("nchw,nkc->nkhw", pixels, mix)
    changed = torch.from_numpy(rng.random(len(pictures)) < 0.4)[:, None, None, None]
    pixels = torch.where(changed, mixed, pixels)
    if rng.random() < 0.5:
        kernel = int(rng.choice([3, 5]))
        pixels = functional.avg_pool2d(pixels, kernel, 1, kernel // 2, count_include_pad=False)
    y, x = rng.integers(-8, 9, 2).tolist()
    pixels = torch.roll(pixels, (y, x), (2, 3))
    noise = torch.from_numpy(rng.standard_normal(pixels.shape, dtype=np.float32))
    return pixels + noise * float(rng.choice([0.0, 0.05, 0.15]))


if __name__ == "__main__":
    main()
