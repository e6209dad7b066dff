"""The networks that the chosen metrics need, loaded only when something has to be computed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jdiff_checker.features.histograms import Histograms
from jdiff_checker.result import WeightsRecord
from jdiff_checker.scoring import Metric

if TYPE_CHECKING:
    import torch

_RECIPE = 1
"""Goes up when a preprocessing or a network's code changes what comes out."""


@dataclass
class Network:
    """One network: its cache key, known without loading it, and the loaded thing on first use."""

    metric: Metric
    key: str
    load: Callable[[str], Any] = field(repr=False)

    @cached_property
    def extractor(self) -> Any:
        """An `Extractor`; of the CLIP networks also `embed_texts`."""
        return self.load(self.key)


def networks(
    metrics: Iterable[Metric],
    folder: Path,
    weights: list[WeightsRecord],
    device: torch.device,
    on_load: Callable[[str], None] = lambda network: None,
) -> dict[Metric, Network]:
    """A network for each metric, over the files of `folder`; `weights` are their hashes.

    `on_load` is told the metric's name when its network is loaded, which takes seconds.
    """
    hashes = {record.file: record.sha256 for record in weights}

    def network(metric: Metric) -> Network:
        home, libraries, load = _HOMES[metric]
        used = [digest[:16] for file, digest in hashes.items() if home and file.startswith(home)]
        versions = [f"{library} {version(library)}" for library in libraries]
        key = " ".join([metric.value, f"recipe {_RECIPE}", *used, *versions, device.type])

        def load_now(key: str) -> Any:
            on_load(f"the network of {metric.label}")
            return load(folder, key, device)

        return Network(metric, key, load_now)

    return {metric: network(metric) for metric in metrics}


def _histograms(folder: Path, key: str, device: torch.device) -> Histograms:
    return Histograms(key)


def _dinov2(folder: Path, key: str, device: torch.device) -> Any:
    from jdiff_checker.backbones.dinov2 import Dinov2

    return Dinov2(folder / "dinov2-base", key, device)


def _inception(folder: Path, key: str, device: torch.device) -> Any:
    from jdiff_checker.backbones.inception import InceptionStem

    return InceptionStem(folder / "fid/pt_inception-2015-12-05-6726825d.pth", key, device)


def _squeezenet(folder: Path, key: str, device: torch.device) -> Any:
    from jdiff_checker.backbones.squeezenet import SqueezeNetLpips

    return SqueezeNetLpips(folder / "lpips/squeezenet1_1-b8a52dc0.pth", key, device)


def _clip_rn50(folder: Path, key: str, device: torch.device) -> Any:
    from jdiff_checker.backbones.clip_rn50 import ClipRN50

    return ClipRN50(folder / "clip-rn50/open_clip_model.safetensors", key, device)


def _clip_vit(folder: Path, key: str, device: torch.device) -> Any:
    from jdiff_checker.backbones.clip_vit import ClipViT

    return ClipViT(folder / "clip-vit-l-14/open_clip_model.safetensors", key, device)


_Load = Callable[[Path, str, Any], Any]
_HOMES: dict[Metric, tuple[str, tuple[str, ...], _Load]] = {
    Metric.HIST: ("", ("opencv-python-headless",), _histograms),
    Metric.DINO: ("dinov2-base/", ("torch", "transformers", "pillow"), _dinov2),
    Metric.FID: ("fid/", ("torch",), _inception),
    Metric.LPIPS: ("lpips/", ("torch", "lpips", "pillow"), _squeezenet),
    Metric.CLIP_IQA: ("clip-rn50/", ("torch", "open_clip_torch"), _clip_rn50),
    Metric.CLIP_R: ("clip-vit-l-14/", ("torch", "open_clip_torch", "pillow"), _clip_vit),
}
"""Where a metric's weights lie, what else its numbers depend on, and how it is loaded."""
