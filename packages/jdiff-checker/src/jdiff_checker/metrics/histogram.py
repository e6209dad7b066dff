"""Hist: correlation of colour histograms. -1 to 1, higher is better.

The histograms are counted as the official checker does, and without its two mistakes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from jdiff_checker.scoring import Scoring

if TYPE_CHECKING:
    import torch
    from PIL import Image

Vector = npt.NDArray[np.float32]

RGB_BINS, HSV_BINS = 4096, 72
_HUE_EDGES = (20, 40, 75, 155, 190, 270, 295, 315)
"""In degrees; hues above the last edge are red, the first class."""
_LEVEL_EDGES = (51, 178)
"""0.2 and 0.7 of 255: the three classes of saturation and of value."""


def score(image: Vector, references: Sequence[Vector], scoring: Scoring) -> float:
    """Mean of the RGB and the HSV correlation with the mean histogram of the references.

    Args:
        image: a vector of `Histograms`.
        references: the same of the style's sample images, at least one.
        scoring: which of the vector's two pairs of histograms to compare.
    """
    correlations = [
        correlation(_mean([split(reference, scoring)[part] for reference in references]),
                    split(image, scoring)[part])
        for part in (0, 1)
    ]
    return sum(correlations) / 2


def correlation(first: Vector, second: Vector) -> float:
    """Pearson correlation over the bins (OpenCV's `HISTCMP_CORREL`); 1 when both are constant."""
    import cv2

    return float(cv2.compareHist(first, second, cv2.HISTCMP_CORREL))


def _mean(histograms: Sequence[Vector]) -> Vector:
    return np.sum(histograms, axis=0, dtype=np.float32) / np.float32(len(histograms))


class Histograms:
    """Image -> its four histograms, concatenated; see `split`."""

    def prepare(self, image: Image.Image) -> torch.Tensor:
        """Counts of pixels, float32: official RGB and HSV, then corrected RGB and HSV."""
        import torch

        parts = [part for scoring in Scoring for part in histograms(np.asarray(image), scoring)]
        return torch.from_numpy(np.concatenate(parts))

    def __call__(self, batch: torch.Tensor) -> torch.Tensor:
        """The counts as they are."""
        return batch


def split(
    vector: npt.NDArray[np.float32], scoring: Scoring
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """The RGB (4,096 bins) and HSV (72) histograms for `scoring` in a vector of `Histograms`."""
    start = list(Scoring).index(scoring) * (RGB_BINS + HSV_BINS)
    middle, end = start + RGB_BINS, start + RGB_BINS + HSV_BINS
    return vector[start:middle], vector[middle:end]


def histograms(
    rgb: npt.NDArray[np.uint8], scoring: Scoring
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """RGB and HSV histogram of an image of shape (H, W, 3), pixels 0-255."""
    import cv2

    wrapping = scoring is Scoring.OFFICIAL
    # The official checker stays in the image's own 8 bits, in which numbers wrap at 256.
    integer: type[np.uint8 | np.uint16] = np.uint8 if wrapping else np.uint16
    red, green, blue = np.moveaxis(rgb // 16, -1, 0).astype(integer)
    joint = np.left_shift(blue, 8) + np.left_shift(green, 4) + red
    hue, saturation, value = cv2.split(cv2.cvtColor(rgb, cv2.COLOR_RGB2HSV))
    degrees = np.left_shift(hue.astype(integer), 1)  # OpenCV keeps half degrees, 0-179
    hue_class = np.searchsorted(_HUE_EDGES, degrees, side="left") % len(_HUE_EDGES)
    saturation_class = np.searchsorted(_LEVEL_EDGES, saturation, side="left")
    value_class = np.searchsorted(_LEVEL_EDGES, value, side="left")
    classes = (9 * hue_class + 3 * saturation_class + value_class).astype(np.uint8)
    # 72 bins over 0 to 71 are a little narrower than 1: the last class falls out.
    last = HSV_BINS - 1 if wrapping else HSV_BINS
    return (
        cv2.calcHist([joint], [0], None, [RGB_BINS], [0, RGB_BINS]).ravel(),
        cv2.calcHist([classes], [0], None, [HSV_BINS], [0, last]).ravel(),
    )
