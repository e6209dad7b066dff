"""What the core's tests share: the embedded model, and checkpoints with diffusers' values."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest

from backend_choice import backend
from jstyleid_core.weights.checkpoint import EMBEDDED_MODEL
from reference_sets import FRESH, GOLDEN, GOLDEN_VALUES, Reference, read
from small_checkpoint import build


@pytest.fixture(autouse=True)
def settings_as_in_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """Messages name settings as in Python, though tests of a command line may share the process."""
    monkeypatch.setattr("jstyleid_core.errors._spelling", str)


@pytest.fixture(scope="session")
def references(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Reference sets by name, each read once."""

    @cache
    def get(name: str) -> Reference:
        if name in FRESH:
            return read(name, FRESH[name] / "checkpoint", FRESH[name] / "values.safetensors")
        short = name.removeprefix("golden-")
        checkpoint = build(short, tmp_path_factory.mktemp("checkpoint"))
        return read(name, checkpoint, GOLDEN_VALUES / f"{short}.safetensors")

    return get


@pytest.fixture(scope="session")
def models(references: Any) -> Any:
    """Loaded models by reference name, each loaded once."""
    from jstyleid_core import StableDiffusion

    return cache(lambda name: StableDiffusion.load(references(name).checkpoint,
                                                   backend=backend()))


@pytest.fixture(params=[*GOLDEN, *FRESH])
def reference(request: pytest.FixtureRequest, references: Any) -> Reference:
    """Each reference set in turn."""
    return references(request.param)


@pytest.fixture
def reference_model(reference: Reference, models: Any) -> Any:
    """The model of `reference`."""
    return models(reference.name)


@pytest.fixture(scope="session")
def small(references: Any) -> Reference:
    """One small checkpoint, for tests of its files or its values."""
    return references("golden-sd21-v")


@pytest.fixture(scope="session")
def model() -> Any:
    """The embedded model, for tests of what a model does."""
    from jstyleid_core import StableDiffusion

    return StableDiffusion.load(EMBEDDED_MODEL, backend=backend())
