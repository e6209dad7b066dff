"""CLIP-IQA: how good an image looks to CLIP (Wang et al., arXiv 2207.12396).

0 to 1, higher is better.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

ANCHORS = ("Good photo.", "Bad photo.")


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
