"""LPIPS: learned perceptual distance (Zhang et al., arXiv 1801.03924, Eq. 1), SqueezeNet.

0 to about 1, lower is better.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def distances(images: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
    """LPIPS of every image (N, D) to one reference (D,) -> (N,), from `SqueezeNetLpips` vectors.

    Plain differences: multiplying out the square would lose the digits of near images. The score is
    the mean over all pairs of a style, then over styles.
    """
    return (images - reference).square_().sum(dim=1)
