"""The published weights files that define the metrics.

Scores are comparable only if they come from the same weights, so each file is pinned by its hash.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from jdiff_checker.scoring import Metric

HUB = "https://huggingface.co"


@dataclass(frozen=True)
class WeightsFile:
    """One published file."""

    name: str
    path: str
    """Path inside the weights folder."""
    url: str
    size: int
    """Size in bytes, for messages and the check of disk space; the hash identifies the file."""
    sha256: str
    metrics: tuple[Metric, ...]
    source: str
    """Publisher and license."""

    @property
    def metric_names(self) -> str:
        """The metrics that need the file, in the form that `--metrics` accepts."""
        return ",".join(metric.value for metric in self.metrics)


_DINO = f"{HUB}/facebook/dinov2-base/resolve/f9e44c814b77203eaa57a6bdbbd535f21ede1415"
_CLIP_VIT_L = (f"{HUB}/timm/vit_large_patch14_clip_224.openai/resolve/"
               "18d0535469bb561bf468d76c1d73aa35156c922b")
_CLIP_RN50 = f"{HUB}/timm/resnet50_clip.openai/resolve/ec3d92cf63a5f9d591f0d611b736895966c73076"

PUBLISHED = (
    WeightsFile(
        name="DINOv2 ViT-B/14",
        path="dinov2-base/model.safetensors",
        url=f"{_DINO}/model.safetensors",
        size=346_345_912,
        sha256="d73036b56966966d07975d696bde331762f37297e2f095de8cea0040c3aa0841",
        metrics=(Metric.DINO,),
        source="Meta, facebook/dinov2-base on the hub, Apache-2.0",
    ),
    WeightsFile(
        name="DINOv2 ViT-B/14, configuration",
        path="dinov2-base/config.json",
        url=f"{_DINO}/config.json",
        size=548,
        sha256="f7ff4cfa73d2f70647dbf6950541ad25d73082d54c2e7e9bded160c7656b2a70",
        metrics=(Metric.DINO,),
        source="Meta, facebook/dinov2-base on the hub, Apache-2.0",
    ),
    WeightsFile(
        name="CLIP ViT-L/14",
        path="clip-vit-l-14/open_clip_model.safetensors",
        url=f"{_CLIP_VIT_L}/open_clip_model.safetensors",
        size=1_710_517_724,
        sha256="9ce2e8a8ebfff3793d7d375ad6d3c35cb9aebf3de7ace0fc7308accab7cd207e",
        metrics=(Metric.CLIP_R,),
        source="OpenAI, timm/vit_large_patch14_clip_224.openai on the hub, MIT",
    ),
    WeightsFile(
        name="CLIP RN50",
        path="clip-rn50/open_clip_model.safetensors",
        url=f"{_CLIP_RN50}/open_clip_model.safetensors",
        size=408_291_932,
        sha256="da0baa37fb2211eee5729ab69ed587eb10d48f5b7076ceeed01552fc3d4cb4ee",
        metrics=(Metric.CLIP_IQA,),
        source="OpenAI, timm/resnet50_clip.openai on the hub, MIT",
    ),
    WeightsFile(
        # LPIPS's own heads come with the lpips package.
        name="SqueezeNet 1.1",
        path="lpips/squeezenet1_1-b8a52dc0.pth",
        url="https://download.pytorch.org/models/squeezenet1_1-b8a52dc0.pth",
        size=4_958_839,
        sha256="b8a52dc049b60e4b6ab68ad0df457362afab8b6304b2febdc1650a5dab4d7e7b",
        metrics=(Metric.LPIPS,),
        source="torchvision, BSD-3-Clause",
    ),
    WeightsFile(
        name="Inception v3 for FID",
        path="fid/pt_inception-2015-12-05-6726825d.pth",
        url=("https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/"
             "weights-inception-2015-12-05-6726825d.pth"),
        size=95_628_359,
        sha256="6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
        metrics=(Metric.FID,),
        source="Google, converted by torch-fidelity, Apache-2.0",
    ),
)


def needed(
    metrics: Iterable[Metric], published: Sequence[WeightsFile] = PUBLISHED
) -> tuple[WeightsFile, ...]:
    """The files of these metrics, in the order of `published`; Hist needs none."""
    wanted = set(metrics)
    return tuple(file for file in published if wanted.intersection(file.metrics))


def size_text(size: int) -> str:
    """A number of bytes in a readable form, such as `346 MB`."""
    for unit, name in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if size >= unit:
            value = size / unit
            return f"{value:.1f} {name}" if value < 10 else f"{value:.0f} {name}"
    return f"{size} bytes"
