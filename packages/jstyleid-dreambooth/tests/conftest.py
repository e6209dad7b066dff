"""What the LoRA tests share: models, and LoRAs that are gone after each test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from backend_choice import backend
from jstyleid_core.weights.checkpoint import EMBEDDED_MODEL
from reference_sets import LORA_CHECKPOINT
from small_checkpoint import build

Answer = Callable[[], NDArray[Any]]


@pytest.fixture(autouse=True)
def settings_as_in_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """Messages name settings as in Python, though tests of a command line may share the process."""
    monkeypatch.setattr("jstyleid_core.errors._spelling", str)


@pytest.fixture(scope="session")
def model() -> Any:
    """The embedded model; modules of committed files and values have `small_model` in its place."""
    from jstyleid_core import StableDiffusion

    return StableDiffusion.load(EMBEDDED_MODEL, backend=backend())


@pytest.fixture(scope="session")
def small_model(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The model that the committed LoRA files are for."""
    from jstyleid_core import StableDiffusion

    checkpoint = build(LORA_CHECKPOINT, tmp_path_factory.mktemp("checkpoint"))
    return StableDiffusion.load(checkpoint, dtype="float32", backend=backend())


@pytest.fixture
def loras(model: Any) -> Iterator[Any]:
    """LoRAs of `model`, none yet."""
    from jstyleid_dreambooth import LoRAs

    loras = LoRAs.of(model)
    yield loras
    loras.detach()


@pytest.fixture
def inputs(model: Any) -> dict[str, NDArray[Any]]:
    """Inputs that fit the model's networks, named as in the committed values."""
    prompt = ["a boat in style_00"]
    return {
        "unet.sample": np.random.default_rng(0).standard_normal((1, 4, 16, 16), dtype=np.float32),
        "unet.timestep": np.array([501]),
        "unet.context": model.embed(prompt).numpy(),
        "text.ids": model.tokenizer(prompt),
    }


@pytest.fixture
def unet_answer(model: Any, inputs: dict[str, NDArray[Any]]) -> Answer:
    """The UNet's output to the inputs, as it is now."""
    from jstyleid_core.runtime.jittor import jt

    def answer() -> NDArray[Any]:
        with jt.no_grad():
            return model.networks.predict(jt.array(inputs["unet.sample"]), inputs["unet.timestep"],
                                          jt.array(inputs["unet.context"])).numpy()

    return answer


@pytest.fixture
def text_answer(model: Any, inputs: dict[str, NDArray[Any]]) -> Answer:
    """The text encoder's output to the ids, as it is now."""
    from jstyleid_core.runtime.jittor import jt

    def answer() -> NDArray[Any]:
        with jt.no_grad():
            return model.networks.embed(jt.array(inputs["text.ids"])).numpy()

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
