"""CLIP ViT-L/14 (Radford et al., arXiv 2103.00020): images and prompts in one space."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from jdiff_checker.backbones.clip_model import load_clip, text_embeddings
from jdiff_checker.features.preprocessing import (
    CLIP_MEAN,
    CLIP_STD,
    centre_crop,
    normalised,
    resize_shortest_edge,
)

if TYPE_CHECKING:
    import torch
    from PIL import Image


class ClipViT:
    """Image -> unit-length embedding, float32 (768 values for ViT-L/14)."""

    def __init__(self, file: Path, device: torch.device) -> None:
        self._model = load_clip(file, "CLIP ViT-L/14", vision_transformer=True).to(device)
        self._device = device
        self._edge: int = self._model.visual.image_size[0]
        self.logit_scale = float(self._model.logit_scale.detach().exp())

    def embed_texts(self, texts: list[str]) -> torch.Tensor:
        """Unit-length embeddings (len(texts), D) on the CPU."""
        return text_embeddings(self._model, texts, self._device)

    def prepare(self, image: Image.Image) -> torch.Tensor:
        """Shorter side to 224, central square, CLIP's normalisation -> (3, 224, 224)."""
        image = centre_crop(resize_shortest_edge(image, self._edge), self._edge)
        return normalised(image, CLIP_MEAN, CLIP_STD)

    def __call__(self, batch: torch.Tensor) -> torch.Tensor:
        """(N, 3, 224, 224) -> (N, D)."""
        return self._model.encode_image(batch, normalize=True)
