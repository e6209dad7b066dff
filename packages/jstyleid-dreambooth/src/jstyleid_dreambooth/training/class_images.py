"""Class images: what the model draws without the style, made once and shared by all styles.

Here stands which they are and where they belong, for whoever draws them; this needs no Jittor.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from jstyleid_core.errors import InputError
from jstyleid_core.runtime import Backend
from jstyleid_dreambooth.prompts import fill
from jstyleid_dreambooth.training.settings import PriorSettings, TrainingSettings

_KEY = "jstyleid"


@dataclass(frozen=True)
class ClassImage:
    """One of them, and all that decides it.

    Attributes:
        prompt: what it shows.
        seed: of the noise it starts from.
        steps, guidance: of drawing it.
        size: width and height in pixels.
        facts: what is recorded in it, as JSON.
    """

    prompt: str
    seed: int
    steps: int
    guidance: float
    size: tuple[int, int]
    facts: Mapping[str, Any]

    @property
    def text(self) -> dict[str, str]:
        """The text chunks of its PNG."""
        return {_KEY: json.dumps(self.facts)}


@dataclass(frozen=True)
class ClassImages:
    """All that a training takes.

    Attributes:
        images: in order.
        folder: where they are kept, under a digest of everything that decides them, so that
            trainings with the same ones share them.
    """

    images: tuple[ClassImage, ...]
    folder: Path

    @property
    def paths(self) -> tuple[Path, ...]:
        """The file of each."""
        return tuple(self.folder / f"{number:04}.png" for number in range(len(self.images)))

    @property
    def latents(self) -> Path:
        """The file of what the VAE makes of them, which is all that a training reads."""
        return self.folder / "latents.safetensors"


def class_images(
    settings: TrainingSettings, objects: Sequence[str], class_folder: Path, model: str, dtype: str,
    backend: Backend,
) -> ClassImages:
    """The class images of trainings with these settings.

    Args:
        settings: with prior preservation.
        objects: what they show.
        class_folder: where the folders of all class images are.
        model: the checkpoint's fingerprint.
        dtype: what the networks compute in.
        backend: whose networks.

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
    """What each class image shows.

    Raises:
        InputError: the prompt names objects, and there are none.
    """
    if "{object}" not in prior.prompt:
        return [prior.prompt] * prior.images
    if not objects:
        raise InputError(
            f"--prior-prompt {prior.prompt!r}: there are no objects to fill in. Give a prompt "
            "without {object}."
        )
    return [fill(prior.prompt, object=objects[i % len(objects)]) for i in range(prior.images)]
