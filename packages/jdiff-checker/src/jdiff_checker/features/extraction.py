"""Extraction of features: each image is decoded once and goes through each network once.

Styles are processed one after the other in small batches, and only vectors are kept, so memory does
not grow with the number of styles. Features in the cache are not computed again; if all are there,
no network is loaded.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from jdiff_checker.errors import UploadError
from jdiff_checker.features.cache import FeatureCache, Vector
from jdiff_checker.features.networks import Network
from jdiff_checker.inputs.images import Picture, decode
from jdiff_checker.metrics.clip_iqa import SMALLEST_EDGE
from jdiff_checker.metrics.lpips import distances
from jdiff_checker.scoring import Metric

if TYPE_CHECKING:
    import torch

_LOGIT_SCALE = "logit_scale"
_WITHOUT_REFERENCES = (Metric.CLIP_IQA, Metric.CLIP_R)
"""Metrics of an image alone."""


@dataclass
class StyleFeatures:
    """Features of one style's images and references, by the SHA-256 of the files.

    References have no vectors for CLIP-IQA and CLIP-R, which look at images alone.
    """

    vectors: dict[Metric, dict[str, Vector]] = field(default_factory=dict)
    lpips: dict[tuple[str, str], float] = field(default_factory=dict)
    """(image, reference) -> distance."""


class Extraction:
    """Computes features with `networks`, through `cache`.

    Args:
        batch: number of images that are decoded and sent through the networks together.
        workers: number of threads that decode and resize.
        on_images: called with the number of images that were finished since the last call.
    """

    def __init__(
        self,
        networks: Mapping[Metric, Network],
        cache: FeatureCache,
        device: torch.device,
        *,
        batch: int,
        workers: int,
        on_images: Callable[[int], None] = lambda count: None,
    ) -> None:
        self.networks = networks
        self.cache = cache
        self._device = device
        self._batch = batch
        self._workers = workers
        self.on_images = on_images

    def style(self, references: Sequence[Picture], images: Sequence[Picture]) -> StyleFeatures:
        """Features of one style: of every picture, and the LPIPS of every image to every reference.

        Raises:
            UploadError: a picture cannot be decoded.
            OutputError: the cache cannot be written.
        """
        return _StyleExtraction(self, references, images).features()

    def texts(self, metric: Metric, texts: Sequence[str]) -> dict[str, Vector]:
        """Unit embeddings of `texts` by the CLIP network of `metric`."""
        network = self.networks[metric]
        names = {"text " + hashlib.sha256(text.encode()).hexdigest(): text for text in texts}
        known = self.cache.get(network.key, names)
        missing = [name for name in names if name not in known]
        if missing:
            embedded = network.extractor.embed_texts([names[name] for name in missing])
            new = dict(zip(missing, embedded.numpy(), strict=True))
            self.cache.put(network.key, new)
            known.update(new)
        return {text: known[name] for name, text in names.items()}

    def logit_scale(self) -> float:
        """The factor that CLIP-R's network learned for its cosines."""
        network = self.networks[Metric.CLIP_R]
        known = self.cache.get(network.key, [_LOGIT_SCALE])
        if _LOGIT_SCALE not in known:
            known = {_LOGIT_SCALE: np.array([network.extractor.logit_scale], np.float32)}
            self.cache.put(network.key, known)
        return float(known[_LOGIT_SCALE][0])

    def prepared(
        self, todo: list[tuple[Picture, list[Metric]]]
    ) -> Iterator[list[tuple[Picture, dict[Metric, torch.Tensor]]]]:
        """Batches of decoded and resized pictures; the next is made while one is worked on."""
        extractors = {metric: self.networks[metric].extractor
                      for _, metrics in todo for metric in metrics}

        def prepare(
            entry: tuple[Picture, list[Metric]],
        ) -> tuple[Picture, dict[Metric, torch.Tensor]]:
            picture, metrics = entry
            image = decode(picture.path)
            if Metric.CLIP_IQA in metrics and min(image.size) < SMALLEST_EDGE:
                raise UploadError(
                    f"{picture.path}: {image.width} x {image.height} pixels are too few for "
                    f"CLIP-IQA, which needs {SMALLEST_EDGE} a side. Draw it larger or take it out."
                )
            return picture, {metric: extractors[metric].prepare(image) for metric in metrics}

        batches = [todo[i:i + self._batch] for i in range(0, len(todo), self._batch)]
        with ThreadPoolExecutor(self._workers) as pool:
            pending = [pool.submit(prepare, entry) for entry in batches[0]] if batches else []
            for following in [*batches[1:], []]:
                ready = [future.result() for future in pending]
                pending = [pool.submit(prepare, entry) for entry in following]
                yield ready

    def run(self, metric: Metric, inputs: list[torch.Tensor]) -> list[torch.Tensor]:
        """The network's vectors for `inputs`, which may differ in shape, in their order."""
        import torch

        extractor = self.networks[metric].extractor
        vectors: dict[int, torch.Tensor] = {}
        shapes = {tuple(tensor.shape) for tensor in inputs}
        with torch.inference_mode():
            for shape in sorted(shapes):
                places = [i for i, tensor in enumerate(inputs) if tuple(tensor.shape) == shape]
                while places:
                    part = places[:self._batch]
                    try:
                        batch = torch.stack([inputs[place] for place in part]).to(self._device)
                        vectors.update(zip(part, extractor(batch).float(), strict=True))
                    except torch.cuda.OutOfMemoryError:
                        if len(part) == 1:
                            raise
                        self._batch = len(part) // 2  # another process took memory meanwhile
                        torch.cuda.empty_cache()
                        continue
                    places = places[len(part):]
        return [vectors[place] for place in range(len(inputs))]


class _StyleExtraction:
    """The extraction of one style: its pictures, and the features known so far.

    What is left to compute is always what `_features` lacks, so nothing is computed twice.
    """

    def __init__(
        self, extraction: Extraction, references: Sequence[Picture], images: Sequence[Picture]
    ) -> None:
        self._extraction = extraction
        self._references = references
        self._images = images
        self._own = {image.sha256 for image in images}
        self._pairs = {
            (image.sha256, reference.sha256) for image in images for reference in references
        } if Metric.LPIPS in extraction.networks else set()
        # LPIPS embeddings of references are kept (9 MB each), those of images go with their batch.
        self._embeddings: dict[str, torch.Tensor] = {}
        self._features = StyleFeatures()

    def features(self) -> StyleFeatures:
        """Look up the features in the cache, compute the others, and add those to the cache."""
        self._look_up()
        compared = {reference for _, reference in self._unmeasured()}
        for part, embedded in self._pass(self._references, compared):
            self._embeddings.update(
                zip((picture.sha256 for picture in part), embedded, strict=True))
        for image in self._images:
            if image.sha256 in self._embeddings:  # scored against itself
                self._measure([image], self._embeddings[image.sha256][None])
        unmeasured = {image for image, _ in self._unmeasured()}
        for part, embedded in self._pass(self._images, unmeasured):
            self._measure(part, embedded)
        return self._features

    def _look_up(self) -> None:
        """Take over the vectors and the distances that the cache knows."""
        networks, cache = self._extraction.networks, self._extraction.cache
        everything = self._own | {reference.sha256 for reference in self._references}
        for metric, network in networks.items():
            if metric is not Metric.LPIPS:
                needed = self._own if metric in _WITHOUT_REFERENCES else everything
                self._features.vectors[metric] = cache.get(network.key, needed)
        if self._pairs:
            known = cache.get(networks[Metric.LPIPS].key, map("|".join, self._pairs))
            self._features.lpips = {pair: float(known["|".join(pair)][0])
                                    for pair in self._pairs if "|".join(pair) in known}

    def _unmeasured(self) -> set[tuple[str, str]]:
        """The pairs of image and reference without a distance."""
        return self._pairs - self._features.lpips.keys()

    def _lacking(self, sha256: str) -> list[Metric]:
        """The metrics that need a vector of a picture and have none."""
        return [metric for metric, known in self._features.vectors.items()
                if sha256 not in known
                and (sha256 in self._own or metric not in _WITHOUT_REFERENCES)]

    def _pass(
        self, pictures: Sequence[Picture], compared: Collection[str]
    ) -> Iterator[tuple[list[Picture], torch.Tensor]]:
        """Compute the vectors that `pictures` lack; yields LPIPS embeddings of those `compared`."""
        import torch

        extraction, vectors = self._extraction, self._features.vectors
        todo: dict[str, tuple[Picture, list[Metric]]] = {}
        for picture in pictures:
            wanted = self._lacking(picture.sha256)
            if picture.sha256 in compared:
                wanted.append(Metric.LPIPS)
            if wanted:
                todo.setdefault(picture.sha256, (picture, wanted))
        extraction.on_images(len(pictures) - len(todo))
        for batch in extraction.prepared(list(todo.values())):
            for metric, known in vectors.items():
                fresh = {p.sha256: inputs[metric] for p, inputs in batch if metric in inputs}
                if fresh:
                    computed = torch.stack(extraction.run(metric, list(fresh.values())))
                    new = dict(zip(fresh, computed.cpu().numpy(), strict=True))
                    extraction.cache.put(extraction.networks[metric].key, new)
                    known.update(new)
            part = [(p, inputs[Metric.LPIPS]) for p, inputs in batch if Metric.LPIPS in inputs]
            if part:
                embedded = extraction.run(Metric.LPIPS, [prepared for _, prepared in part])
                yield [picture for picture, _ in part], torch.stack(embedded)
            extraction.on_images(len(batch))

    def _measure(self, images: Sequence[Picture], embedded: torch.Tensor) -> None:
        """Compute the distances that `images` lack to the references whose embeddings are kept."""
        new: dict[tuple[str, str], float] = {}
        for reference, embedding in self._embeddings.items():
            measured = distances(embedded, embedding).cpu().tolist()
            for image, distance in zip(images, measured, strict=True):
                if (image.sha256, reference) not in self._features.lpips:
                    new[image.sha256, reference] = distance
        self._extraction.cache.put(
            self._extraction.networks[Metric.LPIPS].key,
            {"|".join(pair): np.array([distance], np.float32) for pair, distance in new.items()},
        )
        self._features.lpips.update(new)
