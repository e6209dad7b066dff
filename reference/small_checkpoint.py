"""Write a complete, tiny Stable Diffusion checkpoint folder without torch.

The folder has the layout that diffusers' ``save_pretrained`` writes, and the same four-level
UNet / CLIP text encoder / KL autoencoder as the real model, only narrow: about 4.7 M parameters.
Both sides of the comparison (diffusers on torch, jstyleid on Jittor) build it with this file, so
it needs numpy, safetensors and the standard library only.

The JSON files and the list of tensors (name -> shape) of each component lie in ``checkpoints/``;
``make_checkpoints.py`` writes them from diffusers itself.  The numbers are drawn here: each tensor
has its own generator, seeded by (seed, crc32 of its name), and only ``Generator.random`` is used,
which is exact integer arithmetic followed by IEEE operations.  The same seed therefore gives
the same bytes on every machine and with every numpy.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

CHECKPOINTS = Path(__file__).resolve().parent / "checkpoints"

#: 768-v (v-prediction) and base (epsilon) of Stable Diffusion 2.1, and the 1.5 layout.
SMALL = ("sd21-v", "sd21-base", "sd15")

#: The weight file of each component, named as ``save_pretrained`` names it.
WEIGHT_FILES = {
    "unet": "diffusion_pytorch_model.safetensors",
    "vae": "diffusion_pytorch_model.safetensors",
    "text_encoder": "model.safetensors",
}

#: Gains that give the small model the real one's scales: the UNet predicts numbers of standard
#: deviation 1, and latents reach that only after the scaling factor 0.18215.
UNET_OUTPUT_GAIN = 1.6
LATENT_GAIN = 12.0


def build(name: str, folder: Path, seed: int = 0, dtype: str = "float32") -> Path:
    """Write the small checkpoint ``name`` (one of ``SMALL``) into ``folder`` and return it.

    ``dtype`` is the storage type of the weights, "float32" or "float16"; the float16 file holds
    the float32 numbers rounded.
    """
    if name not in SMALL:
        raise ValueError(f"no small checkpoint {name!r}: choose one of {', '.join(SMALL)}")
    source = CHECKPOINTS / name
    shutil.copytree(
        source, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("tensors.json")
    )
    # The vocabulary is the same for all checkpoints and kept once.
    shutil.copytree(CHECKPOINTS / "tokenizer", folder / "tokenizer", dirs_exist_ok=True)
    for component, file_name in WEIGHT_FILES.items():
        shapes = json.loads((source / component / "tensors.json").read_text(encoding="utf-8"))
        weights = {
            tensor: draw(tensor, tuple(shape), seed, dtype) for tensor, shape in shapes.items()
        }
        # safetensors' readers in transformers insist on this metadata entry.
        save_file(weights, folder / component / file_name, metadata={"format": "pt"})
    return folder


def draw(name: str, shape: Sequence[int], seed: int, dtype: str) -> NDArray[np.generic]:
    """Return the tensor ``name``: uniform numbers whose mean and spread suit its role.

    - convolution and linear weights: variance 1/fan_in, which keeps the activations' scale, but
      for three layers (see the gains above);
    - embeddings: standard deviation 0.5;
    - scales of norm layers: mean 1, standard deviation 0.1 (the only 1-d ``weight`` tensors);
    - biases: standard deviation 0.05;
    - ``position_ids`` (published text encoders carry this index): 0, 1, 2, ... as int64.
    """
    if name.endswith("position_ids"):
        return np.arange(math.prod(shape), dtype=np.int64).reshape(shape)
    mean = 0.0
    if name.endswith("bias"):
        deviation = 0.05
    elif len(shape) == 1:
        mean, deviation = 1.0, 0.1
    elif "_embedding.weight" in name:
        deviation = 0.5
    else:
        deviation = 1.0 / math.sqrt(math.prod(shape[1:]))
    generator = np.random.default_rng([seed, zlib.crc32(name.encode())])
    unit = generator.random(tuple(shape)) * 2.0 - 1.0  # uniform on [-1, 1), variance 1/3
    if name == "conv_out.weight":  # the UNet's
        unit *= UNET_OUTPUT_GAIN
    elif name == "quant_conv.weight":
        unit[: shape[0] // 2] *= LATENT_GAIN  # the rows that give the mean, not the log variance
    elif name == "post_quant_conv.weight":
        unit *= 0.18215
    return (mean + math.sqrt(3.0) * deviation * unit).astype(np.dtype(dtype))


def main() -> None:
    parser = argparse.ArgumentParser(description="Write a small random checkpoint.")
    parser.add_argument("name", choices=SMALL)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    build(arguments.name, arguments.folder, arguments.seed)


if __name__ == "__main__":
    main()
