"""DINO: likeness to the references in DINOv2's eyes. Cosine, -1 to 1, higher is better."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

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
