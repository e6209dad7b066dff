"""A LoRA that `jstyleid_dreambooth` trained, for diffusers to load; run in the Jittor environment.

``python jittor_training.py`` writes ``golden/training/jittor*``: the LoRA, trained for a few steps
on the examples of the committed training set, and what the UNet in Jittor answers with it to the
inputs in ``golden/lora/values.safetensors``.  ``test_training_reference.py`` has diffusers do the
same with the file; the Jittor tests see to it that training still leads there.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from jstyleid_core import StableDiffusion
from jstyleid_core.runtime.jittor import jt
from jstyleid_dreambooth import LoRAs, LoRAWeights, write_lora
from jstyleid_dreambooth.training.batches import Batch
from jstyleid_dreambooth.training.learner import Learner
from jstyleid_dreambooth.training.settings import TrainingSettings
from reference_sets import GOLDEN_LORA, GOLDEN_VALUES, LORA_CHECKPOINT
from small_checkpoint import build

FOLDER = GOLDEN_VALUES / "training"
SETTINGS = TrainingSettings(
    steps=8, rank=2, alpha=3, learning_rate=1e-2, max_grad_norm=None,
    # Where a gradient is all rounding error Adam still takes a whole step, on another processor
    # perhaps the other way; an epsilon of the gradients' size spares the comparison that.
    epsilon=1e-3,
    targets=("mid_block.*.to_q", "up_blocks.3.attentions.2.*.to_out.0",
             "up_blocks.3.attentions.2.*.to_v", "down_blocks.0.attentions.1.*.to_k"),
)
ABOUT = {"base_model": LORA_CHECKPOINT, "steps": SETTINGS.steps, "seed": SETTINGS.seed}


def trained(model: StableDiffusion) -> LoRAWeights:
    """Return a LoRA that had no effect before it was trained on the committed examples."""
    values = load_file(FOLDER / "training.safetensors")
    loras = LoRAs.of(model)
    loras.create("x", SETTINGS.lora)
    learner = Learner(model, loras, "x", SETTINGS)
    for clean, noise, text, timestep in values["plain.examples"][: SETTINGS.steps, 0, 0]:
        learner.step([Batch(
            values["clean"][[clean]], values["noise"][[noise]], np.array([timestep], np.int64),
            jt.array(values["context"][[text]]), np.ones(1, np.float32),
        )])
    weights = loras.weights("x")
    learner.close()
    loras.detach()
    return weights


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        model = StableDiffusion.load(build(LORA_CHECKPOINT, Path(folder)))
    weights = trained(model)
    write_lora(FOLDER / "jittor.safetensors", weights, ABOUT)
    LoRAs.of(model).add("x", weights)
    values = load_file(GOLDEN_LORA / "values.safetensors")
    with jt.no_grad():
        unet = model.unet(jt.array(values["unet.sample"]), values["unet.timestep"],
                          jt.array(values["unet.context"])).numpy()
    save_file({"unet": np.ascontiguousarray(unet)}, FOLDER / "jittor-values.safetensors")


if __name__ == "__main__":
    main()
