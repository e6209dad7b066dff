"""Training jobs: one LoRA to train, from which pictures, with which settings, into which folder.

The recipe of a job is all that decides the LoRA, as JSON: two jobs with one recipe train the same
LoRA.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from jstyleid_core.differences import differences
from jstyleid_core.files import hash_file
from jstyleid_dreambooth.prompts import fill, object_of
from jstyleid_dreambooth.training.settings import TrainingSettings

TrainingRecipe = Mapping[str, Any]
"""As `TrainingJob.recipe` gives it."""


@dataclass(frozen=True)
class StyleImages:
    """The sample images of one style."""

    style: str
    images: tuple[Path, ...]


@dataclass(frozen=True)
class Validation:
    """Pictures drawn now and then while training, to look at.

    Attributes:
        every: steps between two sets of them.
        prompts: (file's stem, text) of each; the seed is the training's.
        steps, guidance: of drawing them.
    """

    every: int
    prompts: tuple[tuple[str, str], ...]
    steps: int = 25
    guidance: float = 7.5


@dataclass(frozen=True)
class TrainingJob:
    """One LoRA: of one style, or of several packed together.

    Attributes:
        styles: whose samples it is trained on.
        settings: how.
        folder: where everything goes: `pytorch_lora_weights.safetensors`, `checkpoints/`,
            `loss.png`, `events/`, `validation/`.
        class_folder: where class images are kept, for every job with the same objects.
        objects: what class images show, in order: the objects of the whole split.
        checkpoint_every: steps between two checkpoints.
        validation: pictures on the way, if any.
        class_latents: the file of the class images' latents, where they are made beforehand; else
            the training draws them, or what is missing of them.
    """

    styles: tuple[StyleImages, ...]
    settings: TrainingSettings
    folder: Path
    class_folder: Path
    objects: tuple[str, ...] = ()
    checkpoint_every: int = 100
    validation: Validation | None = None
    class_latents: Path | None = None

    @property
    def name(self) -> str:
        """What the LoRA is called: the style, or `pack-00-03-09`."""
        names = [style.style for style in self.styles]
        return names[0] if len(names) == 1 else "-".join(["pack", *names])

    def examples(self) -> list[tuple[Path, str]]:
        """Every sample image with its prompt.

        Raises:
            InputError: the prompt names the object and a file's name does not say it.
        """
        template = self.settings.prompt
        return [
            (image, fill(template, style=style.style,
                         object=object_of(image) if "{object}" in template else ""))
            for style in self.styles for image in style.images
        ]

    def recipe(self, model: str) -> dict[str, Any]:
        """All that decides the LoRA, as JSON: two jobs with one recipe train the same LoRA.

        Args:
            model: the checkpoint's fingerprint.
        """
        prior = self.settings.prior is not None
        return {
            "model": model,
            "settings": self.settings.model_dump(mode="json"),
            "samples": {style.style: {image.name: hash_file(image) for image in style.images}
                        for style in self.styles},
            "objects": list(self.objects) if prior else [],
        }


def objects_of(styles: Mapping[str, tuple[Path, ...]]) -> tuple[str, ...]:
    """Every object that a split's sample images show, sorted, each once.

    Raises:
        InputError: a file's name does not say it.
    """
    return tuple(sorted({object_of(image) for images in styles.values() for image in images}))


def recipe_digest(recipe: TrainingRecipe) -> str:
    """SHA-256 of a recipe."""
    return hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()


def recipe_changes(there: TrainingRecipe, now: TrainingRecipe) -> list[str]:
    """Why the training that is there cannot be continued by another; none if it can.

    Only the number of steps may differ, and only where the learning rate does not depend on it.
    """
    if now["settings"]["schedule"] == "constant":
        steps = {"steps": now["settings"]["steps"]}
        there = {**there, "settings": {**there["settings"], **steps}}
    return differences(there, now)


class Watcher(Protocol):
    """A display; any progress display of a command line will do."""

    def note(self, text: str) -> None:
        """Say something once."""
        ...

    def preparing(self, what: str, done: int, total: int) -> None:
        """Something before the steps: encoding samples."""
        ...

    def stage(self, name: str, steps: int, evaluations: int) -> None:
        """A stage of so many steps begins; a UNet evaluation forward and back counts as three."""
        ...

    def step(self, detail: str = "") -> None:
        """A step of the stage is done; the detail is its loss and rate."""
        ...

    def validated(self, step: int, pictures: Sequence[Path]) -> None:
        """Validation pictures of this step have been written."""
        ...
