"""Class images drawn and encoded, by a training itself or beforehand by whoever has time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from jstyleid_core.errors import InputError
from jstyleid_core.files import write_whole
from jstyleid_core.images import open_image, save_png
from jstyleid_dreambooth.training.class_images import ClassImage, ClassImages, class_images
from jstyleid_dreambooth.training.job import TrainingJob
from jstyleid_dreambooth.training.samples import Posterior, Samples, encode
from jstyleid_dreambooth.training.settings import PriorSettings
from jstyleid_dreambooth.training.watching import Watcher

if TYPE_CHECKING:
    from PIL.Image import Image

    from jstyleid_core import StableDiffusion


def class_samples(
    job: TrainingJob, prior: PriorSettings, model: StableDiffusion, watch: Watcher
) -> Samples:
    """Class images as latents: read, or drawn and kept in a folder of `job.class_folder`.

    A stopped drawing goes on where it was. No LoRA may be active.

    Raises:
        InputError: the latents that were made beforehand are not there, or damaged.
    """
    images = class_images(job.settings, job.objects, job.class_folder, model.fingerprint,
                          model.dtype, model.backend)
    latents = job.class_latents or images.latents
    if job.class_latents is None and not latents.exists():
        _draw_missing(images, prior, model, watch)
        data = encode_class_images(
            images.paths, model,
            lambda done, total: watch.preparing("encoding class images", done, total))
        write_whole(latents, data)
    return Samples(read_latents(latents, len(images.images)),
                   tuple(image.prompt for image in images.images), prior.weight)


def draw_class_image(
    image: ClassImage, model: StableDiffusion, on_step: Callable[[], None]
) -> Image:
    """Draw one, alone, so that it is the same whoever draws the others; no LoRA may be active."""
    [picture] = model.generate([image.prompt], [image.seed], steps=image.steps,
                               guidance_scale=image.guidance, size=image.size, on_step=on_step)
    return picture


def encode_class_images(
    paths: Sequence[Path], model: StableDiffusion, on_picture: Callable[[int, int], None]
) -> bytes:
    """The content of the file of their latents.

    Args:
        paths: all class images, in order.
        model: whose VAE encodes them.
        on_picture: told before each how many are encoded, and of how many.
    """
    found = []
    for number, path in enumerate(paths):
        on_picture(number, len(paths))
        found.append(encode(model, [open_image(path)]))
    return save({
        "mean": np.concatenate([posterior.mean for posterior in found]),
        "deviation": np.concatenate([posterior.deviation for posterior in found]),
    })


def read_latents(path: Path, count: int) -> tuple[Posterior, ...]:
    """The latents of so many class images.

    Raises:
        InputError: the file is not there, damaged, or holds another number of them.
    """
    try:
        tensors = load_file(path)
        means, deviations = tensors["mean"], tensors["deviation"]
    except (SafetensorError, OSError, KeyError) as error:
        raise _unreadable(path, str(error)) from error
    if not len(means) == len(deviations) == count:
        raise _unreadable(path, f"{len(means)} class images where there should be {count}")
    return tuple(Posterior(means[i : i + 1], deviations[i : i + 1]) for i in range(count))


def _unreadable(path: Path, reason: str) -> InputError:
    return InputError(
        f"{path}: damaged ({reason}). Remove the file: it is made again from the pictures beside "
        "it."
    )


def _draw_missing(
    images: ClassImages, prior: PriorSettings, model: StableDiffusion, watch: Watcher
) -> None:
    missing = [(image, path) for image, path in zip(images.images, images.paths, strict=True)
               if not path.exists()]
    if not missing:
        return
    watch.stage(f"drawing {len(missing)} class images", prior.steps * len(missing),
                prior.evaluations * len(missing))
    for image, path in missing:
        save_png(draw_class_image(image, model, watch.step), path, image.text)
