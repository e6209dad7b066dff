"""Write the trained model into the core package, in half precision and SD 2.1's layout.

python embedded_model/export.py --work FOLDER
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

import torch
from diffusers.training_utils import EMAModel

from architecture import averaged_autoencoder, scheduler
from reference_sets import EMBEDDED
from train_denoiser import Denoiser
from vocabulary import write_tokenizer

LARGEST = 20_000_000
"""Bytes that the folder may have."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="with the states of the training")
    parser.add_argument("--out", type=Path, default=EMBEDDED)
    arguments = parser.parse_args()
    export(arguments.work, arguments.out)
    bytes_ = sum(path.stat().st_size for path in arguments.out.rglob("*") if path.is_file())
    print(f"{arguments.out}: {bytes_ / 1e6:.1f} MB")
    if bytes_ > LARGEST:
        raise SystemExit(f"more than {LARGEST / 1e6:.0f} MB")


def export(work: Path, out: Path) -> None:
    trained = torch.load(work / "denoiser.pt")
    vocabulary = write_tokenizer(out / "tokenizer")
    model = Denoiser(vocabulary)
    averaged = EMAModel(model.parameters())
    averaged.load_state_dict(trained["average"])
    averaged.copy_to(model.parameters())
    vae = averaged_autoencoder(work, trained["scaling_factor"])
    for part, name in ((model.unet, "unet"), (model.text_encoder, "text_encoder"), (vae, "vae")):
        shutil.rmtree(out / name, ignore_errors=True)
        part.half().save_pretrained(out / name)
    scheduler().save_pretrained(out / "scheduler")
    index = {
        "_class_name": "StableDiffusionPipeline",
        "_diffusers_version": "0.39.0",
        "feature_extractor": [None, None],
        "requires_safety_checker": False,
        "safety_checker": [None, None],
        "scheduler": ["diffusers", "DDIMScheduler"],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    }
    (out / "model_index.json").write_text(json.dumps(index, indent=2) + "\n")


if __name__ == "__main__":
    main()
