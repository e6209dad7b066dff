"""Hist: correlation of colour histograms. -1 to 1, higher is better."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from jdiff_checker.features.histograms import split
from jdiff_checker.scoring import Scoring

Vector = npt.NDArray[np.float32]


def score(image: Vector, references: Sequence[Vector], scoring: Scoring) -> float:
    """Mean of the RGB and the HSV correlation with the mean histogram of the references.

    Args:
        image: a vector of `features.histograms.Histograms`.
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
