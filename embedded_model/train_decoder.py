"""Train the autoencoder's decoder further, while the encoder stays as it is.

    python embedded_model/train_decoder.py --work FOLDER

The latents that the UNet has learnt do not change, so this can be done before or after.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from diffusers.training_utils import EMAModel

from architecture import DECODER, SIZE, averaged_autoencoder
from drawings import HELD_OUT, TRAINING, drawings
from states import Log, State
from train_autoencoder import batch, psnr, rate_at

BATCH = 6
EVERY = 100
FIRST = 100_000
"""Number of the first batch, so that none is one of the autoencoder's."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="with the autoencoder's state")
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--pictures", type=int, default=12000)
    parser.add_argument("--rate", type=float, default=8e-4)
    arguments = parser.parse_args()
    pictures, _, _ = drawings(arguments.work, TRAINING, arguments.pictures, SIZE)
    held_out, _, _ = drawings(arguments.work, HELD_OUT, 340, SIZE)
    torch.manual_seed(3)
    model = averaged_autoencoder(arguments.work)
    model.requires_grad_(False)
    for part in (model.decoder, model.post_quant_conv):
        part.requires_grad_(True)
    average = EMAModel(model.parameters(), decay=0.99)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=arguments.rate, weight_decay=0)
    state = State(arguments.work / DECODER, model, average, optimizer)
    log = Log(arguments.work / "decoder.jsonl")
    for step in range(state.step, arguments.steps):
        shown = batch(pictures, FIRST + step, SIZE, BATCH)
        with torch.autocast("cpu", torch.bfloat16):
            with torch.no_grad():
                latents = model.encode(shown).latent_dist.mode()
            decoded = model.decode(latents).sample.float()
        away = (decoded - shown).abs()
        # More on the square than before: it is what PSNR counts.
        loss = away.mean() + 8 * (away**2).mean()
        state.descend(loss, arguments.rate * rate_at(step / arguments.steps, step))
        log.add(loss.item())
        if (step + 1) % EVERY == 0 or step + 1 == arguments.steps:
            with state.averaged():
                log.write(step + 1, psnr=psnr(model, held_out))
            state.save(step + 1)


if __name__ == "__main__":
    main()
