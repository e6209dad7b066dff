"""Names the object in a picture: a measuring instrument, in NumPy, so that it runs everywhere.

`train_classifier.py` trains it, on drawings alone. It is no part of any package.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from PIL import Image
from safetensors.numpy import load_file

from jstyleid_core.synthetic.objects import KINDS

WEIGHTS = Path(__file__).resolve().parent / "classifier.safetensors"
CHANNELS = (3, 16, 32, 64, 96)
"""Of the four convolutions, each 3 x 3 with stride 2; a linear layer follows."""
SIZE = 128

Array = NDArray[np.float32]


def probabilities(
    pictures: Sequence[Image.Image], weights: Mapping[str, Array] | None = None
) -> Array:
    """Of each kind in the order of `KINDS`, (pictures, kinds), for RGB pictures of any size."""
    weights = load_file(WEIGHTS) if weights is None else weights
    weights = {name: tensor.astype(np.float32) for name, tensor in weights.items()}
    pixels = np.stack([np.asarray(picture.resize((SIZE, SIZE))) for picture in pictures])
    hidden = pixels.astype(np.float32).transpose(0, 3, 1, 2) / 127.5 - 1
    for layer in range(len(CHANNELS) - 1):
        hidden = _convolved(hidden, weights[f"{layer}.weight"], weights[f"{layer}.bias"])
    # The last map is read where it lies: a rabbit's ears are above its head.
    scores = hidden.reshape(len(hidden), -1) @ weights["out.weight"].T + weights["out.bias"]
    scores = np.exp(scores - scores.max(1, keepdims=True))
    return scores / scores.sum(1, keepdims=True)


def recognised(pictures: Sequence[Image.Image], kinds: Sequence[str]) -> float:
    """The share of the pictures in which the classifier sees what they should show."""
    wanted = [list(KINDS).index(kind) for kind in kinds]
    return float((probabilities(pictures).argmax(1) == wanted).mean())


def _convolved(hidden: Array, weight: Array, bias: Array) -> Array:
    padded = np.pad(hidden, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = sliding_window_view(padded, (1, 1, 3, 3))[:, :, ::2, ::2, 0, 0]
    mixed = np.tensordot(windows, weight, axes=((1, 4, 5), (1, 2, 3))).transpose(0, 3, 1, 2)
    return np.maximum(mixed + bias[:, None, None], 0)
