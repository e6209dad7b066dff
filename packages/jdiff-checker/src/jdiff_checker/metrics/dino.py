"""DINO: cosine similarity to the references in DINOv2 features. -1 to 1, higher is better.

The network is DINOv2 ViT-B/14 (Oquab et al., arXiv 2304.07193), from a folder in transformers'
layout.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from jdiff_checker.environment import import_torchvision
from jdiff_checker.metrics.base import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    centre_crop,
    loading,
    normalised,
    resize_shortest_edge,
)

if TYPE_CHECKING:
    import torch
    from PIL import Image

Matrix = npt.NDArray[np.float64]


def similarities(images: npt.NDArray[np.float32], references: npt.NDArray[np.float32]) -> Matrix:
    """Cosine similarity of every image (N, D) with every reference (M, D) -> (N, M).

    The score is its mean over references, over a style's images, over styles.
    """
    return _unit(images) @ _unit(references).T


def _unit(vectors: npt.NDArray[np.float32]) -> Matrix:
    wide = vectors.astype(np.float64)
    # The epsilon of torch.nn.functional.cosine_similarity, for a vector of zeros.
    return wide / np.maximum(np.linalg.norm(wide, axis=1, keepdims=True), 1e-8)


class Dinov2:
    """Image -> final-layernormed CLS token, float32 (768 values for ViT-B)."""

    def __init__(self, folder: Path, device: torch.device) -> None:
        import_torchvision()  # transformers imports torchvision if that is installed
        from transformers import Dinov2Config, Dinov2Model

        with loading(folder / "config.json", "DINOv2's configuration"):
            config = Dinov2Config.from_json_file(folder / "config.json")
        with loading(folder / "model.safetensors", "DINOv2 ViT-B/14"):
            model, found = Dinov2Model.from_pretrained(
                folder, config=config, local_files_only=True, use_safetensors=True,
                output_loading_info=True,
            )
            if found["missing_keys"]:
                raise KeyError(f"no tensor {sorted(found['missing_keys'])[0]}")
        self._model = model.float().eval().to(device)

    def prepare(self, image: Image.Image) -> torch.Tensor:
        """Shorter side to 256, central 224 x 224, ImageNet normalisation -> (3, 224, 224)."""
        image = centre_crop(resize_shortest_edge(image, 256), 224)
        return normalised(image, IMAGENET_MEAN, IMAGENET_STD)

    def __call__(self, batch: torch.Tensor) -> torch.Tensor:
        """(N, 3, 224, 224) -> (N, D)."""
        return self._model(pixel_values=batch).pooler_output
