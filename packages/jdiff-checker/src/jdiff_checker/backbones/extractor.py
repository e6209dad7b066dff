"""What every source of features offers to the extraction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import torch
    from PIL import Image


class Extractor(Protocol):
    """Turns images into vectors, in two steps so that the first can run on decoding threads."""

    def prepare(self, image: Image.Image) -> torch.Tensor:
        """RGB image -> the network's input, without the batch dimension, on the CPU."""
        ...

    def __call__(self, batch: torch.Tensor) -> torch.Tensor:
        """Inputs of one shape, stacked, on the network's device -> float32 vectors (N, D)."""
        ...
