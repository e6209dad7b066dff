"""Write ``golden/single-files.json``: what diffusers makes of small single files.

Run in the torch environment: ``python single_files.py [--out FILE]``. For each kind of
``original_layout`` the JSON maps every parameter of the networks of diffusers' own
``StableDiffusionPipeline.from_single_file`` to a digest of its shape and float32 numbers.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

import original_layout
import small_tokenizer
from original_layout import SMALL, Kind, digest
from reference_sets import GOLDEN_SINGLE_FILES

USED_LAYERS = 23  # of the 24 of OpenCLIP's text encoder


def describe(kind: Kind) -> dict[str, dict[str, str]]:
    """Return the parameters of each network, of a file written for the purpose."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "file.safetensors"
        shapes = original_layout.checkpoint(kind) | original_layout.averages(kind)
        original_layout.write_file(file, shapes)
        configs = Path(folder) / "configs"
        networks(kind, configs).save_pretrained(configs)
        loaded = StableDiffusionPipeline.from_single_file(
            file, config=str(configs), local_files_only=True, torch_dtype=torch.float32)
        return {name: parameters(getattr(loaded, name))
                for name in ("unet", "vae", "text_encoder")}


def parameters(network: nn.Module) -> dict[str, str]:
    """Return name -> digest; the text encoder's names as in files of every version."""
    found = {}
    for name, value in network.state_dict().items():
        if isinstance(network, CLIPTextModel):
            if name.endswith("position_ids"):
                continue
            name = f"text_model.{name.removeprefix('text_model.')}"
        found[name] = digest(value.contiguous().numpy())
    return dict(sorted(found.items()))


def networks(kind: Kind, folder: Path) -> StableDiffusionPipeline:
    """Return a pipeline of the kind's sizes, for its configurations."""
    small_tokenizer.write_vocabulary(folder / "words", small_tokenizer.train())
    small_tokenizer.write_settings(folder / "words", "!" if kind.second else "<|endoftext|>")
    return StableDiffusionPipeline(
        vae=autoencoder(kind), text_encoder=text_encoder(kind), unet=unet(kind),
        tokenizer=CLIPTokenizer.from_pretrained(folder / "words"), scheduler=DDIMScheduler(),
        safety_checker=None, feature_extractor=None, requires_safety_checker=False)


def unet(kind: Kind) -> UNet2DConditionModel:
    """Return the UNet, configured as diffusers' published checkpoints."""
    return UNet2DConditionModel(
        block_out_channels=kind.unet_levels,
        down_block_types=("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",),
        up_block_types=("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3,
        cross_attention_dim=kind.text_width,
        attention_head_dim=([max(1, width // 64) for width in kind.unet_levels]
                            if kind.second else 8),
        use_linear_projection=kind.second,
    )


def autoencoder(kind: Kind) -> AutoencoderKL:
    """Return the autoencoder."""
    return AutoencoderKL(
        block_out_channels=kind.vae_levels, layers_per_block=2, latent_channels=4,
        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4)


def text_encoder(kind: Kind) -> CLIPTextModel:
    """Return the text encoder."""
    return CLIPTextModel(CLIPTextConfig(
        vocab_size=kind.vocabulary, hidden_size=kind.text_width, projection_dim=kind.text_width,
        intermediate_size=kind.text_inner, num_attention_heads=max(1, kind.text_width // 64),
        num_hidden_layers=USED_LAYERS if kind.second else kind.text_layers,
        hidden_act="gelu" if kind.second else "quick_gelu"))


def main() -> None:
    """Write the file named on the command line."""
    parser = argparse.ArgumentParser(description="Write what diffusers makes of single files.")
    parser.add_argument("--out", type=Path, default=GOLDEN_SINGLE_FILES)
    found = {name: describe(kind) for name, kind in SMALL.items()}
    lines = json.dumps(found, indent=0, separators=(",", ":"))
    parser.parse_args().out.write_text(lines + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
