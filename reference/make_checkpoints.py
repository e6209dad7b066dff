"""Write ``checkpoints/``: configurations, tensor lists and vocabulary of the small checkpoints.

Run in the torch environment: ``python make_checkpoints.py [--out FOLDER]``.  The configurations
are what ``save_pretrained`` writes.  A tensor list maps each name in the weight file to its shape.

Names are spelled in one of two ways, because readers meet both:
- ``sd21-base``: as diffusers 0.39 and transformers 5 write them today;
- ``sd21-v`` and ``sd15``: as in the files published in 2022, which is what users have on disk.
  There the text encoder's names begin with ``text_model.`` and an index tensor
  ``position_ids`` is stored, and the autoencoder's attention says ``query``, ``key``, ``value``,
  ``proj_attn``.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from diffusers import StableDiffusionPipeline
from torch import nn
from transformers import CLIPTokenizer

import architectures
import small_tokenizer
from small_checkpoint import CHECKPOINTS

PUBLISHED_ATTENTION = {
    "to_q": "query",
    "to_k": "key",
    "to_v": "value",
    "to_out.0": "proj_attn",
}


def write_all(folder: Path) -> None:
    """Write the vocabulary and the description of every small checkpoint into ``folder``."""
    small_tokenizer.write_vocabulary(folder / "tokenizer", small_tokenizer.train())
    for name, family in architectures.FAMILIES.items():
        write_description(folder / name, family)


def write_description(folder: Path, family: architectures.Family) -> None:
    """Write one checkpoint's folder without its weights."""
    pipeline = make_pipeline(family)
    with tempfile.TemporaryDirectory() as saved:
        pipeline.save_pretrained(saved)
        for relative in (
            "model_index.json",
            "unet/config.json",
            "vae/config.json",
            "text_encoder/config.json",
            "scheduler/scheduler_config.json",
        ):
            text = (Path(saved) / relative).read_text(encoding="utf-8")
            (folder / relative).parent.mkdir(parents=True, exist_ok=True)
            (folder / relative).write_text(text.rstrip("\n") + "\n", encoding="utf-8")
    small_tokenizer.write_settings(folder / "tokenizer", family.pad_token)
    for component in ("unet", "vae", "text_encoder"):
        shapes = tensor_shapes(getattr(pipeline, component), component, family.published_names)
        lines = ",\n".join(f"{json.dumps(key)}: {json.dumps(shapes[key])}" for key in shapes)
        (folder / component / "tensors.json").write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")


def make_pipeline(family: architectures.Family) -> StableDiffusionPipeline:
    """Return a small pipeline with torch's initial weights."""
    with tempfile.TemporaryDirectory() as folder:
        vocabulary = small_tokenizer.write_vocabulary(Path(folder), small_tokenizer.train())
        small_tokenizer.write_settings(Path(folder), family.pad_token)
        tokenizer = CLIPTokenizer.from_pretrained(folder)
    return StableDiffusionPipeline(
        vae=architectures.vae(),
        text_encoder=architectures.text_encoder(family, vocabulary),
        tokenizer=tokenizer,
        unet=architectures.unet(family),
        scheduler=architectures.scheduler(family),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def tensor_shapes(model: nn.Module, component: str, published: bool) -> dict[str, list[int]]:
    """Return name -> shape of the weight file, spelled as explained at the top."""
    shapes = {name: list(tensor.shape) for name, tensor in model.state_dict().items()}
    if published and component == "vae":
        return {published_vae_name(name): shape for name, shape in shapes.items()}
    if published and component == "text_encoder":
        positions = {"text_model.embeddings.position_ids": [1, architectures.POSITIONS]}
        return positions | {f"text_model.{name}": shape for name, shape in shapes.items()}
    return shapes


def published_vae_name(name: str) -> str:
    """Return the autoencoder tensor's name as the files of 2022 spell it."""
    for now, then in PUBLISHED_ATTENTION.items():
        name = name.replace(f"attentions.0.{now}.", f"attentions.0.{then}.")
    return name


def main() -> None:
    """Write the folder named on the command line."""
    parser = argparse.ArgumentParser(description="Write the small checkpoints' descriptions.")
    parser.add_argument("--out", type=Path, default=CHECKPOINTS)
    write_all(parser.parse_args().out)


if __name__ == "__main__":
    main()
