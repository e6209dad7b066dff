"""The loss over the steps, as a picture."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from jstyleid_core.files import atomic_path

_WINDOW = 25


def write_curve(path: Path, history: NDArray[np.float64], title: str) -> None:
    """Draw losses and their running mean into a PNG.

    Args:
        path: of the picture.
        history: (steps, 3) loss, gradient norm and learning rate of each step.
        title: above it.
    """
    # Matplotlib takes a second to import, and only this needs it.
    from matplotlib.figure import Figure

    with warnings.catch_warnings():
        # Jittor makes the processor round the smallest numbers to zero, which numpy remarks on.
        warnings.filterwarnings("ignore", "The value of the smallest subnormal")
        np.finfo(np.float64)
    losses = history[:, 0]
    steps = np.arange(1, len(losses) + 1)
    window = min(_WINDOW, len(losses))
    mean = np.convolve(losses, np.full(window, 1 / window), mode="valid")
    figure = Figure(figsize=(8, 4.5), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    axes.plot(steps, losses, color="0.75", linewidth=0.8, label="loss of each step")
    axes.plot(steps[window - 1 :], mean, color="tab:blue", label=f"mean of {window} steps")
    axes.set(xlabel="step", ylabel="loss", title=title, xlim=(0, len(losses) + 1))
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.legend()
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png")
