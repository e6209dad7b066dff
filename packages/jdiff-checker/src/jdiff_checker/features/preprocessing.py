"""What the networks' own image processors do, with Pillow and NumPy.

These are the published processors' steps: `BitImageProcessor` for DINOv2, `CLIPImageProcessor` for
CLIP (transformers, the Pillow variants), `torchvision.transforms.Resize` for LPIPS.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch
    from PIL import Image

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


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
