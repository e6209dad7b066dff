"""Matching of a picture's colours to a style's; none of it needs Jittor."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from jstyleid_core.styleid.colours import match_colours, palette_of
from jstyleid_core.styleid.mask import Mask
from jstyleid_core.synthetic.looks import LOOKS
from jstyleid_core.synthetic.rendering import draw_plain
from jstyleid_core.synthetic.scene import random_scene

SIDE = 96


@pytest.fixture(scope="module")
def picture() -> Image.Image:
    return draw_plain(random_scene(np.random.default_rng(0), "boat"), SIDE)


def style(name: str, seed: int = 1) -> Image.Image:
    rng = np.random.default_rng(seed)
    return LOOKS[name](rng, random_scene(rng, "apple"), SIDE)


def colours(image: Image.Image) -> NDArray[np.float64]:
    return np.asarray(image, np.float64).reshape(-1, 3)


def distance(one: Image.Image, other: Image.Image) -> float:
    """Sliced Wasserstein distance of the colours, over directions that the method does not use."""
    directions = np.random.default_rng(99).standard_normal((50, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    a, b = (np.sort(colours(image) @ directions.T, axis=0) for image in (one, other))
    return float(np.abs(a - b).mean())


def photo() -> Image.Image:
    """Waves of all colours: nearly each pixel has one of its own."""
    rows, columns = np.mgrid[:SIDE, :SIDE] / SIDE
    waves = [np.sin(a * rows + b * columns) for a, b in ((9, 3), (-5, 7), (2, -8))]
    return Image.fromarray(np.uint8(127.5 + 100 * np.stack(waves, -1)))


@pytest.mark.parametrize("name", sorted(LOOKS))
def test_a_whole_share_gives_the_colours_of_the_style(name: str) -> None:
    wanted = style(name)
    before = distance(photo(), wanted)
    found = [distance(match_colours(photo(), [palette_of(wanted)], share), wanted)
             for share in (0.5, 1)]
    assert found[1] < 0.1 * before
    assert found[1] < found[0] < before


def test_a_share_goes_so_far_and_nothing_is_the_picture_itself(picture: Image.Image) -> None:
    palettes = [palette_of(style("woodcut"))]
    whole, half = (colours(match_colours(picture, palettes, share)) for share in (1, 0.5))
    assert np.abs(half - (colours(picture) + whole) / 2).max() <= 1
    assert match_colours(picture, palettes, 0).tobytes() == picture.tobytes()


def test_the_colours_of_the_picture_itself_change_nothing(picture: Image.Image) -> None:
    assert palette_of(picture).shape == (SIDE * SIDE, 3)
    same = match_colours(picture, [palette_of(picture)], 1)
    assert np.abs(colours(same) - colours(picture)).max() <= 1


def test_equal_colours_stay_equal(picture: Image.Image) -> None:
    """So flat areas get no grain."""
    matched = match_colours(picture, [palette_of(style("neon"))], 1)
    pairs = np.unique(np.hstack([colours(picture), colours(matched)]), axis=0)
    assert len(pairs) == len(np.unique(colours(picture), axis=0))


@pytest.mark.parametrize("image", [
    Image.new("RGB", (64, 64), (10, 200, 30)), Image.new("RGB", (1, 1)), Image.new("RGB", (5, 301)),
], ids=["flat", "one pixel", "black strip"])
def test_pictures_of_one_colour_take_the_mean_colour(image: Image.Image) -> None:
    wanted = style("woodcut")
    matched = colours(match_colours(image, [palette_of(wanted)], 1))
    assert len(np.unique(matched, axis=0)) == 1
    assert np.abs(matched[0] - colours(wanted).mean(0)).max() <= 3


def test_references_of_any_size_count_by_their_pixels(picture: Image.Image) -> None:
    dark, light = (Image.new("RGB", size, colour) for size, colour in
                   (((40, 30), (0, 0, 0)), ((40, 10), (255, 255, 255))))
    matched = colours(match_colours(picture, [palette_of(dark), palette_of(light)], 1))
    assert np.mean(matched) == pytest.approx(255 / 4, abs=20)
    assert len(palette_of(Image.new("RGB", (4000, 300)))) <= 128 * 128


def test_outside_of_a_mask_nothing_changes(picture: Image.Image) -> None:
    weights = np.zeros((SIDE, SIDE), np.float32)
    weights[:, SIDE // 2:] = 1
    palettes = [palette_of(style("woodcut"))]
    matched = match_colours(picture, palettes, 1, Mask(weights))
    whole = np.asarray(matched)
    assert (whole[:, : SIDE // 2] == np.asarray(picture)[:, : SIDE // 2]).all()
    half = picture.crop((SIDE // 2, 0, SIDE, SIDE))
    assert (whole[:, SIDE // 2:] == np.asarray(match_colours(half, palettes, 1))).all()
    assert match_colours(picture, palettes, 1, Mask(weights * 0)).tobytes() == picture.tobytes()


def test_the_module_needs_no_jittor() -> None:
    import subprocess

    code = "import sys, jstyleid_core.styleid.colours; sys.exit('jittor' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_same_on_each_call(picture: Image.Image) -> None:
    palettes = [palette_of(style("woodcut"))]
    first, second = (match_colours(picture, palettes, 0.7).tobytes() for _ in range(2))
    assert first == second
