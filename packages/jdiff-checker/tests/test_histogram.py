"""Hist: the official checker's arithmetic written out again, and the corrected one by hand."""

import os
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

import checker_references as theirs
import colour_cases as shared
from jdiff_checker.inputs.images import decode
from jdiff_checker.metrics.histogram import (
    HSV_BINS,
    RGB_BINS,
    Histograms,
    correlation,
    histograms,
    score,
    split,
)
from jdiff_checker.scoring import Scoring

LIMIT = 1e-12
OFFICIAL, CORRECTED = Scoring.OFFICIAL, Scoring.CORRECTED
HUE_CLASSES = ((20, 40), (40, 75), (75, 155), (155, 190), (190, 270), (270, 295), (295, 315))
"""Above the first, up to the second, in degrees: classes 1 to 7. All else is class 0."""


# The official arithmetic, on pixels in OpenCV's order (blue, green, red).


def official_rgb(bgr: np.ndarray) -> np.ndarray:
    blue, green, red = bgr[..., 0] // 16, bgr[..., 1] // 16, bgr[..., 2] // 16
    index = blue * 16 * 16 + green * 16 + red
    assert index.dtype == np.uint8  # quirk 1
    return counts(index, 4096, 4096)


def official_hsv(bgr: np.ndarray) -> np.ndarray:
    half_degrees, saturation, value = cv2.split(cv2.cvtColor(bgr, cv2.COLOR_BGR2HSV))
    degrees = half_degrees * 2
    assert degrees.dtype == np.uint8  # quirk 2
    hue = np.zeros(degrees.shape, np.uint8)
    for number, (above, up_to) in enumerate(HUE_CLASSES, start=1):
        hue[(degrees > above) & (degrees <= up_to)] = number
    return counts(9 * hue + 3 * level(saturation) + level(value), 72, 71)


def level(channel: np.ndarray) -> np.ndarray:
    """0 up to 51, 1 up to 178, else 2."""
    return (channel > 51).astype(np.uint8) + (channel > 178).astype(np.uint8)


def counts(index: np.ndarray, bins: int, end: int) -> np.ndarray:
    # OpenCV 4 makes (bins, 1) of it, OpenCV 5 (bins,).
    return cv2.calcHist([index], [0], None, [bins], [0, end]).reshape(bins)


def official_score(image: np.ndarray, references: Sequence[np.ndarray]) -> float:
    total = 0.0
    for histogram in (official_rgb, official_hsv):
        mean = sum(histogram(reference) for reference in references) / len(references)
        assert mean.dtype == np.float32
        total += cv2.compareHist(mean, histogram(image), cv2.HISTCMP_CORREL)
    return total / 2


def bgr(image: Image.Image) -> np.ndarray:
    return np.ascontiguousarray(np.array(image)[..., ::-1])


def vector(image: Image.Image) -> np.ndarray:
    return Histograms().prepare(image).numpy()


def test_official_histograms_are_the_official_arithmetic():
    sizes = [(64, 64), (91, 33), (1, 1), (512, 300)]
    noise = np.random.default_rng(0).integers(0, 256, (128, 128, 3), np.uint8)
    for image in [*theirs.pictures(sizes, seed=8), Image.fromarray(noise)]:
        rgb, hsv = split(vector(image), OFFICIAL)
        assert np.array_equal(rgb, official_rgb(bgr(image)))
        assert np.array_equal(hsv, official_hsv(bgr(image)))
        assert rgb.sum() == hsv.sum() == image.width * image.height


@pytest.mark.parametrize("references", [1, 3, 10])
def test_official_scores_of_drawn_images_are_the_official_arithmetic(references):
    drawn = theirs.pictures([(96, 96)] * (references + 4), seed=9)
    samples, images = drawn[:references], drawn[references:]
    scores = [score(vector(image), [vector(one) for one in samples], OFFICIAL)
              for image in images]
    expected = [official_score(bgr(image), [bgr(one) for one in samples]) for image in images]
    assert np.ptp(expected) > 0.01
    assert scores == pytest.approx(expected, rel=0, abs=LIMIT)


@pytest.mark.skipif("JSTYLEID_SPLIT_DATA" not in os.environ, reason="JSTYLEID_SPLIT_DATA not set")
def test_official_scores_of_real_images_are_the_official_arithmetic():
    """Each style's first image against the references of its own style and of the next one."""
    folders = sorted((Path(os.environ["JSTYLEID_SPLIT_DATA"]) / "B").glob("*/images"))
    styles = [sorted(folder.iterdir()) for folder in folders][::2]
    assert len(styles) >= 10
    read = {file: cv2.imread(str(file)) for files in styles for file in files}
    vectors = {file: vector(decode(file)) for file in read}
    for files, following in zip(styles, [*styles[1:], styles[0]], strict=True):
        for references in (files, following):
            found = score(vectors[files[0]], [vectors[file] for file in references], OFFICIAL)
            expected = official_score(read[files[0]], [read[file] for file in references])
            assert found == pytest.approx(expected, rel=0, abs=LIMIT), files[0]


def test_the_limit_tells_the_scorings_and_the_channels_apart():
    image, *references = theirs.pictures([(96, 96)] * 4, seed=10)
    expected = official_score(bgr(image), [bgr(one) for one in references])
    vectors = [vector(one) for one in references]
    assert abs(score(vector(image), vectors, CORRECTED) - expected) > 1e-3
    # Red and blue exchanged, as of a file read in the other order of channels.
    exchanged = official_score(np.array(image), [np.array(one) for one in references])
    assert abs(exchanged - expected) > 1e-3


# What the counts should be, by hand.


def plain(colour: tuple[int, int, int], size: int = 8) -> np.ndarray:
    return np.full((size, size, 3), colour, np.uint8)


def only_bin(histogram: np.ndarray) -> int:
    (found,) = np.flatnonzero(histogram)
    return int(found)


@pytest.mark.parametrize(("colour", "official", "corrected"), [
    ((0, 0, 0), 0, 0),
    ((255, 0, 0), 15, 15),
    ((0, 255, 0), 240, 240),
    ((0, 0, 255), 0, 15 * 256),
    ((200, 100, 50), 12 + 6 * 16, 12 + 6 * 16 + 3 * 256),
    ((15, 16, 31), 16, 16 + 256),
    ((255, 255, 255), 255, 4095),
])
def test_the_joint_bin_of_a_colour_has_blue_in_the_corrected_scoring_only(
    colour, official, corrected
):
    assert only_bin(histograms(plain(colour), OFFICIAL)[0]) == official
    assert only_bin(histograms(plain(colour), CORRECTED)[0]) == corrected


def hsv_colour(hue: int, saturation: int, value: int) -> tuple[int, int, int]:
    """The RGB colour that OpenCV gives these three (hue in half degrees)."""
    pixel = np.array([[[hue, saturation, value]]], np.uint8)
    rgb = cv2.cvtColor(pixel, cv2.COLOR_HSV2RGB)
    assert cv2.cvtColor(rgb, cv2.COLOR_RGB2HSV).ravel().tolist() == [hue, saturation, value]
    return tuple(int(channel) for channel in rgb.ravel())


@pytest.mark.parametrize(("half_degrees", "official", "corrected"), [
    (0, 0, 0), (10, 0, 0),       # 0 and 20 degrees
    (11, 1, 1), (20, 1, 1),      # 22 and 40
    (21, 2, 2), (37, 2, 2),      # 42 and 74
    (38, 3, 3), (77, 3, 3),      # 76 and 154
    (78, 4, 4), (95, 4, 4),      # 156 and 190
    (96, 5, 5), (127, 5, 5),     # 192 and 254
    (128, 0, 5), (135, 0, 5),    # 256 and 270, in 8 bits 0 and 14
    (136, 0, 6), (138, 0, 6),    # 272 and 276, in 8 bits 16 and 20
    (139, 1, 6), (147, 1, 6),    # 278 and 294, in 8 bits 22 and 38
    (148, 1, 7), (150, 2, 7), (157, 2, 7),  # 296, 300 and 314, in 8 bits 40, 44 and 58
    (158, 2, 0), (165, 2, 0),    # 316 and 330, in 8 bits 60 and 74
    (179, 3, 0),                 # 358, in 8 bits 102
])
def test_the_class_of_a_hue_wraps_at_256_degrees_in_the_official_scoring_only(
    half_degrees, official, corrected
):
    # Saturated and bright: the last of nine classes of this hue.
    colour = plain(hsv_colour(half_degrees, 255, 255))
    assert only_bin(histograms(colour, OFFICIAL)[1]) == 9 * official + 8
    assert only_bin(histograms(colour, CORRECTED)[1]) == 9 * corrected + 8


@pytest.mark.parametrize("scoring", Scoring)
@pytest.mark.parametrize(("colour", "expected"), [
    # white and greys have hue 0 and saturation 0; of a red, saturation is 255 (1 - low / high)
    ((51, 51, 51), 0), ((52, 52, 52), 1), ((178, 178, 178), 1), ((179, 179, 179), 2),
    ((255, 255, 255), 2),
    ((255, 204, 204), 2), ((255, 203, 203), 3 + 2),   # saturation 51 and 52
    ((255, 77, 77), 3 + 2), ((255, 76, 76), 6 + 2),   # 178 and 179
    ((51, 0, 0), 6), ((178, 0, 0), 6 + 1),
])
def test_the_classes_of_saturation_and_value_end_at_51_and_178(scoring, colour, expected):
    assert only_bin(histograms(plain(colour), scoring)[1]) == expected


def every_colour() -> np.ndarray:
    """Colours of all kinds: a coarse cube of all, a fine one of the dark ones."""
    cubes = [np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(-1, 1, 3)
             for levels in (np.arange(0, 256, 5), np.arange(30, 52))]
    return np.concatenate(cubes).astype(np.uint8)


def test_the_official_bins_in_use_are_256_and_54_and_the_corrected_all():
    """In 8 bits no hue is above 254 degrees, so nothing reaches the class that calcHist drops."""
    rgb, hsv = histograms(every_colour(), OFFICIAL)
    assert set(np.flatnonzero(rgb)) == set(range(256))
    assert set(np.flatnonzero(hsv)) == set(range(54))
    rgb, hsv = histograms(every_colour(), CORRECTED)
    assert set(np.flatnonzero(rgb)) == set(range(RGB_BINS))
    assert set(np.flatnonzero(hsv)) == set(range(HSV_BINS))


def test_the_last_class_would_be_dropped_officially_and_is_counted_in_the_corrected_scoring():
    magenta = plain((255, 0, 255))  # 300 degrees: hue class 7, saturated, bright
    assert counts(np.full((8, 8), 71, np.uint8), 72, 71).sum() == 0
    assert histograms(magenta, CORRECTED)[1][71] == 64
    assert histograms(magenta, OFFICIAL)[1][71] == 0
    assert histograms(magenta, OFFICIAL)[1][9 * 2 + 8] == 64  # 300 - 256 = 44 degrees


def test_images_that_differ_in_blue_alone_are_alike_in_the_official_rgb_only():
    first = np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8)
    second = first.copy()
    second[..., 2] = 255 - second[..., 2] // 4
    assert correlation(histograms(first, OFFICIAL)[0], histograms(second, OFFICIAL)[0]) == 1
    assert correlation(histograms(first, CORRECTED)[0], histograms(second, CORRECTED)[0]) < 0.5


@pytest.mark.parametrize("scoring", Scoring)
def test_an_image_scores_1_against_itself(scoring):
    (image,) = theirs.pictures([(64, 48)], seed=11)
    assert score(vector(image), [vector(image)] * 3, scoring) == pytest.approx(1, abs=LIMIT)


@pytest.mark.parametrize("scoring", Scoring)
def test_images_of_one_colour_each_score_by_hand(scoring):
    """Two histograms with one bin each, not the same, of n bins: correlation -1 / (n - 1)."""
    red, green = (vector(Image.fromarray(plain(colour)))
                  for colour in ((255, 0, 0), (0, 255, 0)))
    assert score(red, [red], scoring) == pytest.approx(1, abs=LIMIT)
    expected = (-1 / (RGB_BINS - 1) - 1 / (HSV_BINS - 1)) / 2
    assert score(red, [green], scoring) == pytest.approx(expected, abs=LIMIT)
    # Of two references, one hits: (1/2 - 1/n) / sqrt((1 - 1/n) (1/2 - 1/n)).
    hits = [((1 / 2 - 1 / n) / (1 - 1 / n)) ** 0.5 for n in (RGB_BINS, HSV_BINS)]
    assert score(red, [red, green], scoring) == pytest.approx(sum(hits) / 2, abs=LIMIT)


def test_the_size_of_an_image_does_not_weigh_but_that_of_a_reference_does():
    """The mean is of counts: a larger reference counts for more, in both scorings."""
    small, large = theirs.pictures([(32, 32), (32, 32)], seed=12)
    enlarged = large.resize((128, 128), Image.Resampling.NEAREST)
    for scoring in Scoring:
        to_image = score(vector(large), [vector(small)], scoring)
        assert score(vector(enlarged), [vector(small)], scoring) == pytest.approx(to_image)
        even = score(vector(small), [vector(small), vector(large)], scoring)
        assert score(vector(small), [vector(small), vector(enlarged)], scoring) < even - 0.01


@pytest.mark.parametrize(("seed", "references"), shared.SCORES)
def test_scores_that_jstyleid_computes_too(seed: int, references: tuple[int, ...]) -> None:
    """The table is held by the tests of `jstyleid sweep`, which has an arithmetic of its own."""
    count = Histograms().prepare
    counted = [count(shared.picture(reference)).numpy() for reference in references]
    found = score(count(shared.picture(seed)).numpy(), counted, OFFICIAL)
    assert found == pytest.approx(shared.SCORES[seed, references], abs=1e-9)
    whole = score(count(shared.every_colour()).numpy(), [count(shared.skewed()).numpy()], OFFICIAL)
    assert whole == pytest.approx(shared.EVERY_COLOUR, abs=1e-9)
