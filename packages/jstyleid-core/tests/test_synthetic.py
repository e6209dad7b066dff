"""The pictures that are drawn by programme."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from captions import caption
from jstyleid_core.synthetic.demo_split import PROMPTS, SAMPLES, draw_split
from jstyleid_core.synthetic.looks import LOOKS
from jstyleid_core.synthetic.objects import KINDS
from jstyleid_core.synthetic.rendering import draw_plain, mask_of
from jstyleid_core.synthetic.scene import random_scene
from likeness import colour_likeness

SIZE = 64


def difference(one: Image.Image, other: Image.Image) -> float:
    return float(np.abs(np.asarray(one).astype(float) - np.asarray(other)).mean())


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_seen_whole_and_never_twice_the_same(kind: str) -> None:
    scenes = [random_scene(np.random.default_rng(seed), kind) for seed in range(6)]
    for scene in scenes:
        points = np.concatenate([shape.points for shape in scene.drawing])
        assert points.min() > -0.03
        assert points.max() < 1.03
        assert 0.04 < mask_of(scene, SIZE).mean() < 0.7
        for colour in scene.colours.values():
            assert colour.min() >= 0
            assert colour.max() <= 1
    pictures = [draw_plain(scene, SIZE) for scene in scenes]
    assert all(picture.size == (SIZE, SIZE) for picture in pictures)
    assert min(difference(*pair) for pair in combinations(pictures, 2)) > 3


def test_there_are_enough_kinds_and_looks() -> None:
    assert len(KINDS) >= 30
    assert len(LOOKS) >= 6


def test_kinds_are_named_by_single_words() -> None:
    assert all(kind.isalpha() and kind.islower() for kind in KINDS)


@pytest.mark.parametrize("draw", [draw_plain, *LOOKS.values()])
def test_a_seed_gives_one_picture(draw) -> None:
    def picture() -> Image.Image:
        scene = random_scene(np.random.default_rng(3), "boat")
        if draw is draw_plain:
            return draw(scene, SIZE)
        return draw(np.random.default_rng(4), scene, SIZE)

    assert picture().tobytes() == picture().tobytes()


def test_a_look_has_its_own_colours_whatever_it_shows() -> None:
    rng = np.random.default_rng(5)
    kinds = list(KINDS)
    shown = {
        name: [look(rng, random_scene(rng, kinds[n]), SIZE) for n in range(4)]
        for name, look in LOOKS.items()
    }
    for name, pictures in shown.items():
        within = np.mean([colour_likeness(*pair) for pair in combinations(pictures, 2)])
        across = max(
            np.mean([colour_likeness(one, other) for one in pictures for other in others])
            for other_name, others in shown.items() if other_name != name
        )
        assert within > across + 0.1, name


def test_captions_say_what_is_there() -> None:
    rng = np.random.default_rng(6)
    scene = random_scene(rng, "apple")
    captions = {caption(rng, scene) for _ in range(200)}
    assert all("apple" in text for text in captions)
    assert any(scene.names[0] in text and scene.names[1] in text for text in captions)
    assert any("in style_" in text for text in captions)
    assert not any("a apple" in text for text in captions)


def test_an_unknown_kind() -> None:
    with pytest.raises(KeyError):
        random_scene(np.random.default_rng(0), "quasar")


def test_the_demo_split(tmp_path: Path) -> None:
    names = draw_split(tmp_path)
    assert list(names.values()) == list(LOOKS)
    first = {path: path.read_bytes() for path in tmp_path.rglob("*.*")}
    for style in names:
        samples = sorted((tmp_path / style / "images").iterdir())
        prompts = json.loads((tmp_path / style / "prompt.json").read_text())
        assert len(samples) == SAMPLES
        assert len(prompts) == PROMPTS
        assert {prompt.lower() for prompt in prompts.values()} <= set(KINDS)
    draw_split(tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.*")} == first
