"""Training is what diffusers, peft and torch's AdamW compute from the same noise."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import load_file

import jittor_training
from backend_choice import backend
from jstyleid_core import StableDiffusion
from jstyleid_core.runtime.jittor import jt
from jstyleid_dreambooth import LoRAs, LoRAWeights, LowRank, read_lora
from jstyleid_dreambooth.training.batches import Batch
from jstyleid_dreambooth.training.learner import Learner
from jstyleid_dreambooth.training.settings import TrainingSettings
from reference_sets import FRESH, GOLDEN_VALUES, distance

GRADIENT = 1e-4  # each tensor, relative
END = 1e-3  # each tensor
# All that the steps changed, taken together. A number whose first gradients are all rounding error
# still goes a whole step of Adam, in the error's direction: one such number makes up to 2e-3. The
# larger epsilon of `prior` rules that out.
MOVED = {"plain": 5e-3, "prior": 1e-4, "text": 5e-3}
HISTORY = 1e-5  # losses and gradient norms
TRAINED_AGAIN = 1e-4

FILE = "training/training.safetensors"
SETS = {name: folder for name, folder in FRESH.items() if (folder / FILE).is_file()}
CASES = [(name, case, False) for name in ("golden", *SETS) for case in MOVED]
if backend() == "native":  # the other one refuses gradient checkpointing
    CASES += [("golden", "plain", True), ("golden", "text", True)]


@pytest.fixture(scope="module")
def model(small_model: Any) -> Any:
    return small_model


@cache
def fresh_model(name: str) -> Any:
    return StableDiffusion.load(SETS[name] / "checkpoint", dtype="float32", backend=backend())


class Case:
    """One training of a set (see `reference/training_references.py`)."""

    def __init__(self, file: Path, name: str) -> None:
        with safe_open(file, framework="numpy") as opened:
            settings = json.loads(opened.metadata()["cases"])[name]
        del settings["prior_weight"]  # it is in the examples' weights
        self.settings, self.name, self.values = TrainingSettings(**settings), name, load_file(file)

    def __getitem__(self, key: str) -> NDArray[Any]:
        return self.values[f"{self.name}.{key}"]

    def start(self) -> LoRAWeights:
        layers: dict[Any, dict[str, LowRank]] = {}
        prefix, suffix = f"{self.name}.start.", ".down"
        for key in self.values:
            if key.startswith(prefix) and key.endswith(suffix):
                layer = key.removeprefix(prefix).removesuffix(suffix)
                part, path = layer.split(".", 1)
                layers.setdefault(part, {})[path] = LowRank(
                    self[f"start.{layer}.down"], self[f"start.{layer}.up"],
                    float(self.settings.alpha))
        return LoRAWeights(layers)

    def batches(self, step: int) -> list[Batch]:
        return [self.batch(*examples.T) for examples in self["examples"][step]]

    def batch(self, clean: Any, noise: Any, text: Any, timesteps: Any) -> Batch:
        values = self.values
        batch = Batch(values["clean"][clean], values["noise"][noise], timesteps.astype(np.int64),
                      jt.array(values["context"][text]), self["weights"])
        if self.name != "text":
            return batch
        return replace(batch, context=None, tokens=values["ids"][text])


def tensors(lora: LoRAWeights) -> dict[str, NDArray[Any]]:
    return {f"{part}.{path}.{which}": getattr(layer, which)
            for part, path, layer in lora.items() for which in ("down", "up")}


def moved(ends: dict[str, NDArray[Any]], case: Case) -> NDArray[Any]:
    return np.concatenate([(end - case[f"start.{key}"]).ravel() for key, end in ends.items()])


@contextmanager
def learning(model: Any, case: Case, checkpointing: bool) -> Iterator[tuple[LoRAs, Learner]]:
    """The case's LoRA, called `x`, in training."""
    loras = LoRAs.of(model)
    loras.add("x", case.start())
    learner = Learner(model, loras, "x", case.settings.model_copy(
        update={"gradient_checkpointing": checkpointing}))
    try:
        yield loras, learner
    finally:
        learner.close()
        loras.detach()


@pytest.mark.parametrize(("set_name", "name", "checkpointing"), CASES)
def test_training_is_that_of_torch(
    set_name: str, name: str, checkpointing: bool, model: Any
) -> None:
    if set_name in SETS:
        model = fresh_model(set_name)
    case = Case(SETS.get(set_name, GOLDEN_VALUES) / FILE, name)
    with learning(model, case, checkpointing) as (loras, learner):
        first = learner.gradients(case.batches(0))
        steps = [learner.step(case.batches(step)) for step in range(case.settings.steps)]
        ends = tensors(loras.weights("x"))

    # `ends` has A and B of each layer in the order of `Trainables.all`.
    for key, gradient in zip(ends, first.arrays, strict=True):
        assert distance(gradient, case[f"gradient.{key}"]) <= GRADIENT, key
    assert distance(np.array([step.loss for step in steps]), case["losses"]) <= HISTORY
    assert distance(np.array([step.grad_norm for step in steps]), case["norms"]) <= HISTORY
    expected = {key: case[f"end.{key}"] for key in ends}
    for key, end in ends.items():
        assert distance(end, expected[key]) <= END, key
    assert distance(moved(ends, case), moved(expected, case)) <= MOVED[name]


def test_what_diffusers_was_shown_to_read_is_what_training_leads_to(model: Any) -> None:
    """`reference/test_training_reference.py` has diffusers load the committed file."""
    committed = tensors(read_lora(GOLDEN_VALUES / "training" / "jittor.safetensors"))
    made = tensors(jittor_training.trained(model))
    assert made.keys() == committed.keys()
    for key, value in made.items():
        assert distance(value, committed[key]) <= TRAINED_AGAIN, key
