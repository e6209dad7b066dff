"""The first layers of the FID Inception network: all that its 64-dimensional features need.

The network is TensorFlow's `inception-2015-12-05`, ported to torch by pytorch-fid; `feature=64` of
torchmetrics is the average of the maps after its first pooling, three convolutions in.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from jdiff_checker.backbones.loading import loading, read_tensors
from jdiff_checker.features.preprocessing import pixels

if TYPE_CHECKING:
    import torch
    from PIL import Image

_EDGE = 299


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
