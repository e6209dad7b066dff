"""CLIP-IQA: how good an image looks to CLIP (Wang et al., arXiv 2207.12396).

0 to 1, higher is better. The network is CLIP RN50 without its position embedding.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from jdiff_checker.metrics.base import CLIP_MEAN, CLIP_STD, pixels
from jdiff_checker.metrics.clip import load_clip, text_embeddings

if TYPE_CHECKING:
    import torch
    from PIL import Image

ANCHORS = ("Good photo.", "Bad photo.")

SMALLEST_EDGE = 32
"""The network halves an image five times."""


def quality(
    images: npt.NDArray[np.float32], anchors: npt.NDArray[np.float32]
) -> npt.NDArray[np.float64]:
    """Probability of the first anchor against the second, for unit embeddings (N, D) -> (N,).

    Args:
        images: embeddings by `ClipRN50` under one scoring.
        anchors: embeddings (2, D) of `ANCHORS`.
    """
    logits = 100 * images.astype(np.float64) @ anchors.astype(np.float64).T
    return np.asarray(1 / (1 + np.exp(logits[:, 1] - logits[:, 0])))


class ClipRN50:
    """Image of any size -> its unit-length embeddings under both scorings, (2, 1024) flattened.

    The official checker feeds pixels scaled to 0-255 to a network that expects 0-1 (quirk 4). The
    first half of a vector is for that input, the second for the proper one.
    """

    def __init__(self, file: Path, device: torch.device) -> None:
        import torch

        self._model = load_clip(file, "CLIP RN50", vision_transformer=False).to(device)
        self._device = device
        self._mean = torch.tensor(CLIP_MEAN, device=device).view(1, 3, 1, 1)
        self._std = torch.tensor(CLIP_STD, device=device).view(1, 3, 1, 1)

    def embed_texts(self, texts: list[str]) -> torch.Tensor:
        """Unit-length embeddings (len(texts), D) on the CPU."""
        return text_embeddings(self._model, texts, self._device)

    def prepare(self, image: Image.Image) -> torch.Tensor:
        """uint8 pixels (3, H, W) at the image's own size."""
        return pixels(image)

    def __call__(self, batch: torch.Tensor) -> torch.Tensor:
        """(N, 3, H, W) uint8 -> (N, 2 D): for 0-255 as the official checker, then for 0-1."""
        import torch

        images = batch.float()
        return torch.cat([self._embed(images), self._embed(images / 255)], dim=1)

    def _embed(self, images: torch.Tensor) -> torch.Tensor:
        import torch

        visual = self._model.visual
        x = visual.stem((images - self._mean) / self._std)
        for stage in (visual.layer1, visual.layer2, visual.layer3, visual.layer4):
            x = stage(x)
        x = _attention_pool(visual.attnpool, x)
        return torch.nn.functional.normalize(x, dim=-1)


def _attention_pool(pool: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
    """CLIP's pooling of (N, C, H, W) to (N, D), without adding the position embedding.

    The embedding fits one image size only; CLIP-IQA leaves it out so that any size goes. The mean
    is the only query whose answer is used.
    """
    import torch

    x = x.flatten(2).permute(2, 0, 1)
    mean = x.mean(dim=0, keepdim=True)
    x = torch.cat([mean, x])
    pooled, _ = torch.nn.functional.multi_head_attention_forward(
        query=mean, key=x, value=x,
        embed_dim_to_check=x.shape[-1],
        num_heads=pool.num_heads,
        q_proj_weight=pool.q_proj.weight,
        k_proj_weight=pool.k_proj.weight,
        v_proj_weight=pool.v_proj.weight,
        in_proj_weight=None,
        in_proj_bias=torch.cat([pool.q_proj.bias, pool.k_proj.bias, pool.v_proj.bias]),
        bias_k=None, bias_v=None, add_zero_attn=False, dropout_p=0.0,
        out_proj_weight=pool.c_proj.weight, out_proj_bias=pool.c_proj.bias,
        use_separate_proj_weight=True, training=False, need_weights=False,
    )
    return pooled[0]
