"""A small split, an upload for it, and random weights, made once a session."""

import json
from pathlib import Path

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


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small random weights; a check accepts them with `allow_unpublished_weights`."""
    import checker_weights

    folder = tmp_path_factory.mktemp("weights")
    checker_weights.write(folder)
    return folder


@pytest.fixture
def split(tmp_path: Path) -> Path:
    """Three styles (00, 03, 17), three references and three prompts each."""
    folder = tmp_path / "split"
    for number, (style, prompts) in enumerate(PROMPTS.items()):
        (folder / style / "images").mkdir(parents=True)
        listed = {str(place): prompt for place, prompt in enumerate(prompts)}
        (folder / style / "prompt.json").write_text(json.dumps(listed))
        for place in range(3):
            picture = draw(100 * number + place, 80 * number)
            picture.save(folder / style / "images" / f"sample {place}.png")
    return folder


@pytest.fixture
def upload(tmp_path: Path) -> Path:
    """An image for every prompt of `split`."""
    folder = tmp_path / "upload"
    for number, (style, prompts) in enumerate(PROMPTS.items()):
        (folder / style).mkdir(parents=True)
        for place, prompt in enumerate(prompts):
            picture = draw(1000 + 100 * number + place, 80 * number + 10)
            picture.save(folder / style / f"{prompt}.png")
    return folder
