"""DINOv2 ViT-B/14 (Oquab et al., arXiv 2304.07193) from a folder in transformers' layout."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from jdiff_checker.backbones.loading import loading
from jdiff_checker.environment import import_torchvision
from jdiff_checker.features.preprocessing import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    centre_crop,
    normalised,
    resize_shortest_edge,
)

if TYPE_CHECKING:
    import torch
    from PIL import Image


class Dinov2:
    """Image -> final-layernormed CLS token, float32 (768 values for ViT-B)."""

    def __init__(self, folder: Path, device: torch.device) -> None:
        import_torchvision()  # transformers imports it where it is installed
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
