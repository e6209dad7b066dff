"""A model that paints grey, and a method that paints the mean of its inputs, without Jittor."""

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import jstyleid_core
from jstyleid_core import runtime
from jstyleid_core.images import mean_image
from jstyleid_core.progress import OnStep
from jstyleid_core.weights.checkpoint import EMBEDDED_MODEL, Checkpoint, find_checkpoint
from jstyleid_runner.worker import engine
from jstyleid_runner.workflows import again, generate


class FakeStableDiffusion:
    """Paints grey."""

    fingerprint = "f1"

    def drop_text_encoder(self) -> None:
        pass

    @property
    def checkpoint(self) -> Checkpoint:
        return find_checkpoint(EMBEDDED_MODEL)

    def generate(
        self,
        prompts: Sequence[str],
        seeds: Sequence[int],
        *,
        steps: int,
        size: tuple[int, int],
        on_step: OnStep,
        **_: object,
    ) -> list[Image.Image]:
        for _step in range(steps):
            on_step()
        return [Image.new("RGB", size, (seed, seed, seed)) for seed in seeds]


class FakeStyleID:
    """Blends content and style."""

    inverted = 0

    def __init__(self, model: FakeStableDiffusion, settings: object) -> None:
        self.model, self.steps = model, settings.steps  # type: ignore[attr-defined]
        self.recipe = self.steps

    def invert_style(self, image: Image.Image, on_step: OnStep) -> "FakeStyle":
        FakeStyleID.inverted += 1
        for _ in range(self.steps):
            on_step()
        return FakeStyle(image)

    def transfer(
        self, contents: Sequence[Image.Image], styles: Sequence["FakeStyle"], on_step: OnStep,
        mask: Any, on_prediction: object,
    ) -> list[Image.Image]:
        for _ in range(2 * self.steps):
            on_step()
        style = mean_image([style.image for style in styles])
        blended = [Image.blend(content, style, 0.5) for content in contents]
        if mask is None:
            return blended
        inside = Image.fromarray((mask.weights * 255).astype(np.uint8))
        return [Image.composite(one, content, inside)
                for one, content in zip(blended, contents, strict=True)]


class FakeStyle:
    """A style that is its picture."""

    def __init__(self, image: Image.Image) -> None:
        self.image = image

    def save(self, path: Path) -> None:
        self.image.save(path, "PNG")

    @classmethod
    def load(
        cls, path: Path, *, model: object, settings: object, image: Image.Image
    ) -> "FakeStyle":
        return cls(Image.open(path).convert("RGB"))


def paint(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands of one picture paint until the test ends; no Jittor starts."""
    monkeypatch.setattr(runtime, "redirect_native_output", lambda path: None)
    for user in (engine, generate, again):
        monkeypatch.setattr(user, "load_model", lambda *_: FakeStableDiffusion())
    monkeypatch.setattr(generate, "attached", lambda *_: nullcontext())
    # Not by setattr, which would look up the real ones and so start Jittor.
    monkeypatch.setitem(vars(jstyleid_core), "StyleID", FakeStyleID)
    monkeypatch.setitem(vars(jstyleid_core), "Style", FakeStyle)
