"""What the LoRA tests share: a small model, and LoRAs that are gone after each test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load_file

from backend_choice import backend
from reference_sets import GOLDEN_LORA, LORA_CHECKPOINT
from small_checkpoint import build

Answer = Callable[[], NDArray[Any]]


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small checkpoint that the committed LoRA files are for."""
    return build(LORA_CHECKPOINT, tmp_path_factory.mktemp("checkpoint"))


@pytest.fixture(scope="session")
def model(checkpoint: Path) -> Any:
    """Its model."""
    from jstyleid_core import StableDiffusion

    return StableDiffusion.load(checkpoint, backend=backend())


@pytest.fixture
def loras(model: Any) -> Iterator[Any]:
    """LoRAs of `model`, none yet."""
    from jstyleid_dreambooth import LoRAs

    loras = LoRAs.of(model)
    yield loras
    loras.detach()


@pytest.fixture(scope="session")
def values() -> dict[str, NDArray[Any]]:
    """Inputs of the networks, and what diffusers answers with its committed LoRA."""
    return load_file(GOLDEN_LORA / "values.safetensors")


@pytest.fixture
def unet_answer(model: Any, values: dict[str, NDArray[Any]]) -> Answer:
    """The UNet's output to the committed inputs, as it is now."""
    from jstyleid_core.backend import jt

    def answer() -> NDArray[Any]:
        with jt.no_grad():
            return model.networks.predict(jt.array(values["unet.sample"]), values["unet.timestep"],
                                          jt.array(values["unet.context"])).numpy()

    return answer


@pytest.fixture
def text_answer(model: Any, values: dict[str, NDArray[Any]]) -> Answer:
    """The text encoder's output to the committed ids, as it is now."""
    from jstyleid_core.backend import jt

    def answer() -> NDArray[Any]:
        with jt.no_grad():
            return model.networks.embed(jt.array(values["text.ids"])).numpy()

    return answer


@pytest.fixture
def trained(loras: Any) -> Any:
    """A function: a LoRA of the given seed with numbers in B, as if it had been trained."""
    from dataclasses import replace

    from jstyleid_dreambooth import LoRASettings, LoRAWeights, new_lora

    def make(seed: int = 0, **settings: Any) -> LoRAWeights:
        rng = np.random.default_rng(seed)
        new = new_lora(loras.layouts, LoRASettings(seed=seed, **settings))
        return replace(new, layers={
            part: {path: replace(layer, up=rng.normal(0, 0.1, layer.up.shape).astype(np.float32))
                   for path, layer in layers.items()}
            for part, layers in new.layers.items()
        })

    return make
