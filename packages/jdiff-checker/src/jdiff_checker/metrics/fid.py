"""FID: Fréchet distance between two sets of features (Heusel et al., arXiv 1706.08500, Eq. 6).

0 and up, lower is better. With the 64 features of Inception's first pooling, as the challenge has
it, values are about 1 to 5.

The network is TensorFlow's `inception-2015-12-05`, ported to torch by pytorch-fid; `feature=64` of
torchmetrics is the average of the maps after its first pooling, three convolutions in. Only these
layers are built.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from jdiff_checker.metrics.base import loading, pixels, read_tensors

if TYPE_CHECKING:
    import torch
    from PIL import Image

_EDGE = 299


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


class InceptionStem:
    """Image -> 64 features, float32."""

    def __init__(self, file: Path, device: torch.device) -> None:
        import torch
        from torch import nn

        def layer(inputs: int, outputs: int, stride: int = 1, padding: int = 0) -> nn.Module:
            return nn.Sequential(
                nn.Conv2d(inputs, outputs, 3, stride=stride, padding=padding, bias=False),
                nn.BatchNorm2d(outputs, eps=1e-3),
                nn.ReLU(inplace=True),
            )

        layers = {
            "Conv2d_1a_3x3": layer(3, 32, stride=2),
            "Conv2d_2a_3x3": layer(32, 32),
            "Conv2d_2b_3x3": layer(32, 64, padding=1),
        }
        with loading(file, "the FID Inception network"):
            tensors = read_tensors(file)
            for name, module in layers.items():
                state = {
                    key.removeprefix(f"{name}.").replace("conv.", "0.").replace("bn.", "1."): value
                    for key, value in tensors.items()
                    if key.startswith(f"{name}.")
                }
                # Older files lack num_batches_tracked, which only training counts with.
                module.load_state_dict({"1.num_batches_tracked": torch.tensor(0), **state})
        self._stem = nn.Sequential(*layers.values(), nn.MaxPool2d(3, stride=2)).eval().to(device)

    def prepare(self, image: Image.Image) -> torch.Tensor:
        """uint8 pixels (3, H, W); the network resizes."""
        return pixels(image)

    def __call__(self, batch: torch.Tensor) -> torch.Tensor:
        """(N, 3, H, W) uint8 -> (N, 64); resized to 299 x 299, antialiased, as torchmetrics."""
        import torch

        x = torch.nn.functional.interpolate(
            batch.float(), size=(_EDGE, _EDGE), mode="bilinear", align_corners=False, antialias=True
        )
        return self._stem((x - 128) / 128).mean(dim=(2, 3))
