"""CLIP-R: share of images that show their prompt, 0 to 1, higher is better.

The network is CLIP ViT-L/14 (Radford et al., arXiv 2103.00020): images and prompts in one space.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from jdiff_checker.metrics.base import (
    CLIP_MEAN,
    CLIP_STD,
    centre_crop,
    normalised,
    resize_shortest_edge,
)
from jdiff_checker.metrics.clip import load_clip, text_embeddings
from jdiff_checker.result import ClipR
from jdiff_checker.scoring import Scoring

if TYPE_CHECKING:
    import torch
    from PIL import Image

TOP = 5


def labels(file: str, prompt: str | None) -> dict[Scoring, str]:
    """The prompt that an image should show, under each scoring.

    The official checker takes the prompt from the file name. An image without a prompt has no
    corrected label.
    """
    official = {Scoring.OFFICIAL: file.split(".")[0].lower()}
    return official if prompt is None else official | {Scoring.CORRECTED: prompt.lower()}


def recall(
    image: npt.NDArray[np.float32],
    label: str,
    prompts: Sequence[str],
    embeddings: Mapping[str, npt.NDArray[np.float32]],
    logit_scale: float,
) -> ClipR:
    """Whether `label` is among the five likeliest of `prompts` and itself.

    Args:
        image: unit embedding (D,) by `ClipViT`.
        label: the image's own prompt, in lower case.
        prompts: the list to choose from, in lower case.
        embeddings: unit embeddings of all of these.
        logit_scale: the model's learned factor on cosines.
    """
    choices = list(dict.fromkeys([*prompts, label]))
    texts = np.stack([embeddings[text] for text in choices]).astype(np.float64)
    logits = logit_scale * texts @ image.astype(np.float64)
    odds = np.exp(logits - logits.max())
    likeliest = np.argsort(-odds, kind="stable")[:TOP]
    top5 = [(choices[index], float(odds[index] / odds.sum())) for index in likeliest]
    return ClipR(label=label, correct=any(text == label for text, _ in top5), top5=top5)


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
