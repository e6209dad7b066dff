"""Trainings of LoRAs by torch, diffusers and peft: what goes in, and every number that comes out.

One file holds several cases (see CASES), whose settings are JSON in its metadata, under ``cases``.
All cases draw their examples from the same few latents, noises and prompts:

====================== ===================== =====================================================
clean, noise           8 and 24 x 4x16x16    latents and noise to choose from
ids, context           3x77, 3x77x48         prompts, and what the text encoder makes of them
<case>.examples        SxAxBx4 int32         indices into clean, noise and ids, and the timestep,
                                             for every step, accumulated gradient and example
<case>.weights         B                     of each example's own mean squared error in the loss
<case>.start.<tensor>                        A and B before the first step, neither zero
<case>.gradient.<...>                        of the first step: mean over accumulation, not clipped
<case>.end.<tensor>                          A and B after the last step
<case>.losses, .norms  S                     of each step; the gradients' norm before clipping
====================== ===================== =====================================================

Tensors are named as in diffusers' files, ``unet.<path>.down`` and ``.up``. A committed set adapts
three attention blocks of the UNet, the others all of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import StableDiffusionPipeline
from numpy.typing import NDArray
from safetensors.numpy import save_file

from lora_references import randomise
from reference_values import Values, load, normal, token_ids
from training_torch import Examples, Settings, Training, adapt
from value_files import PACKAGES

FILE = "training.safetensors"

CASES = {
    # The baseline recipe.
    "plain": Settings(),
    # Each setting away from its default; the gradients are larger than the limit.
    "prior": Settings(
        rank=6, alpha=9.0, learning_rate=1e-3, up_rate_ratio=4.0, weight_decay=0.3, beta1=0.8,
        beta2=0.98, epsilon=1e-6, max_grad_norm=0.02, accumulation=2, prior_weight=0.7,
    ),
    # The text encoder is trained too.
    "text": Settings(steps=6, batch=2, schedule="cosine", max_grad_norm=None),
}

PROMPTS = ("style_00", "Ring in style_00", "an image of Ring")
PROJECTIONS = ("to_q", "to_k", "to_v", "to_out.0")
TEXT_TARGETS = ("layers.0.self_attn.k_proj", "layers.1.self_attn.out_proj",
                "layers.2.self_attn.q_proj", "layers.2.self_attn.v_proj")
COMMITTED_BLOCKS = (
    "down_blocks.0.attentions.1", "mid_block.attentions.0", "up_blocks.3.attentions.2")


def write_set(folder: Path, checkpoint: Path, seed: int, committed: bool = False) -> None:
    """Write FILE into ``folder``, for the checkpoint in another folder."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng([seed, 2])
    values = material(load(checkpoint), rng)
    targets = committed_targets() if committed else PROJECTIONS
    for name, settings in CASES.items():
        found = run(load(checkpoint), name, settings, targets, values, rng)
        values |= {f"{name}.{key}": value for key, value in found.items()}
    metadata = {package: version(package) for package in (*PACKAGES, "peft")}
    cases = json.dumps({name: asdict(settings) for name, settings in CASES.items()})
    save_file(values, folder / FILE, {**metadata, "seed": str(seed), "cases": cases})


def committed_targets() -> tuple[str, ...]:
    """Return each kind of projection in three blocks of different widths and depths."""
    return tuple(f"{block}.transformer_blocks.0.{attention}.{projection}"
                 for block in COMMITTED_BLOCKS for attention in ("attn1", "attn2")
                 for projection in PROJECTIONS)


def material(pipeline: StableDiffusionPipeline, rng: np.random.Generator) -> Values:
    """Draw what the cases' examples are chosen from."""
    ids = token_ids(pipeline, list(PROMPTS))
    # 16 x 16: of 8 x 8 one token is left in the middle, whose attention to itself is always 1.
    return {
        "clean": normal(rng, 8, 4, 16, 16).numpy(),
        "noise": normal(rng, 24, 4, 16, 16).numpy(),
        "ids": ids,
        "context": embedded(pipeline, ids).detach().numpy(),
    }


def embedded(pipeline: StableDiffusionPipeline, ids: NDArray[np.int32]) -> torch.Tensor:
    """Return the text encoder's output (B, 77, C) for ids (B, 77)."""
    return pipeline.text_encoder(torch.from_numpy(ids).long()).last_hidden_state


def run(
    pipeline: StableDiffusionPipeline,
    name: str,
    settings: Settings,
    targets: tuple[str, ...],
    values: Values,
    rng: np.random.Generator,
) -> Values:
    """Train as ``settings`` say; return the case's part of the file."""
    networks = {"unet": pipeline.unet}
    adapt(pipeline.unet, settings, targets)
    if name == "text":
        networks["text_encoder"] = pipeline.text_encoder
        adapt(pipeline.text_encoder, settings, TEXT_TARGETS)
    for network in networks.values():
        network.train()
        randomise(network, rng)
    training = Training(networks, pipeline.scheduler, settings)
    weights = example_weights(settings)
    examples = choose_examples(settings, len(weights), values, rng)
    found = {"examples": examples, "weights": weights, **tensors("start", training)}

    training.backward(batches(pipeline, examples[0], values))
    found |= {f"gradient.{key}": var.grad.numpy().copy()
              for key, var in training.trainables.items()}
    training.optimizer.zero_grad()

    steps = [training.step(batches(pipeline, chosen, values)) for chosen in examples]
    return {
        **found,
        **tensors("end", training),
        "losses": np.array([step.loss for step in steps]),
        "norms": np.array([step.grad_norm for step in steps]),
    }


def example_weights(settings: Settings) -> NDArray[np.float32]:
    """Return each example's share of the loss: the samples' mean, then the class examples'."""
    prior = () if settings.prior_weight is None else (settings.prior_weight,)
    return np.repeat((1.0, *prior), settings.batch).astype(np.float32) / settings.batch


def choose_examples(
    settings: Settings, count: int, values: Values, rng: np.random.Generator
) -> NDArray[np.int32]:
    """Return (steps, accumulation, count, 4): where in ``values`` each example is, its timestep."""
    limits = [len(values[key]) for key in ("clean", "noise", "ids")]
    shape = (settings.steps, settings.accumulation, count, 4)
    return rng.integers([*limits, 1000], size=shape).astype(np.int32)


def batches(
    pipeline: StableDiffusionPipeline, chosen: NDArray[np.int32], values: Values
) -> Iterator[Examples]:
    """Make a step's batches, each when its turn comes, from (accumulation, B, 4) choices."""
    for examples in chosen:
        clean, noise, text, timesteps = examples.T
        yield Examples(
            torch.from_numpy(values["clean"][clean]), torch.from_numpy(values["noise"][noise]),
            torch.from_numpy(timesteps).long(), embedded(pipeline, values["ids"][text]),
        )


def tensors(when: str, training: Training) -> dict[str, NDArray[Any]]:
    """Return a copy of every A and B, named for the moment."""
    return {f"{when}.{key}": var.detach().numpy().copy()
            for key, var in training.trainables.items()}
