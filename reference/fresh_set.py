"""Make checkpoints nobody has seen before, saved by diffusers, and their reference values.

The committed values could be met by code that was fitted to them.  Here the weights are torch's
own initial ones (but for the scale of three tensors) from a new seed, and ``save_pretrained``
writes every file.  Layout::

    DIR/<name>/checkpoint/          the diffusers folder
    DIR/<name>/values.safetensors   its values, see reference_values.py
    DIR/<name>/lora/                LoRA files for it, see lora_references.py
    DIR/<name>/training/            trainings of LoRAs on it, see training_references.py
    DIR/clip-tokenizer/             the real CLIP vocabulary, see clip_vocabulary.py
    DIR/clip-tokenizer.safetensors  ``tokenizer.ids`` of 1,000 prompts drawn from the seed

Besides the small checkpoints there are two that are stored differently: ``sd21-v-fp16`` in half
precision (``*.fp16.safetensors`` only) and ``sd15-sharded`` in several weight files with an index.
The values of the former are float32 arithmetic on the rounded weights.  ``embedded`` is the trained
model that the core brings, with inputs from the seed.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import torch
from diffusers import StableDiffusionPipeline

import architectures
import clip_vocabulary
import lora_references
import training_references
from make_checkpoints import make_pipeline
from reference_sets import EMBEDDED
from reference_values import values
from value_files import write


def write_fresh(folder: Path, seed: int) -> None:
    """Write the whole set described above into ``folder``."""
    for number, (name, family) in enumerate(architectures.FAMILIES.items()):
        torch.manual_seed(seed + number)
        pipeline = make_pipeline(family)
        widen(pipeline)
        checkpoint = folder / name / "checkpoint"
        pipeline.save_pretrained(checkpoint)
        write(folder / name / "values.safetensors", values(checkpoint, seed), seed)
        lora_references.write_set(folder / name / "lora", checkpoint, seed)
        training_references.write_set(folder / name / "training", checkpoint, seed)
        if name == "sd21-v":
            half = folder / "sd21-v-fp16"
            pipeline.to(dtype=torch.float16).save_pretrained(half / "checkpoint", variant="fp16")
            found = values(half / "checkpoint", seed, variant="fp16")
            write(half / "values.safetensors", found, seed)
        if name == "sd15":
            sharded = folder / "sd15-sharded"
            pipeline.save_pretrained(sharded / "checkpoint", max_shard_size="2MB")
            write(sharded / "values.safetensors", values(sharded / "checkpoint", seed), seed)
    embedded = shutil.copytree(EMBEDDED, folder / "embedded" / "checkpoint", dirs_exist_ok=True)
    write(folder / "embedded" / "values.safetensors", values(embedded, seed), seed)
    clip_vocabulary.write_tokenizer(folder / "clip-tokenizer", "!")
    ids = clip_vocabulary.token_ids(folder / "clip-tokenizer", seed)
    write(folder / "clip-tokenizer.safetensors", {"tokenizer.ids": ids}, seed)


def widen(pipeline: StableDiffusionPipeline) -> None:
    """Give latents and predictions a standard deviation near 1, as the real model's have.

    Torch's initial weights make both small; the first layers' normalisation then magnifies
    rounding errors a hundred times over StyleID's 60 evaluations.
    """
    with torch.no_grad():
        pipeline.vae.quant_conv.weight[: pipeline.vae.config.latent_channels] *= 20
        pipeline.vae.post_quant_conv.weight *= pipeline.vae.config.scaling_factor
        pipeline.unet.conv_out.weight *= 3
