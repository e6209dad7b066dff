"""The networks of the metrics: their cache keys, and loading on first use."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jdiff_checker.metrics.base import Extractor
from jdiff_checker.metrics.clip_iqa import ClipRN50
from jdiff_checker.metrics.clip_r import ClipViT
from jdiff_checker.metrics.dino import Dinov2
from jdiff_checker.metrics.fid import InceptionStem
from jdiff_checker.metrics.histogram import Histograms
from jdiff_checker.metrics.lpips import SqueezeNetLpips
from jdiff_checker.result import WeightsRecord
from jdiff_checker.scoring import Metric
from jdiff_checker.weights.published import needed

if TYPE_CHECKING:
    import torch

_RECIPE = 1
"""Version of the preprocessing and network code; raised when their output changes."""


@dataclass
class Network:
    """A network that is loaded on first use; the cache key is known before.

    Equal keys mean equal vectors: a key names weights, preprocessing, libraries and device.
    """

    metric: Metric
    key: str
    load: Callable[[], Extractor] = field(repr=False)

    @cached_property
    def extractor(self) -> Any:
        """The loaded `Extractor`; those of the CLIP networks have `embed_texts`, too."""
        return self.load()


def networks(
    metrics: Iterable[Metric],
    folder: Path,
    weights: list[WeightsRecord],
    device: torch.device,
    on_load: Callable[[str], None] = lambda network: None,
) -> dict[Metric, Network]:
    """A network for each metric, over the files of `folder`; `weights` are their hashes.

    `on_load` is called with a name before a network is loaded, which takes seconds.
    """
    hashes = {record.file: record.sha256 for record in weights}

    def network(metric: Metric) -> Network:
        libraries, load = _KINDS[metric]
        files = [file.path for file in needed([metric])]
        used = [hashes[file][:16] for file in files if file in hashes]
        versions = [f"{library} {version(library)}" for library in libraries]
        key = " ".join([metric.value, f"recipe {_RECIPE}", *used, *versions, device.type])

        def load_now() -> Extractor:
            on_load(f"the network of {metric.label}")
            return load([folder / file for file in files], device)

        return Network(metric, key, load_now)

    return {metric: network(metric) for metric in metrics}


_Load = Callable[[list[Path], Any], Extractor]
_KINDS: dict[Metric, tuple[tuple[str, ...], _Load]] = {
    Metric.HIST: (("opencv-python-headless",), lambda files, device: Histograms()),
    Metric.DINO: (("torch", "transformers", "pillow"),
                  lambda files, device: Dinov2(files[0].parent, device)),
    Metric.FID: (("torch",), lambda files, device: InceptionStem(files[0], device)),
    Metric.LPIPS: (("torch", "lpips", "pillow"),
                   lambda files, device: SqueezeNetLpips(files[0], device)),
    Metric.CLIP_IQA: (("torch", "open_clip_torch"),
                      lambda files, device: ClipRN50(files[0], device)),
    Metric.CLIP_R: (("torch", "open_clip_torch", "pillow"),
                    lambda files, device: ClipViT(files[0], device)),
}
"""Libraries that affect the numbers of a metric, and the function that loads its network."""
