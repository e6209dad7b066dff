"""One pass over the images: each is decoded once and goes through each network once.

Styles are worked off one after the other in small batches, and only vectors are kept, so memory
does not grow with their number. What the cache knows is not computed again; with all of it known no
network is even loaded.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
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
_OF_IMAGES_ALONE = (Metric.CLIP_IQA, Metric.CLIP_R)
"""What these metrics say of an image, they say without a reference."""


@dataclass
class StyleFeatures:
    """What the metrics need of one style's images and references, by SHA-256 of their files.

    References have no vectors for CLIP-IQA and CLIP-R, which look at images alone.
    """

    vectors: dict[Metric, dict[str, Vector]] = field(default_factory=dict)
    lpips: dict[tuple[str, str], float] = field(default_factory=dict)
    """(image, reference) -> distance."""


class Extraction:
    """Computes features with `networks`, through `cache`.

    Args:
        batch: images that are decoded and sent through the networks together.
        workers: threads that decode and resize.
        on_images: told how many images were finished each time some are.
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
        self._networks = networks
        self._cache = cache
        self._device = device
        self._batch = batch
        self._workers = workers
        self._on_images = on_images

    def style(self, references: Sequence[Picture], images: Sequence[Picture]) -> StyleFeatures:
        """Features of one style: of every picture, and the LPIPS of every image to every reference.

        Raises:
            UploadError: a picture cannot be decoded.
            OutputError: the cache cannot be written.
        """
        own = {image.sha256 for image in images}
        everything = own | {reference.sha256 for reference in references}
        features = StyleFeatures()
        unknown: dict[str, list[Metric]] = {sha256: [] for sha256 in everything}
        for metric, network in self._networks.items():
            if metric is not Metric.LPIPS:
                needed = own if metric in _OF_IMAGES_ALONE else everything
                known = features.vectors[metric] = self._cache.get(network.key, needed)
                for sha256 in needed - known.keys():
                    unknown[sha256].append(metric)
        missing = self._known_distances(references, images, features)
        # Embeddings of references are held (9 MB each), those of images go as their batch goes.
        held: dict[str, torch.Tensor] = {}
        compared = {reference for _, reference in missing}
        for part, embedded in self._pass(references, unknown, compared, features):
            held.update(zip((picture.sha256 for picture in part), embedded, strict=True))
        for image in images:
            if image.sha256 in held:  # scored against itself
                self._measure([image], held[image.sha256][None], missing, held, features)
        unmeasured = {image for image, _ in missing}
        for part, embedded in self._pass(images, unknown, unmeasured, features):
            self._measure(part, embedded, missing, held, features)
        return features

    def texts(self, metric: Metric, texts: Sequence[str]) -> dict[str, Vector]:
        """Unit embeddings of `texts` by the CLIP network of `metric`."""
        network = self._networks[metric]
        names = {"text " + hashlib.sha256(text.encode()).hexdigest(): text for text in texts}
        known = self._cache.get(network.key, names)
        missing = [name for name in names if name not in known]
        if missing:
            embedded = network.extractor.embed_texts([names[name] for name in missing])
            new = dict(zip(missing, embedded.numpy(), strict=True))
            self._cache.put(network.key, new)
            known.update(new)
        return {text: known[name] for name, text in names.items()}

    def logit_scale(self) -> float:
        """The factor that CLIP-R's network learned for its cosines."""
        network = self._networks[Metric.CLIP_R]
        known = self._cache.get(network.key, [_LOGIT_SCALE])
        if _LOGIT_SCALE not in known:
            known = {_LOGIT_SCALE: np.array([network.extractor.logit_scale], np.float32)}
            self._cache.put(network.key, known)
        return float(known[_LOGIT_SCALE][0])

    def _known_distances(
        self, references: Sequence[Picture], images: Sequence[Picture], features: StyleFeatures
    ) -> set[tuple[str, str]]:
        """Fill in the distances that the cache knows; the pairs it does not."""
        if Metric.LPIPS not in self._networks:
            return set()
        pairs = {(image.sha256, reference.sha256) for image in images for reference in references}
        known = self._cache.get(self._networks[Metric.LPIPS].key, map("|".join, pairs))
        features.lpips = {pair: float(known["|".join(pair)][0])
                          for pair in pairs if "|".join(pair) in known}
        return pairs - features.lpips.keys()

    def _pass(
        self,
        pictures: Sequence[Picture],
        unknown: dict[str, list[Metric]],
        lpips: set[str],
        features: StyleFeatures,
    ) -> Iterator[tuple[list[Picture], torch.Tensor]]:
        """Compute what is `unknown` of `pictures`; yields those in `lpips` with their features."""
        import torch

        todo: dict[str, tuple[Picture, list[Metric]]] = {}
        for picture in pictures:
            if picture.sha256 in todo:
                continue
            wanted = unknown.pop(picture.sha256, [])
            if picture.sha256 in lpips:
                wanted.append(Metric.LPIPS)
            if wanted:
                todo[picture.sha256] = (picture, wanted)
        self._on_images(len(pictures) - len(todo))
        for batch in self._prepared(list(todo.values())):
            for metric in features.vectors:
                fresh = {p.sha256: inputs[metric] for p, inputs in batch if metric in inputs}
                if fresh:
                    vectors = torch.stack(self._run(metric, list(fresh.values()))).cpu().numpy()
                    new = dict(zip(fresh, vectors, strict=True))
                    self._cache.put(self._networks[metric].key, new)
                    features.vectors[metric].update(new)
            part = [(p, inputs[Metric.LPIPS]) for p, inputs in batch if Metric.LPIPS in inputs]
            if part:
                embedded = self._run(Metric.LPIPS, [prepared for _, prepared in part])
                yield [picture for picture, _ in part], torch.stack(embedded)
            self._on_images(len(batch))

    def _prepared(
        self, todo: list[tuple[Picture, list[Metric]]]
    ) -> Iterator[list[tuple[Picture, dict[Metric, torch.Tensor]]]]:
        """Batches of decoded and resized pictures; the next is made while one is worked on."""
        extractors = {metric: self._networks[metric].extractor
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

    def _run(self, metric: Metric, inputs: list[torch.Tensor]) -> list[torch.Tensor]:
        """The network's vectors for `inputs`, which may differ in shape, in their order."""
        import torch

        extractor = self._networks[metric].extractor
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

    def _measure(
        self,
        part: Sequence[Picture],
        embedded: torch.Tensor,
        missing: set[tuple[str, str]],
        held: Mapping[str, torch.Tensor],
        features: StyleFeatures,
    ) -> None:
        """LPIPS of `part` to the held references where `missing`; takes those pairs out of it."""
        new: dict[tuple[str, str], float] = {}
        for sha256, reference in held.items():
            measured = distances(embedded, reference).cpu().tolist()
            for picture, distance in zip(part, measured, strict=True):
                if (picture.sha256, sha256) in missing:
                    new[picture.sha256, sha256] = distance
        self._cache.put(
            self._networks[Metric.LPIPS].key,
            {"|".join(pair): np.array([distance], np.float32) for pair, distance in new.items()},
        )
        features.lpips.update(new)
        missing.difference_update(new)
