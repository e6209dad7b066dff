"""How like a style, and how like its content, a picture is: colours, texture, structure."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

_LEVELS = 8
_PATCH = 5


def colour_likeness(one: Image.Image, other: Image.Image) -> float:
    """Correlation of the pictures' joint RGB histograms, 8 levels a channel; 1 for the same."""
    return float(np.corrcoef(_histogram(one), _histogram(other))[0, 1])


def texture_distance(one: Image.Image, other: Image.Image) -> float:
    """Relative distance of the Gram matrices of DCT filters on patches; 0 for the same.

    Pictures are taken in grey, with mean 0 and deviation 1, at two scales: colours do not count.
    """
    return float(np.mean([
        np.linalg.norm(a - b) / np.sqrt(np.linalg.norm(a) * np.linalg.norm(b))
        for a, b in zip(_grams(one), _grams(other), strict=True)
    ]))


def structure_likeness(one: Image.Image, other: Image.Image) -> float:
    """Correlation of where the pictures have edges; 1 for the same places."""
    return float(np.corrcoef(_edges(one).ravel(), _edges(other).ravel())[0, 1])


def _histogram(picture: Image.Image) -> NDArray[np.float64]:
    levels = np.asarray(picture).reshape(-1, 3).astype(np.int64) * _LEVELS // 256
    index = (levels * (_LEVELS**2, _LEVELS, 1)).sum(1)
    return np.bincount(index, minlength=_LEVELS**3).astype(np.float64)


def _grey(picture: Image.Image) -> NDArray[np.float64]:
    grey = np.asarray(picture.convert("L")).astype(np.float64)
    return (grey - grey.mean()) / (grey.std() + 1.0)


def _grams(picture: Image.Image) -> list[NDArray[np.float64]]:
    """The Gram matrix of the filters' responses at full and at half size."""
    grams = []
    for pixels in (picture, picture.reduce(2)):
        windows = np.lib.stride_tricks.sliding_window_view(_grey(pixels), (_PATCH, _PATCH))
        responses = windows.reshape(-1, _PATCH**2) @ _filters().T
        grams.append(responses.T @ responses / len(responses))
    return grams


def _filters() -> NDArray[np.float64]:
    """The discrete cosine transform's filters without the constant one, (24, 25)."""
    at = np.arange(_PATCH) + 0.5
    waves = [np.cos(np.pi * at * n / _PATCH) for n in range(_PATCH)]
    filters = [np.outer(a, b).ravel() for a, b in itertools.product(waves, waves)][1:]
    return np.stack([f / np.linalg.norm(f) for f in filters])


def _edges(picture: Image.Image) -> NDArray[np.float64]:
    """The gradient's length in the blurred grey picture."""
    y, x = np.gradient(_grey(picture.filter(ImageFilter.GaussianBlur(2))))
    return np.hypot(x, y)
