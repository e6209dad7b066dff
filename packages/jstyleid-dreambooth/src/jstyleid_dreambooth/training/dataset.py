"""Training pictures: scaled and cropped, and encoded as latents.

Each goes through the VAE once, not at every step.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from jstyleid_core.errors import InputError
from jstyleid_core.image_files import MAX_PIXELS, open_image
from jstyleid_core.images import Size
from jstyleid_dreambooth.training.settings import TrainingSettings

if TYPE_CHECKING:
    from jstyleid_core import StableDiffusion


@dataclass(frozen=True)
class Posterior:
    """The VAE's posterior of the crops of one picture, scaled.

    Attributes:
        mean, deviation: (crops, 4, h, w) float32.
    """

    mean: NDArray[np.float32]
    deviation: NDArray[np.float32]

    def sample(self, rng: np.random.Generator) -> NDArray[np.float32]:
        """Latents (4, h, w) of a cut-out, both drawn at random (Kingma and Welling 2014)."""
        crop = rng.integers(len(self.mean))
        noise = rng.standard_normal(self.mean.shape[1:], dtype=np.float32)
        return self.mean[crop] + self.deviation[crop] * noise


@dataclass(frozen=True)
class Samples:
    """Pictures with their prompts and their weight in the loss.

    Attributes:
        posteriors: one for each picture.
        prompts: one for each picture.
        weight: weight of these pictures' mean error: 1, or lambda for class images.
    """

    posteriors: tuple[Posterior, ...]
    prompts: tuple[str, ...]
    weight: float


def encode(model: StableDiffusion, cut_outs: Sequence[Image.Image]) -> Posterior:
    """The posterior of cut-outs of one picture; one at a time, as the VAE needs much memory."""
    pairs = [model.posterior([image]) for image in cut_outs]
    means, deviations = zip(*((mean.numpy(), spread.numpy()) for mean, spread in pairs),
                            strict=True)
    return Posterior(np.concatenate(means), np.concatenate(deviations))


def bucket_size(picture: Size, size: Size, multiple: int) -> Size:
    """The size at which a picture is trained with its own proportions, its aspect bucket.

    Proportions can only be kept about: a picture that is scaled in proportion to cover the bucket
    loses a strip. Of the sizes with at most the pixels of `size` the bucket is the one with the
    largest pixels * kept^10, where `kept` is the share of the picture that is not lost. So 1 % of
    the picture is worth 10 % of the pixels.

    Args:
        picture: width and height of the picture.
        size: width and height of a training without buckets.
        multiple: number that the model needs widths and heights to be a multiple of.
    """
    aspect, most = picture[0] / picture[1], size[0] * size[1] // multiple**2
    best, value = size, 0.0
    for across in range(1, most + 1):
        for near in {math.floor(across / aspect), math.ceil(across / aspect)}:
            down = min(max(1, near), most // across)
            kept = min(across / down / aspect, aspect * down / across)
            if across * down * kept**10 > value:
                best, value = (across * multiple, down * multiple), across * down * kept**10
    return best


def size_of(picture: Size, settings: TrainingSettings, multiple: int) -> Size:
    """The size at which a training takes a picture: its bucket, or the settings'.

    Args:
        picture: width and height of the picture.
        settings: settings of the training.
        multiple: see `bucket_size`.
    """
    return bucket_size(picture, settings.size, multiple) if settings.buckets else settings.size


def check_samples(
    examples: Iterable[tuple[Path, str]], settings: TrainingSettings, multiple: int
) -> None:
    """Open every sample image of a training, before a model is loaded.

    Args:
        examples: the samples with their prompts, see `TrainingJob.examples`.
        settings: settings of the training.
        multiple: see `bucket_size`.

    Raises:
        InputError: one cannot be read, or is too narrow to be cropped.
    """
    for path, _ in examples:
        size = open_image(path).size
        try:
            _scaled(size, size_of(size, settings, multiple), settings.enlarge)
        except InputError as error:
            raise InputError(f"{path}: {error}") from error


def _scaled(picture: Size, size: Size, enlarge: float) -> Size:
    """The size to which a picture is scaled before it is cropped.

    Raises:
        InputError: it would have more pixels than are read.
    """
    factor = enlarge * max(size[0] / picture[0], size[1] / picture[1])
    scaled = (max(size[0], round(picture[0] * factor)), max(size[1], round(picture[1] * factor)))
    if scaled[0] * scaled[1] > MAX_PIXELS:
        raise InputError(
            f"a picture of {picture[0]} x {picture[1]} pixels is too narrow for crops of "
            f"{size[0]} x {size[1]}: it would be scaled to {scaled[0] * scaled[1]:,} pixels, of at "
            f"most {MAX_PIXELS:,}. Cut it, or take it out.")
    return scaled


def crops(
    image: Image.Image, size: Size, *, enlarge: float, count: int, seed: tuple[int, ...]
) -> list[Image.Image]:
    """Crops of `size`, at random places without repetition.

    The proportions are kept: the shorter side is scaled to fit, the longer one is cropped.

    Args:
        image: RGB.
        size: width and height of the crops.
        enlarge: 1 scales until `size` just fits; 1.04 leaves 4 % to crop on both axes.
        count: largest number of crops; where there are fewer places, each is taken once.
        seed: seed of the places.

    Raises:
        InputError: the picture is so narrow that it would be scaled to more pixels than are read.
    """
    width, height = size
    scaled = _scaled(image.size, size, enlarge)
    large = image if scaled == image.size else image.resize(scaled, Image.Resampling.LANCZOS)
    across, down = scaled[0] - width + 1, scaled[1] - height + 1
    places = across * down
    chosen = np.random.default_rng(seed).choice(places, min(count, places), replace=False)
    return [large.crop((x, y, x + width, y + height))
            for y, x in (divmod(int(place), across) for place in chosen)]
