"""Write a Stable Diffusion 2.1 checkpoint of full size with random weights (torch environment).

``python write_checkpoint.py FOLDER`` writes 2.6 GB: the UNet (866 M parameters), the text encoder
(340 M) and the autoencoder (84 M) of the 768-v model in float16, saved by diffusers.  Its pictures
are meaningless; it serves to measure time and memory, and to compare the implementations at the
real widths.  Only the vocabulary is the small one, taken from ``reference/checkpoints``.
"""

from __future__ import annotations

import argparse
import math
import shutil
from pathlib import Path
from typing import TypeVar

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel

SMALL = Path(__file__).resolve().parents[2] / "reference" / "checkpoints"

M = TypeVar("M", bound=nn.Module)


def unet() -> UNet2DConditionModel:
    """Return the 768-v UNet without memory for its weights."""
    return UNet2DConditionModel(
        sample_size=96,
        block_out_channels=(320, 640, 1280, 1280),
        cross_attention_dim=1024,
        attention_head_dim=[5, 10, 20, 20],
        use_linear_projection=True,
        upcast_attention=True,
    )


def vae() -> AutoencoderKL:
    """Return the autoencoder without memory for its weights."""
    return AutoencoderKL(
        sample_size=768,
        block_out_channels=(128, 256, 512, 512),
        layers_per_block=2,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
    )


def text_encoder() -> CLIPTextModel:
    """Return the text encoder without memory for its weights."""
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=49408,
            hidden_size=1024,
            intermediate_size=4096,
            projection_dim=512,
            num_hidden_layers=23,
            num_attention_heads=16,
            hidden_act="gelu",
        )
    )


def with_random_weights(model: M, device: str) -> M:
    """Return ``model``, made on the "meta" device, with float16 weights that keep the scale.

    Matrices and kernels are uniform with variance 1/fan_in, norm layers start as the identity,
    biases as 0.  Each tensor is drawn in float32 alone, so little more than the float16 model is
    ever in memory.
    """
    model = model.half().to_empty(device=device)
    for name, parameter in model.named_parameters():
        if parameter.dim() == 1:
            parameter.data.fill_(0.0 if name.endswith("bias") else 1.0)
        else:
            fan_in = 4 if name.endswith("_embedding.weight") else math.prod(parameter.shape[1:])
            bound = math.sqrt(3 / fan_in)
            drawn = torch.empty(parameter.shape, device=device).uniform_(-bound, bound)
            parameter.data.copy_(drawn)
    return model


def write(folder: Path, device: str = "cpu") -> None:
    """Write the checkpoint into ``folder``, one component after the other.

    The numbers are drawn on ``device``, and differ from one kind of device to another.
    """
    torch.manual_seed(0)
    for component, make in (("unet", unet), ("vae", vae), ("text_encoder", text_encoder)):
        with torch.device("meta"):
            model = make()
        with_random_weights(model, device).save_pretrained(folder / component)
    scheduler = DDIMScheduler.from_pretrained(SMALL / "sd21-v" / "scheduler")
    scheduler.save_pretrained(folder / "scheduler")
    for tokenizer in (SMALL / "tokenizer", SMALL / "sd21-v" / "tokenizer"):
        shutil.copytree(tokenizer, folder / "tokenizer", dirs_exist_ok=True)
    shutil.copy(SMALL / "sd21-v" / "model_index.json", folder)


def main() -> None:
    """Write the folder named on the command line."""
    parser = argparse.ArgumentParser(description="Write a full-size random checkpoint.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--device", default="cpu", help="where the numbers are drawn")
    given = parser.parse_args()
    write(given.folder, given.device)


if __name__ == "__main__":
    main()
