"""A small split made on the spot, and a model that paints noise instead of computing."""

import io
import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from PIL import Image

from jstyleid_runner.engine import OnStep
from jstyleid_runner.out_folder import OutFolder
from jstyleid_runner.plan import build_plan
from jstyleid_runner.progress_lines import LineReporter
from jstyleid_runner.run_split import Opened, RunRequest
from jstyleid_runner.settings import RunSettings
from jstyleid_runner.split import read_split


def write_style(split: Path, style: str, prompts: Sequence[str]) -> Path:
    """Write one style folder with two sample images."""
    images = split / style / "images"
    images.mkdir(parents=True)
    for index, name in enumerate(("ball.png", "apple.png")):
        image = Image.effect_mandelbrot((96, 80), (-2, -1, 1, 1 + index), 20).convert("RGB")
        image.putpixel((0, 0), (index, len(style), 7))
        image.save(images / name)
    numbered = {str(number): prompt for number, prompt in enumerate(prompts)}
    (split / style / "prompt.json").write_text(json.dumps(numbered))
    return split / style


@pytest.fixture(name="write_style", scope="session")
def write_style_fixture() -> Callable[[Path, str, Sequence[str]], Path]:
    """Write one more style folder."""
    return write_style


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with the split `S`: two styles, three prompts each."""
    for style in ("00", "04"):
        write_style(tmp_path / "data" / "S", style, ("Ring", "Hotel", "Two Words"))
    return tmp_path / "data"


class FakeEngine:
    """Counts UNet evaluations as the real one would, and paints what it was asked for."""

    def __init__(self, settings: RunSettings) -> None:
        self.settings = settings
        self.evaluations = 0
        self.before_call: Callable[[str], None] = lambda name: None

    def generate(
        self, prompts: Sequence[str], seeds: Sequence[int], on_step: OnStep
    ) -> list[Image.Image]:
        self.before_call("generate")
        self._work(self.settings.content_steps, 2 * len(prompts), on_step)
        guidance = str(self.settings.guidance)
        return [
            self._paint(prompt, str(seed), guidance)
            for prompt, seed in zip(prompts, seeds, strict=True)
        ]

    def invert_style(self, image: Image.Image, on_step: OnStep) -> bytes:
        self.before_call("invert_style")
        assert image.size == self.settings.size
        self._work(self.settings.styleid.steps, 1, on_step)
        return image.tobytes()

    def transfer(
        self, contents: Sequence[Image.Image], style: bytes, on_step: OnStep
    ) -> list[Image.Image]:
        self.before_call("transfer")
        self._work(2 * self.settings.styleid.steps, len(contents), on_step)
        gamma = str(self.settings.styleid.gamma)
        return [self._paint(str(content.tobytes()), str(style), gamma) for content in contents]

    def _work(self, steps: int, pictures: int, on_step: OnStep) -> None:
        for _ in range(steps):
            self.evaluations += pictures
            on_step()

    def _paint(self, *what: str) -> Image.Image:
        # Noise, because it takes as much space on the disk as a picture.
        width, height = self.settings.size
        noise = random.Random("/".join(what)).randbytes(width * height * 3)
        return Image.frombytes("RGB", self.settings.size, noise)


class FakeModel:
    """A checkpoint whose loads are counted."""

    def __init__(self, stamp: str | None = "unchanged", fingerprint: str = "abc") -> None:
        self.source = "some/model"
        self.opened = 0
        self.engine: FakeEngine | None = None
        self.before_call: Callable[[str], None] = lambda name: None
        self._stamp = stamp
        self._fingerprint = fingerprint

    def stamp(self) -> str | None:
        return self._stamp

    def open(self, settings: RunSettings) -> Opened[bytes]:
        self.opened += 1
        self.engine = FakeEngine(settings)
        self.engine.before_call = self.before_call
        return Opened(self.engine, self._fingerprint)

    @property
    def evaluations(self) -> int:
        return self.engine.evaluations if self.engine else 0


@pytest.fixture
def fake_model() -> type[FakeModel]:
    """The class, for tests that need several or special ones."""
    return FakeModel


MakeRequest = Callable[..., RunRequest]


@pytest.fixture
def make_request(data: Path, tmp_path: Path) -> MakeRequest:
    """Build a request on the small split; keywords are settings, but for the execution's own."""

    def make(
        styles: Sequence[str] | None = None,
        prompts: int | None = None,
        batch: int = 1,
        force: bool = False,
        out: str = "out",
        **changes: object,
    ) -> RunRequest:
        values: dict[str, object] = {
            "split": "S",
            "size": (64, 64),
            "content_steps": 3,
            "styleid": {"steps": 4},
        }
        settings = RunSettings.create(**(values | changes))
        plan = build_plan(read_split(data, "S", styles), settings, prompts)
        folder = OutFolder(tmp_path / out)
        folder.prepare()
        return RunRequest(plan, settings, folder, batch, force)

    return make


@pytest.fixture
def reporter() -> LineReporter:
    """Progress that goes nowhere."""
    return LineReporter(io.StringIO())
