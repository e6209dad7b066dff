"""The LoRA that `jstyleid_dreambooth` writes for diffusers to read; run in the Jittor environment.

``python jittor_lora.py`` writes ``golden/lora/jittor*``: the LoRA as a safetensors file and (its
UNet part only) as a pickle, and what the networks in Jittor answer with it, to the inputs in
``golden/lora/values.safetensors``.  ``test_lora_reference.py`` has diffusers do the same with the
files; the Jittor tests see to it that the package still writes these bytes.
"""

from __future__ import annotations

import tempfile
import zlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from jstyleid_core import StableDiffusion
from jstyleid_core.runtime.jittor import jt
from jstyleid_dreambooth import LoRAs, LoRASettings, LoRAWeights, new_lora, write_lora
from jstyleid_dreambooth.lora.weights import Layout, Part, as_float32
from reference_sets import GOLDEN_LORA, LORA_CHECKPOINT
from small_checkpoint import build, draw

SETTINGS = LoRASettings(
    rank=2, alpha=3, seed=0,
    targets=("up_blocks.1.attentions.0.*.to_q", "up_blocks.3.*.attn1.to_out.0", "mid_block.*.to_v",
             "down_blocks.0.*.attn2.to_k", "down_blocks.1.attentions.*.proj_in", "conv_out",
             "up_blocks.3.resnets.0.conv1"),
    text_targets=("layers.1.self_attn.q_proj", "layers.1.mlp.fc1"),
)
ABOUT = {"base_model": LORA_CHECKPOINT, "prompt": "style_00", "steps": 500, "seed": 0}


def trained(layouts: Mapping[Part, Layout]) -> LoRAWeights:
    """Return a new LoRA with numbers in B, as if it had been trained."""
    new = new_lora(layouts, SETTINGS)
    return replace(new, layers={
        part: {path: replace(layer, up=as_float32(draw(f"{path}.up", layer.up.shape, 0, "float32")),
                             alpha=layer.alpha + zlib.crc32(path.encode()) % 2)
               for path, layer in layers.items()}
        for part, layers in new.layers.items()
    })


def unet_only(weights: LoRAWeights) -> LoRAWeights:
    """Return the part that the pickle holds."""
    return replace(weights, layers={"unet": weights.layers["unet"]})


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        model = StableDiffusion.load(build(LORA_CHECKPOINT, Path(folder)))
    loras = LoRAs.of(model)
    weights = trained(loras.layouts)
    write_lora(GOLDEN_LORA / "jittor.safetensors", weights, ABOUT)
    write_lora(GOLDEN_LORA / "jittor.bin", unet_only(weights))
    loras.add("jittor", weights)
    values = load_file(GOLDEN_LORA / "values.safetensors")
    with jt.no_grad():
        unet = model.unet(jt.array(values["unet.sample"]), values["unet.timestep"],
                          jt.array(values["unet.context"])).numpy()
        text = model.text_encoder(jt.array(values["text.ids"])).numpy()
    save_file({"unet": np.ascontiguousarray(unet), "text": np.ascontiguousarray(text)},
              GOLDEN_LORA / "jittor-values.safetensors")


if __name__ == "__main__":
    main()
