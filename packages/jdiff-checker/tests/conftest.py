"""A small split, an upload for it, random weights, and what a check did with them."""

import json
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

PROMPTS = {"00": ["Ring", "Hotel", "Cactus"], "03": ["Volcano", "Ring", "Panda"],
           "17": ["Tower", "Lion", "Watch"]}


def draw(seed: int, hue: int, size: int = 128) -> Image.Image:
    """A picture of its own: a tinted gradient with shapes and a little noise."""
    random = np.random.default_rng(seed)
    image = Image.linear_gradient("L").resize((size, size)).convert("HSV")
    channels = np.array(image)
    channels[..., 0], channels[..., 1] = hue, 120
    picture = Image.fromarray(channels, "HSV").convert("RGB")
    pen = ImageDraw.Draw(picture)
    for _ in range(8):
        x, y, radius = (int(value) for value in random.integers(4, size - 4, 3))
        colour = tuple(int(value) for value in random.integers(0, 256, 3))
        pen.ellipse((x - radius // 4, y - radius // 4, x + radius // 4, y + radius // 4), colour)
    noisy = np.asarray(picture).astype(int) + random.integers(-6, 7, (size, size, 3))
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))


def write_split(folder: Path) -> Path:
    for number, (style, prompts) in enumerate(PROMPTS.items()):
        (folder / style / "images").mkdir(parents=True)
        listed = {str(place): prompt for place, prompt in enumerate(prompts)}
        (folder / style / "prompt.json").write_text(json.dumps(listed))
        for place in range(3):
            picture = draw(100 * number + place, 80 * number)
            picture.save(folder / style / "images" / f"sample {place}.png")
    return folder


def write_upload(folder: Path) -> Path:
    for number, (style, prompts) in enumerate(PROMPTS.items()):
        (folder / style).mkdir(parents=True)
        for place, prompt in enumerate(prompts):
            picture = draw(1000 + 100 * number + place, 80 * number + 10)
            picture.save(folder / style / f"{prompt}.png")
    return folder


@dataclass
class Passes:
    """What checks read and computed since the last `clear`."""

    decoded: list[Path] = field(default_factory=list)
    prepared: list[tuple[str, Path]] = field(default_factory=list)
    """Metric and file of each image that was made ready for a network."""
    images: Counter[str] = field(default_factory=Counter)
    """How many images went through each metric's network."""
    loaded: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)

    def clear(self) -> None:
        for kept in (self.decoded, self.prepared, self.images, self.loaded, self.texts):
            kept.clear()


class _Watched:
    """An extractor that tells `Passes` what it is given."""

    def __init__(self, metric: str, extractor: Any, passes: Passes) -> None:
        self._metric, self._extractor, self._passes = metric, extractor, passes

    def __getattr__(self, name: str) -> Any:
        return getattr(self._extractor, name)

    def prepare(self, image: Any) -> Any:
        self._passes.prepared.append((self._metric, image.info["its file"]))
        return self._extractor.prepare(image)

    def __call__(self, batch: Any) -> Any:
        self._passes.images[self._metric] += len(batch)
        return self._extractor(batch)

    def embed_texts(self, texts: list[str]) -> Any:
        self._passes.texts.extend(texts)
        return self._extractor.embed_texts(texts)


@pytest.fixture(autouse=True)
def private_folders(tmp_path_factory: pytest.TempPathFactory,
                    monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep the user's weights and cache out; the folder is that for the user's caches."""
    folder = tmp_path_factory.mktemp("caches")
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    monkeypatch.delenv("JDIFF_WEIGHTS", raising=False)
    monkeypatch.chdir(folder)  # a check without --result leaves its log where it runs
    return folder


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small random weights; a check accepts them with `allow_unpublished_weights`."""
    import checker_weights

    folder = tmp_path_factory.mktemp("weights")
    checker_weights.write(folder)
    return folder


@pytest.fixture
def own_weights(weights: Path, tmp_path: Path) -> Path:
    """A copy of `weights` whose files a test may replace (unlink first: they are links)."""
    folder = tmp_path / "own weights"
    for file in weights.glob("*/*"):
        (folder / file.parent.name).mkdir(parents=True, exist_ok=True)
        (folder / file.parent.name / file.name).symlink_to(file)
    return folder


@pytest.fixture
def split(tmp_path: Path) -> Path:
    """Three styles (00, 03, 17), three references and three prompts each."""
    return write_split(tmp_path / "split")


@pytest.fixture
def upload(tmp_path: Path) -> Path:
    """An image for every prompt of `split`."""
    return write_upload(tmp_path / "upload")


@dataclass(frozen=True)
class Example:
    """A real check, and where it lies."""

    split: Path
    upload: Path
    cache: Path
    result: Any


@pytest.fixture(scope="session")
def example(weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Example:
    """A check of all metrics; 00 and 17 have an extra image each, and 17 lacks Watch."""
    from jdiff_checker import check

    folder = tmp_path_factory.mktemp("example")
    split, upload = write_split(folder / "split"), write_upload(folder / "upload")
    draw(7, 200).save(upload / "00" / "Spare.png")
    draw(8, 40).save(upload / "17" / "Another.one.png")
    (upload / "17" / "Watch.png").unlink()
    cache = folder / "features.sqlite"
    result = check(upload, split, weights=weights, allow_unpublished_weights=True,
                   allow_missing=True, cache=cache)
    return Example(split, upload, cache, result)


@pytest.fixture(scope="session")
def known_features(
    weights: Path, example: Example, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A cache that knows all of `split` and `upload`."""
    from jdiff_checker import check

    folder = tmp_path_factory.mktemp("known")
    cache = folder / "features.sqlite"
    shutil.copy(example.cache, cache)
    check(write_upload(folder / "upload"), example.split, weights=weights,
          allow_unpublished_weights=True, cache=cache)
    return cache


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> Passes:
    """Counts what checks decode, send through networks and load."""
    from jdiff_checker import checking
    from jdiff_checker.features import extraction

    seen = Passes()
    decode, networks = extraction.decode, checking.networks

    def watched_decode(path: Path) -> Image.Image:
        seen.decoded.append(path)
        image = decode(path)
        image.info["its file"] = path
        return image

    def watched_networks(*arguments: Any, **options: Any) -> Any:
        made = networks(*arguments, **options)
        for metric, network in made.items():
            def load(metric: str = metric, original: Any = network.load) -> _Watched:
                seen.loaded.append(metric)
                return _Watched(metric, original(), seen)

            network.load = load
        return made

    monkeypatch.setattr(extraction, "decode", watched_decode)
    monkeypatch.setattr(checking, "networks", watched_networks)
    return seen


@pytest.fixture
def score(weights: Path, split: Path, upload: Path, tmp_path: Path) -> Callable[..., Any]:
    """`check` of `upload` against `split` with `weights` and a cache in `tmp_path`."""
    from jdiff_checker import check

    def run(**options: Any) -> Any:
        chosen = {"upload": upload, "gt": split, "weights": weights,
                  "allow_unpublished_weights": True, "cache": tmp_path / "cache.sqlite"} | options
        return check(chosen.pop("upload"), chosen.pop("gt"), **chosen)

    return run


@pytest.fixture
def command(
    weights: Path, split: Path, upload: Path, tmp_path: Path, known_features: Path,
    private_folders: Path, monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., Any]:
    """`jdiff-check` in this process, over `upload` and `split`; results go to `tmp_path/out`.

    Everything is in the cache already. Further options override these.
    """
    from typer.testing import CliRunner

    from jdiff_checker.cli import app

    monkeypatch.setenv("COLUMNS", "300")
    cache = private_folders / "jdiff-checker" / "features.sqlite"
    cache.parent.mkdir(parents=True)
    shutil.copy(known_features, cache)

    def run(*options: object) -> Any:
        given = ["--upload", upload, "--gt", split, "--weights", weights, "--unpublished-weights",
                 "--result", tmp_path / "out", *options]
        return CliRunner().invoke(app, [str(option) for option in given])

    return run
