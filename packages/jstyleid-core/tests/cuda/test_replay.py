"""Replays of captured evaluations beside the same computed plainly, to the bit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from jstyleid_core import StableDiffusion, StyleID, StyleIDSettings
from jstyleid_core.runtime.jittor import jt
from small_checkpoint import build

Array = NDArray[Any]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> StableDiffusion:
    return StableDiffusion.load(build("sd21-v", tmp_path_factory.mktemp("checkpoint")))


@pytest.fixture
def plainly(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], Any]], Any]:
    """Computes without replays."""

    def compute(what: Callable[[], Any]) -> Any:
        with monkeypatch.context() as patch:
            patch.setenv("JSTYLEID_REPLAY", "0")
            return what()

    return compute


@pytest.fixture
def graphs() -> Iterator[Callable[[], int]]:
    """The number of graphs that were launched in the test so far, on the emulated card."""
    from device_counters import DeviceCounters

    counters = DeviceCounters()
    counters.reset()
    return lambda: int(counters.read()["graphs"])


def evaluations(model: StableDiffusion, number: int, size: tuple[int, int] = (8, 8)) -> list[Array]:
    """Evaluations with other latents, timesteps and texts each."""
    rng = np.random.default_rng(0)
    found = []
    for i in range(number):
        latents = jt.array(rng.standard_normal((2, 4, *size), dtype=np.float32))
        text = jt.array(rng.standard_normal(tuple(model.empty_prompt.shape), dtype=np.float32))
        found.append(model.network(text)(latents, 100 * i + 1).numpy())
    return found


def test_replays_give_what_is_computed(
    model: StableDiffusion, plainly: Any, graphs: Callable[[], int]
) -> None:
    wanted = plainly(lambda: evaluations(model, 4))
    before = graphs()
    found = evaluations(model, 4)
    assert graphs() - before == 3  # all but the first
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_replay_starts_no_kernel_and_does_not_wait(model: StableDiffusion) -> None:
    from device_counters import DeviceCounters

    evaluations(model, 2)
    counters = DeviceCounters()
    latents = jt.zeros((2, 4, 8, 8))
    text = jt.zeros((2, *model.empty_prompt.shape[1:]))
    jt.sync([latents, text])
    time = model.networks.time_input(1, 2)
    time.sync()
    counters.reset()
    model._replays.run(*captured(model), [latents, time, text])[0].sync()
    done = counters.read()
    assert done["graphs"] == 1
    for what in ("launches", "products", "convolutions", "copies_to_host", "synchronisations"):
        assert done[what] == 0, what


def captured(model: StableDiffusion) -> tuple[Any, Any]:
    """Kind and computation of the only replay."""
    [(kind, _)] = model._replays._known
    return kind, lambda inputs: pytest.fail("it is computed")


def test_sizes_change_and_other_work_takes_memory_between(
    model: StableDiffusion, plainly: Any
) -> None:
    sizes = [(8, 8), (8, 16), (8, 8)]
    wanted = plainly(lambda: [evaluations(model, 3, size) for size in sizes])
    found = []
    for size in sizes:
        found.append(evaluations(model, 3, size))
        jt.gc()
        jt.sync([jt.random((512, n)) for n in (64, 512, 4096)])
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(a, b)


def test_changed_weights_are_computed_with(model: StableDiffusion, plainly: Any) -> None:
    evaluations(model, 3)
    layer = model.unet.conv_out
    original = layer.weight
    try:
        layer.weight = (original * 2).stop_grad()
        model.networks_changed()
        wanted = plainly(lambda: evaluations(model, 3))
        for a, b in zip(evaluations(model, 3), wanted, strict=True):
            np.testing.assert_array_equal(a, b)
    finally:
        layer.weight = original
        model.networks_changed()


@pytest.mark.parametrize("settings", [
    StyleIDSettings(steps=4), StyleIDSettings(steps=4, gamma=0.2, layers=(9, 7)),
    StyleIDSettings(steps=4, injection=False)])
def test_styleid(
    model: StableDiffusion, plainly: Any, settings: StyleIDSettings, tmp_path: Path
) -> None:
    rng = np.random.default_rng(1)
    pictures = [Image.fromarray(rng.integers(0, 256, (64, 64, 3), np.uint8)) for _ in range(3)]

    def transferred() -> list[Array]:
        styleid = StyleID(model, settings)
        style = styleid.invert_style(pictures[0])
        kept = style.features
        assert all(layer.key is not None for step in kept.values() for layer in step.values())
        return [np.asarray(picture) for batch in (pictures[1:2], pictures[1:])
                for picture in styleid.transfer(batch, style)]

    # AdaIN's sums are atomic on a real card.
    for a, b in zip(transferred(), plainly(transferred), strict=True):
        np.testing.assert_allclose(a.astype(int), b.astype(int), atol=1)
