"""Class images for prior preservation: pictures that the model draws without the style.

They are made once and shared by all styles, by a training itself or beforehand by another worker.
Importing this module starts no Jittor.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors.numpy import save

from jstyleid_core.errors import CheckpointError, InputError, setting
from jstyleid_core.files import write_whole
from jstyleid_core.image_files import open_image, save_png
from jstyleid_core.progress import OnStep, Progress
from jstyleid_core.runtime import Backend
from jstyleid_core.weights.tensors import load_tensors
from jstyleid_dreambooth.lora.weights import as_float32
from jstyleid_dreambooth.prompts import fill
from jstyleid_dreambooth.training.dataset import Posterior, Samples, encode
from jstyleid_dreambooth.training.job import TrainingJob
from jstyleid_dreambooth.training.settings import PriorSettings, TrainingSettings

if TYPE_CHECKING:
    from PIL.Image import Image

    from jstyleid_core import StableDiffusion

_KEY = "jstyleid"
_LARGEST = 1e6
"""Beyond any latent of a picture."""


@dataclass(frozen=True)
class ClassImage:
    """A class image, described by everything that determines the picture.

    Attributes:
        prompt: prompt of the picture.
        seed: seed of the initial noise.
        steps, guidance: sampling steps and guidance scale.
        size: width and height in pixels.
        provenance: metadata of the PNG.
    """

    prompt: str
    seed: int
    steps: int
    guidance: float
    size: tuple[int, int]
    provenance: Mapping[str, Any]

    @property
    def png_text(self) -> dict[str, str]:
        """The text chunks of its PNG."""
        return {_KEY: json.dumps(self.provenance)}


@dataclass(frozen=True)
class ClassImages:
    """The class images of a training.

    Attributes:
        images: class images in order.
        folder: folder of the images, named by a digest of everything that determines them, so
            that trainings with the same images share a folder.
    """

    images: tuple[ClassImage, ...]
    folder: Path

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files of the class images."""
        return tuple(self.folder / f"{number:04}.png" for number in range(len(self.images)))

    @property
    def latents(self) -> Path:
        """The file of the class images' latents, the only file that a training reads."""
        return self.folder / "latents.safetensors"


def class_images(
    settings: TrainingSettings, objects: Sequence[str], class_folder: Path, model: str, dtype: str,
    backend: Backend,
) -> ClassImages:
    """The class images of trainings with these settings.

    Args:
        settings: settings with prior preservation.
        objects: objects of the class images.
        class_folder: folder that holds the folders of all class images.
        model: fingerprint of the checkpoint.
        dtype: number format of the networks.
        backend: library of the networks.

    Raises:
        InputError: the prompt names objects, and there are none.
        ValueError: these settings are without prior preservation.
    """
    prior = settings.prior
    if prior is None:
        raise ValueError("these settings take no class images")
    prompts = class_prompts(prior, objects)
    facts = {"model": model, "prompts": prompts, "seed": settings.seed, "steps": prior.steps,
             "guidance": prior.guidance, "size": list(settings.size), "dtype": dtype}
    # Not said of the native one, so that class images from before there was a choice are found.
    deciding = facts if backend == "native" else {**facts, "backend": backend}
    folder = class_folder / hashlib.sha256(json.dumps(deciding).encode()).hexdigest()[:16]
    images = []
    for number, prompt in enumerate(prompts):
        seed = int(np.random.default_rng([settings.seed, number]).integers(2**32))
        own = {**facts, "backend": backend, "prompts": [prompt], "seed": seed}
        images.append(
            ClassImage(prompt, seed, prior.steps, prior.guidance, settings.size, own)
        )
    return ClassImages(tuple(images), folder)


def class_prompts(prior: PriorSettings, objects: Sequence[str]) -> list[str]:
    """The prompt of each class image.

    Raises:
        InputError: the prompt names objects, and there are none.
    """
    if not prior.takes_objects:
        return [prior.prompt] * prior.images
    if not objects:
        raise InputError(
            f"{setting('prior.prompt')} {prior.prompt!r}: there are no objects to fill in. Give a "
            "prompt without {object}.",
            fields=["prior.prompt"],
        )
    return [fill(prior.prompt, object=objects[i % len(objects)]) for i in range(prior.images)]


def class_samples(
    job: TrainingJob, prior: PriorSettings, model: StableDiffusion, progress: Progress
) -> Samples:
    """Class images as latents: read, or drawn and kept in a folder of `job.class_folder`.

    Images that exist already are kept. No LoRA may be active.

    Raises:
        InputError: the latents that were made beforehand are missing or damaged.
    """
    images = class_images(job.settings, job.objects, job.class_folder, model.fingerprint,
                          model.dtype, model.backend)
    latents = job.class_latents or images.latents
    if job.class_latents is None and not latents.exists():
        _draw_missing(images, prior, model, progress)
        data = encode_class_images(
            images.paths, model,
            lambda done, total: progress.preparing("encoding class images", done, total))
        write_whole(latents, data)
    return Samples(read_latents(latents, len(images.images)),
                   tuple(image.prompt for image in images.images), prior.weight)


def draw_class_image(
    image: ClassImage, model: StableDiffusion, on_step: OnStep
) -> Image:
    """Draw a class image in a batch of its own, so that the result does not depend on others.

    No LoRA may be active.
    """
    [picture] = model.generate([image.prompt], [image.seed], steps=image.steps,
                               guidance_scale=image.guidance, size=image.size, on_step=on_step)
    return picture


def encode_class_images(
    paths: Sequence[Path], model: StableDiffusion, on_picture: Callable[[int, int], None]
) -> bytes:
    """The content of the file of the class images' latents.

    Args:
        paths: files of all class images, in order.
        model: model with the VAE.
        on_picture: called before each image with the numbers of images done and in all.
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
    """The latents of `count` class images.

    Raises:
        InputError: the file is not there, damaged, or holds another number of latents.
    """
    try:
        tensors, _ = load_tensors(path)
        means, deviations = tensors["mean"], tensors["deviation"]
    except (CheckpointError, KeyError) as error:
        raise _unreadable(path, str(error)) from error
    if means.ndim != 4 or means.shape != deviations.shape or len(means) != count:
        raise _unreadable(path, f"numbers of shape {list(means.shape)} and "
                                f"{list(deviations.shape)}, not of {count} class images")
    means, deviations = as_float32(means), as_float32(deviations)
    if not max(np.abs(means).max(), np.abs(deviations).max()) < _LARGEST:
        raise _unreadable(path, "numbers that are no latents")
    return tuple(Posterior(means[i : i + 1], deviations[i : i + 1]) for i in range(count))


def _unreadable(path: Path, reason: str) -> InputError:
    return InputError(
        f"{path}: damaged ({reason}). Remove the file: it is made again from the pictures beside "
        "it."
    )


def _draw_missing(
    images: ClassImages, prior: PriorSettings, model: StableDiffusion, progress: Progress
) -> None:
    missing = [(image, path) for image, path in zip(images.images, images.paths, strict=True)
               if not path.exists()]
    if not missing:
        return
    progress.stage(f"drawing {len(missing)} class images", prior.steps * len(missing),
                prior.evaluations * len(missing))
    for image, path in missing:
        save_png(draw_class_image(image, model, progress.step), path, image.png_text)
