"""A small split made on the spot, and a model that paints noise instead of computing."""

import io
import json
import random
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from inline_executor import InlineExecutor
from jstyleid_core import runtime
from jstyleid_core.progress import OnStep, Progress
from jstyleid_core.weights.checkpoint import EMBEDDED_MODEL, CheckpointSource, find_checkpoint
from jstyleid_dreambooth import LoRAWeights, LowRank, read_lora, write_lora
from jstyleid_dreambooth.training.job import TrainingJob, recipe_digest
from jstyleid_dreambooth.training.prior import read_latents
from jstyleid_dreambooth.training.settings import TrainingSettings
from jstyleid_runner.cli import app
from jstyleid_runner.planning.plan import build_plan
from jstyleid_runner.reports.progress import LineDisplay
from jstyleid_runner.scheduling.executor import TaskProgress
from jstyleid_runner.scheduling.task import Task
from jstyleid_runner.settings import RunSettings
from jstyleid_runner.storage.layout import OutFolder
from jstyleid_runner.storage.split import read_split
from jstyleid_runner.worker import engine
from jstyleid_runner.worker.engine import Engine
from jstyleid_runner.worker.payloads import Payload, run_payloads
from jstyleid_runner.worker.prepared import PreparedEngine
from jstyleid_runner.worker.worker import ImageWorker, WorkerSpec
from jstyleid_runner.workflows import model as core_model
from jstyleid_runner.workflows.execution import RunRequest
from jstyleid_runner.workflows.model import ModelSource
from reference_sets import LORA_CHECKPOINT
from small_checkpoint import build


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


@pytest.fixture(autouse=True)
def no_module_keeps_a_double() -> Iterator[None]:
    """Fail where a module that a test imported has taken a function that was replaced just then.

    Modules are imported on first use, and `from ... import load_model` outlives the test: later
    ones would compute with the double. Import the module at the head of the test's file, and
    replace the name in it.
    """
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name.startswith("jstyleid_"):
            kept = [key for key, value in vars(sys.modules[name]).items() if _from_tests(value)]
            assert not kept, f"{name} keeps the double of {', '.join(kept)}"


def _from_tests(value: object) -> bool:
    module = sys.modules.get(getattr(value, "__module__", None) or "")
    return "tests" in Path(getattr(module, "__file__", None) or "").parts


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

    def __init__(self, settings: RunSettings, fingerprint: str) -> None:
        self.settings = settings
        self.evaluations = 0
        self.before_call: Callable[[str], None] = lambda name: None
        self.starts: list[Image.Image | None] = []
        self._fingerprint = fingerprint
        self._drawing: tuple[str, ...] | None = None

    def train(self, job: TrainingJob, watch: Progress) -> Path:
        self.before_call("train")
        assert self._drawing is None, "a LoRA is attached"
        if job.settings.prior:
            assert job.class_latents, "a run makes them beforehand"
            read_latents(job.class_latents, job.settings.prior.images)
        return train(job, self._fingerprint, watch, self._count)

    @contextmanager
    def plain_model(self) -> Iterator[Any]:
        yield SimpleNamespace(generate=self._generate_plainly, posterior=self._posterior)

    def check_lora(self, lora: Path) -> None:
        self.before_call("check_lora")
        read_lora(lora)

    @contextmanager
    def drawing(self, lora: Path | None, start: Image.Image | None) -> Iterator[None]:
        assert self._drawing is None, "two LoRAs at a time"
        self.starts.append(start)
        # A LoRA is what it was trained with: the same recipe gives the same file.
        self._drawing = (
            str(sorted(read_lora(lora).about.items()) if lora else None),
            str(start.tobytes() if start else None),
        )
        try:
            yield
        finally:
            self._drawing = None

    def generate(
        self, texts: Sequence[str], seeds: Sequence[int], on_step: OnStep
    ) -> list[Image.Image]:
        self.before_call("generate")
        assert self._drawing is not None
        self._work(self.settings.steps_taken, 2 * len(texts), on_step)
        how = (str(self.settings.guidance), self.settings.negative, *self._drawing)
        return [self._paint(text, str(seed), *how) for text, seed in zip(texts, seeds, strict=True)]

    def invert_style(self, image: Image.Image, on_step: OnStep) -> bytes:
        self.before_call("invert_style")
        assert self.settings.styleid
        assert image.size == self.settings.size
        self._work(self.settings.styleid.steps, 1, on_step)
        return image.tobytes()

    def keep_style(self, style: bytes, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(style)

    def read_style(self, path: Path, image: Image.Image) -> bytes:
        return path.read_bytes()

    def transfer(
        self, contents: Sequence[Image.Image], styles: Sequence[bytes], on_step: OnStep
    ) -> list[Image.Image]:
        self.before_call("transfer")
        assert self.settings.styleid
        self._work(2 * self.settings.styleid.steps, len(contents), on_step)
        gamma = str(self.settings.styleid.gamma)
        looks = [str(style) for style in styles]
        return [self._paint(str(content.tobytes()), *looks, gamma) for content in contents]

    def generate_in_style(
        self, texts: Sequence[str], seeds: Sequence[int], styles: Sequence[bytes], on_step: OnStep
    ) -> list[Image.Image]:
        self.before_call("generate_in_style")
        assert self._drawing is not None
        assert self.settings.styleid
        steps = self.settings.steps_taken
        self._work(steps, 2 * len(texts), on_step)
        if self.settings.way == "trajectory":
            self._work(steps, len(texts), on_step)
        how = (self.settings.way, *map(str, styles), *self._drawing)
        return [self._paint(text, str(seed), *how) for text, seed in zip(texts, seeds, strict=True)]

    def _generate_plainly(
        self, texts: Sequence[str], seeds: Sequence[int], *, steps: int, guidance_scale: float,
        size: tuple[int, int], on_step: OnStep,
    ) -> list[Image.Image]:
        self.before_call("plain generate")
        self._work(steps, len(texts) * (1 if guidance_scale == 1 else 2), on_step)
        return [self._paint(text, str(seed)) for text, seed in zip(texts, seeds, strict=True)]

    def _posterior(self, images: Sequence[Image.Image]) -> tuple[Any, Any]:
        self.before_call("posterior")
        values = np.array([[[[np.asarray(image).mean()]]] for image in images], np.float32)
        var = SimpleNamespace(numpy=lambda: values)
        return var, var

    def _count(self, evaluations: int) -> None:
        self.evaluations += evaluations

    def _work(self, steps: int, pictures: int, on_step: OnStep) -> None:
        for _ in range(steps):
            self.evaluations += pictures
            on_step()

    def _paint(self, *what: str) -> Image.Image:
        # Noise, because it takes as much space on the disk as a picture.
        width, height = self.settings.size
        noise = random.Random("/".join(what)).randbytes(width * height * 3)
        return Image.frombytes("RGB", self.settings.size, noise)


def train(
    job: TrainingJob, fingerprint: str, watch: Progress, count: Callable[[int], None]
) -> Path:
    """Write what a finished training leaves, without training."""
    settings = job.settings
    watch.stage(f"training {job.name}", settings.steps, settings.evaluations)
    for _ in range(settings.steps):
        watch.step("loss 0.1")
    count(settings.evaluations)
    layer = LowRank(np.ones((1, 2), np.float32), np.ones((2, 1), np.float32), 1)
    weights = LoRAWeights({"unet": {"conv_in": layer}})
    return write_lora(job.folder, weights, {"recipe": recipe_digest(job.recipe(fingerprint))})


class FakeWorker:
    """The real work on the fake engine."""

    def __init__(
        self, engine: FakeEngine, settings: RunSettings, loras: tuple[Path, ...]
    ) -> None:
        self.engine, self.settings, self.loras = engine, settings, loras

    def compile(self, progress: TaskProgress) -> None:
        pass

    def prepare(self, progress: TaskProgress) -> None:
        self.prepared = PreparedEngine(self.engine, self.settings.size, self.loras)

    def perform(
        self, payloads: Sequence[Payload], progress: TaskProgress
    ) -> Iterator[bytes | None]:
        return run_payloads(self.prepared, payloads, progress)

    def usable(self) -> bool:
        return True


class FakeModel:
    """A checkpoint whose loads are counted."""

    def __init__(self, stamp: str | None = "unchanged", fingerprint: str = "abc") -> None:
        self.source = CheckpointSource("some/model")
        self.opened = 0
        self.engine: FakeEngine | None = None
        self.before_call: Callable[[str], None] = lambda name: None
        self.trained: list[str] = []
        self._stamp = stamp
        self._fingerprint = fingerprint

    def stamp(self) -> str | None:
        return self._stamp

    def fingerprint(self, dtype: str) -> str:
        return self._fingerprint

    identify = ModelSource.identify

    @property
    def workers(self) -> tuple[str, ...]:
        return ("here",)

    def executor(
        self,
        settings: RunSettings,
        folder: OutFolder,
        loras: tuple[Path, ...],
        fingerprint: str,
        payload_of: Callable[[Task], Payload],
    ) -> InlineExecutor:
        def make_worker() -> FakeWorker:
            self.opened += 1
            self.engine = FakeEngine(settings, self._fingerprint)
            self.engine.before_call = self.before_call
            return FakeWorker(self.engine, settings, loras)

        return InlineExecutor("here", make_worker, payload_of)

    def open_trainer(self, dtype: str, settings: TrainingSettings) -> Any:
        self.opened += 1
        return SimpleNamespace(train=self.train, fingerprint=self._fingerprint)

    def train(self, job: TrainingJob, watch: Progress) -> Path:
        self.before_call("train")
        self.trained.append(job.name)
        return train(job, self._fingerprint, watch, lambda evaluations: None)

    @property
    def evaluations(self) -> int:
        return self.engine.evaluations if self.engine else 0


class InlineModel(ModelSource):
    """The real one in this process, which can be asked afterwards what it did."""

    worker: ImageWorker

    @property
    def workers(self) -> tuple[str, ...]:
        return ("here",)

    def executor(
        self,
        settings: RunSettings,
        folder: OutFolder,
        loras: tuple[Path, ...],
        fingerprint: str,
        payload_of: Callable[[Task], Payload],
    ) -> InlineExecutor:
        def make_worker() -> ImageWorker:
            self.worker = WorkerSpec(self.source, "cpu", settings, loras, folder.native_log)()
            return self.worker

        return InlineExecutor("here", make_worker, payload_of)

    @property
    def engine(self) -> Engine:
        return self.worker.engine.engine


@pytest.fixture
def inline_model(
    checkpoint: Path, display: LineDisplay, monkeypatch: pytest.MonkeyPatch
) -> InlineModel:
    """The checkpoint's."""
    monkeypatch.setattr(runtime, "redirect_native_output", lambda path: None)
    return InlineModel(CheckpointSource(str(checkpoint)), "cpu", display)


@pytest.fixture
def fake_model() -> type[FakeModel]:
    """The class, for tests that need several or special ones."""
    return FakeModel


MakeRequest = Callable[..., RunRequest]
Invoke = Callable[..., tuple[int, str]]


@pytest.fixture
def make_request(data: Path, tmp_path: Path) -> MakeRequest:
    """Build a request on the small split; keywords are settings, but for the execution's own."""

    def make(
        styles: Sequence[str] | None = None,
        prompts: int | None = None,
        batch: int = 1,
        force: bool = False,
        out: str = "out",
        loras: Mapping[str, Path] | None = None,
        **changes: object,
    ) -> RunRequest:
        values: dict[str, object] = {
            "split": "S",
            "method": "styleid",
            "size": (64, 64),
            "content_steps": 3,
            "reference": "first",
            "styleid": {"steps": 4},
        }
        settings = RunSettings.create(**(values | changes))
        objects = ("apple", "ball")
        plan = build_plan(read_split(data, "S", styles), settings, prompts, loras=loras,
                          objects=objects, batch=batch)  # fmt: skip
        folder = OutFolder(tmp_path / out)
        folder.prepare()
        return RunRequest(plan, settings, folder, force)

    return make


@pytest.fixture
def display() -> LineDisplay:
    """Progress that goes nowhere."""
    return LineDisplay(io.StringIO())


@pytest.fixture
def no_jittor(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail when Jittor is started, or a model looked for."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("Jittor was started")

    monkeypatch.setattr(runtime, "start", refuse)
    monkeypatch.setattr(runtime, "redirect_native_output", lambda path: None)
    # Nor is a model looked for: the default one is on the hub.
    for module in (core_model, engine):
        monkeypatch.setattr(module, "find_checkpoint",
                            lambda *_, **__: find_checkpoint(EMBEDDED_MODEL))


@pytest.fixture
def invoke(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Invoke:
    """Run a command line in `tmp_path`; its exit code and stderr in one line."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(app, list(arguments), env={"COLUMNS": "400"})
        # On some build servers Rich draws in colour, whatever it is told.
        plain = re.sub(r"\x1b\[[0-9;]*m", "", result.stderr)
        return result.exit_code, " ".join(plain.replace("│", " ").split())

    return call


@pytest.fixture(scope="session")
def checkpoint() -> Path:
    """The embedded model's; modules with committed LoRAs have `lora_checkpoint` in its place."""
    return find_checkpoint(EMBEDDED_MODEL).path


@pytest.fixture(scope="session")
def lora_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny checkpoint in the layout of SD 2.1, to which the committed LoRA files belong."""
    return build(LORA_CHECKPOINT, tmp_path_factory.mktemp("checkpoint") / LORA_CHECKPOINT)


@pytest.fixture(scope="session")
def split_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The split `S`: two styles, two prompts each."""
    folder = tmp_path_factory.mktemp("data")
    for style in ("00", "04"):
        write_style(folder / "S", style, ("Ring", "Two Words"))
    return folder


@pytest.fixture
def call(
    checkpoint: Path, split_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Any]:
    """A command on that split and checkpoint, in this process and in `tmp_path`."""
    monkeypatch.setattr(runtime, "redirect_native_output", lambda path: None)
    monkeypatch.chdir(tmp_path)

    def run(*words: object) -> Any:
        common = ["--split", "S", "--data", split_data, "--model", checkpoint, "--size", 64]
        return CliRunner().invoke(app, [str(word) for word in (*words, *common)])

    return run


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium, where this machine has it."""
    playwright = pytest.importorskip("playwright.sync_api")
    found = shutil.which("chromium") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("no Chromium here")
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=found)
        yield chromium
        chromium.close()
