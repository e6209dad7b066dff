"""FID: Fréchet distance between two sets of features (Heusel et al., arXiv 1706.08500, Eq. 6).

0 and up, lower is better. With the 64 features of Inception's first pooling, as the challenge has
it, values are about 1 to 5.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def frechet_distance(
    real: npt.NDArray[np.float32], generated: npt.NDArray[np.float32]
) -> float | None:
    """`|m1 - m2|^2 + Tr(S1 + S2 - 2 (S1 S2)^1/2)` of two sets of features, (N, D) and (M, D).

    None when a set has fewer than two members, which has no covariance.

    The sets have fewer members than features as a rule, and the covariances no full rank. With the
    centred features A and B, S1 = A'A/(n-1) and S2 = B'B/(m-1), the last trace is the sum of the
    singular values of A B' over the roots of both, which needs no root of a singular matrix.
    """
    if len(real) < 2 or len(generated) < 2:
        return None
    (mean_real, centred_real), (mean_generated, centred_generated) = map(
        _centred, (real, generated)
    )
    between = float(np.square(mean_real - mean_generated).sum())
    within = float(np.square(centred_real).sum() + np.square(centred_generated).sum())
    shared = float(np.linalg.svd(centred_real @ centred_generated.T, compute_uv=False).sum())
    return between + within - 2 * shared


def _centred(
    features: npt.NDArray[np.float32],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    wide = features.astype(np.float64)
    mean = wide.mean(axis=0)
    return mean, (wide - mean) / np.sqrt(len(wide) - 1)
