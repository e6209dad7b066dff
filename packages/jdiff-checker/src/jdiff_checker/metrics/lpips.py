"""LPIPS: learned perceptual distance (Zhang et al., arXiv 1801.03924, Eq. 1), SqueezeNet 1.1.

0 to about 1, lower is better.
"""

from __future__ import annotations

import importlib.util
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from jdiff_checker.environment import import_torchvision
from jdiff_checker.errors import BrokenEnvironmentError, WeightsError
from jdiff_checker.metrics.base import loading, pixels, read_tensors
from jdiff_checker.result import WeightsRecord
from jdiff_checker.weights.folder import sha256_of

if TYPE_CHECKING:
    import torch
    from PIL import Image

_EDGE = 256
_HEADS_SHA256 = "4a5350f23600cb79923ce65bb07cbf57dca461329894153e05a1346bd531cf76"


def distances(images: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
    """LPIPS of every image (N, D) to one reference (D,) -> (N,), from `SqueezeNetLpips` vectors.

    Plain differences: multiplying out the square would lose the digits of near images. The score is
    the mean over all pairs of a style, then over styles.
    """
    return (images - reference).square_().sum(dim=1)


class SqueezeNetLpips:
    """Image -> a vector; the LPIPS of two images is the squared Euclidean distance of theirs.

    LPIPS sums, over seven layers, the spatial mean of the weighted squared difference of the
    features normalised per position. Weight and mean are constants of the layer, so their square
    root is multiplied into the features once, and a pair costs one subtraction.
    """

    def __init__(self, file: Path, device: torch.device) -> None:
        torchvision = import_torchvision()
        import lpips

        with warnings.catch_warnings():
            # lpips asks torchvision by a parameter name that is to go.
            warnings.filterwarnings("ignore", message=".*'pretrained'.*")
            warnings.filterwarnings("ignore", message=".*weight enum.*")
            model = lpips.LPIPS(net="squeeze", pnet_rand=True, verbose=False)
            trunk = torchvision.models.squeezenet1_1(weights=None)
        with loading(file, "SqueezeNet 1.1"):
            trunk.load_state_dict(read_tensors(file))
        for part in range(model.net.N_slices):
            for name, module in getattr(model.net, f"slice{part + 1}").named_children():
                module.load_state_dict(trunk.features[int(name)].state_dict())
        self._model = model.eval().to(device)
        self._weights = [head.model[-1].weight for head in model.lins]
        if any((weight < 0).any() for weight in self._weights):
            raise WeightsError("the lpips package's heads have negative weights; reinstall lpips.")

    @staticmethod
    def heads() -> WeightsRecord:
        """Record of the learned weights, which are part of the lpips package."""
        # Without importing lpips, which takes seconds.
        package = importlib.util.find_spec("lpips")
        if package is None or package.origin is None:
            raise BrokenEnvironmentError("lpips is not installed: pip install lpips")
        file = Path(package.origin).parent / "weights" / "v0.1" / "squeeze.pth"
        sha256 = sha256_of(file)
        return WeightsRecord(file="lpips package: weights/v0.1/squeeze.pth", sha256=sha256,
                             published=sha256 == _HEADS_SHA256)

    def prepare(self, image: Image.Image) -> torch.Tensor:
        """Bilinear to 256 x 256, scaled to -1 to 1 -> (3, 256, 256)."""
        from PIL import Image

        image = image.resize((_EDGE, _EDGE), Image.Resampling.BILINEAR)
        return pixels(image).float().div(255) * 2 - 1

    def __call__(self, batch: torch.Tensor) -> torch.Tensor:
        """(N, 3, 256, 256) -> (N, about 2.2 million)."""
        import torch

        parts = []
        layers = self._model.net(self._model.scaling_layer(batch))
        for features, weight in zip(layers, self._weights, strict=True):
            # The epsilon of torchmetrics, which the official checker calls.
            norm = torch.sqrt(1e-8 + features.square().sum(dim=1, keepdim=True))
            scale = torch.sqrt(weight / features[0, 0].numel())
            parts.append((features / norm * scale).flatten(1))
        return torch.cat(parts, dim=1)
