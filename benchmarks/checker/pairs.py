"""DINO and LPIPS of one style: features computed once against the official pair by pair.

    python benchmarks/checker/pairs.py [--images 25] [--references 10]

Both sides read the same files, use the same full-size networks (DINOv2 ViT-B/14 with random
weights, SqueezeNet with random weights and the published heads) and the same number of threads, in
one process. The pair-by-pair side does what the official checker does: transformers' image
processor and two passes through DINOv2 for each pair, torchmetrics' LPIPS over all pairs. Its pairs
go through LPIPS 25 at a time, since all at once, as on the official checker's GPU, need some 9 GB.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from rich.console import Console
from rich.progress import track
from rich.table import Table

import checker_weights
from jdiff_checker.features.cache import FeatureCache
from jdiff_checker.features.extraction import Extraction
from jdiff_checker.features.networks import networks
from jdiff_checker.inputs.images import Picture, inspect
from jdiff_checker.metrics.dino import similarities
from jdiff_checker.scoring import Metric

Pairs = np.ndarray[Any, np.dtype[np.float64]]


def main() -> None:
    """Measure, and print times, ratios and the largest difference."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=25)
    parser.add_argument("--references", type=int, default=10)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        weights, files = Path(folder) / "weights", Path(folder) / "images"
        checker_weights.write(weights)
        checker_weights.dinov2(full_size=True).save_pretrained(weights / "dinov2-base")
        pictures = _draw(files, arguments.images + arguments.references)
        images, references = pictures[:arguments.images], pictures[arguments.images:]
        table = Table("", "pair by pair", "features once", "ratio", "largest difference")
        for metric, pair_by_pair in ((Metric.DINO, _dino_pairs), (Metric.LPIPS, _lpips_pairs)):
            begun = time.perf_counter()
            once = _features_once(metric, weights, images, references)
            middle = time.perf_counter()
            with torch.no_grad():
                official = pair_by_pair(weights, images, references)
            ours, theirs = middle - begun, time.perf_counter() - middle
            table.add_row(metric.label, f"{theirs:.1f} s", f"{ours:.1f} s", f"{theirs / ours:.1f}",
                          f"{np.abs(once - official).max():.1e}")
        Console().print(f"{len(images)} images x {len(references)} references, "
                        f"{torch.get_num_threads()} threads, models loaded within each time", table)


def _draw(folder: Path, count: int) -> list[Picture]:
    folder.mkdir()
    random = np.random.default_rng(0)
    for number in range(count):
        small = Image.fromarray(random.integers(0, 256, (16, 16, 3), dtype=np.uint8))
        small.resize((512, 512), Image.Resampling.BICUBIC).save(folder / f"{number:03d}.png")
    return [inspect(path) for path in sorted(folder.iterdir())]


def _features_once(
    metric: Metric, weights: Path, images: list[Picture], references: list[Picture]
) -> Pairs:
    device = torch.device("cpu")
    with FeatureCache(None) as cache:
        extraction = Extraction(networks([metric], weights, [], device), cache, device,
                                batch=8, workers=torch.get_num_threads())
        features = extraction.style(references, images)
    if metric is Metric.DINO:
        known = features.vectors[metric]
        return similarities(np.stack([known[image.sha256] for image in images]),
                            np.stack([known[reference.sha256] for reference in references]))
    return np.array([[features.lpips[image.sha256, reference.sha256] for reference in references]
                     for image in images])


def _dino_pairs(weights: Path, images: list[Picture], references: list[Picture]) -> Pairs:
    from transformers import BitImageProcessor, Dinov2Model

    processor = BitImageProcessor(
        size={"shortest_edge": 256}, crop_size={"height": 224, "width": 224}, resample=3,
        image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225],
    )
    model = Dinov2Model.from_pretrained(weights / "dinov2-base").eval()

    def embed(picture: Picture) -> torch.Tensor:
        with Image.open(picture.path) as image:
            return model(**processor(images=image, return_tensors="pt")).pooler_output

    return np.array([
        [torch.nn.functional.cosine_similarity(embed(reference), embed(image)).item()
         for reference in references]
        for image in track(images, "DINO, pair by pair", transient=True)
    ])


def _lpips_pairs(weights: Path, images: list[Picture], references: list[Picture]) -> Pairs:
    import os

    from torchvision.transforms import Compose, Lambda, Resize, ToTensor

    # torchmetrics looks for the trunk where torch keeps its downloads.
    checkpoints = weights / "torch" / "hub" / "checkpoints"
    checkpoints.mkdir(parents=True, exist_ok=True)
    name = "squeezenet1_1-b8a52dc0.pth"
    (checkpoints / name).symlink_to((weights / "lpips" / name).resolve())
    os.environ["TORCH_HOME"] = str(weights / "torch")
    from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity

    transform = Compose([Resize((256, 256)), ToTensor(), Lambda(lambda x: x * 2 - 1)])
    network = LearnedPerceptualImagePatchSimilarity(net_type="squeeze").net
    prepared = [[transform(Image.open(picture.path)) for picture in side]
                for side in (images, references)]
    pairs = [(image, reference) for image in prepared[0] for reference in prepared[1]]
    distances: list[float] = []
    for start in track(range(0, len(pairs), 25), "LPIPS, pair by pair", transient=True):
        first, second = map(torch.stack, zip(*pairs[start:start + 25], strict=True))
        distances.extend(network(first, second, normalize=False).flatten().tolist())
    return np.array(distances).reshape(len(images), len(references))


if __name__ == "__main__":
    main()
