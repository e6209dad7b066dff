"""Common to the metrics: the extractor protocol, image preprocessing, loading of weights.

Preprocessing follows the published processors with Pillow and NumPy: `BitImageProcessor` for
DINOv2, `CLIPImageProcessor` for CLIP (transformers, the Pillow variants),
`torchvision.transforms.Resize` for LPIPS.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from jdiff_checker.errors import CheckerError, WeightsError

if TYPE_CHECKING:
    import torch
    from PIL import Image

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


@contextmanager
def loading(file: Path, name: str) -> Iterator[None]:
    """Turn any exception in the block into an error about `file`, the weights of `name`.

    The libraries that read weights raise many types of exceptions over a wrong or damaged file.

    Raises:
        WeightsError: names the file and the command that downloads it again.
    """
    try:
        yield
    except (CheckerError, MemoryError):
        raise
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        raise WeightsError(
            f"{file}: not the weights of {name}, or damaged ({reason}). Fetch it again: "
            "jdiff-check weights fetch --replace"
        ) from error


def read_tensors(file: Path) -> dict[str, torch.Tensor]:
    """The named tensors of a state dict saved with `torch.save`; call this within `loading`.

    `weights_only` admits tensors and plain containers; any other pickled object is refused, so
    nothing in the file is run.
    """
    import torch

    content = torch.load(file, map_location="cpu", weights_only=True)
    return {name: value for name, value in content.items() if isinstance(value, torch.Tensor)}


class Extractor(Protocol):
    """Turns images into vectors, in two steps so that the first can run on decoding threads."""

    def prepare(self, image: Image.Image) -> torch.Tensor:
        """RGB image -> the network's input, without the batch dimension, on the CPU."""
        ...

    def __call__(self, batch: torch.Tensor) -> torch.Tensor:
        """Inputs of one shape, stacked, on the network's device -> float32 vectors (N, D)."""
        ...


def resize_shortest_edge(image: Image.Image, edge: int) -> Image.Image:
    """Scale so that the shorter side is `edge` pixels; bicubic."""
    from PIL import Image

    short, long = sorted(image.size)
    scaled = int(edge * long / short)
    size = (edge, scaled) if image.width <= image.height else (scaled, edge)
    return image.resize(size, Image.Resampling.BICUBIC)


def centre_crop(image: Image.Image, edge: int) -> Image.Image:
    """The central square of `edge` pixels; of two central ones, the upper left."""
    left, top = (image.width - edge) // 2, (image.height - edge) // 2
    return image.crop((left, top, left + edge, top + edge))


def pixels(image: Image.Image) -> torch.Tensor:
    """RGB image -> uint8 tensor of shape (3, H, W)."""
    import torch

    return torch.from_numpy(np.array(image, dtype=np.uint8)).permute(2, 0, 1).contiguous()


def normalised(
    image: Image.Image, mean: tuple[float, ...], std: tuple[float, ...]
) -> torch.Tensor:
    """RGB image -> float32 tensor (3, H, W): scaled to 0-1, then `(x - mean) / std` per channel."""
    import torch

    # In transformers' order and precisions, so that not even the last bit differs.
    scaled = (np.asarray(image).astype(np.float64) * (1 / 255)).astype(np.float32)
    array = (scaled - np.array(mean, np.float32)) / np.array(std, np.float32)
    return torch.from_numpy(array).permute(2, 0, 1).contiguous()
