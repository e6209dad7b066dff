"""Training jobs: one LoRA to train, from which pictures, with which settings, into which folder.

The recipe of a job is all that decides the LoRA, as JSON: two jobs with one recipe train the same
LoRA.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

from typing_extensions import Self

from jstyleid_core.differences import differences
from jstyleid_core.files import hash_file
from jstyleid_dreambooth.prompts import fill, object_of
from jstyleid_dreambooth.training.captions import read_captions
from jstyleid_dreambooth.training.settings import TrainingSettings

TrainingRecipe = Mapping[str, Any]
"""The recipe of a training, see `TrainingJob.recipe`."""


@dataclass(frozen=True)
class StyleImages:
    """The sample images of one style.

    Attributes:
        style: name of the style.
        images: files of the images.
        captions: training prompt of each image; None, or nothing at all, for the usual prompt.
    """

    style: str
    images: tuple[Path, ...]
    captions: tuple[str | None, ...] = ()

    @classmethod
    def read(cls, style: str, images: tuple[Path, ...]) -> Self:
        """The images with the captions in the files beside them.

        Raises:
            InputError: a caption's file cannot be read.
        """
        return cls(style, images, read_captions(style, images))

    @property
    def captioned(self) -> Iterator[tuple[Path, str | None]]:
        """Each image with its caption, if it has one."""
        return zip_longest(self.images, self.captions)


@dataclass(frozen=True)
class Validation:
    """Validation pictures, drawn at intervals during a training.

    Attributes:
        every: number of steps between two sets of pictures.
        prompts: (file's stem, text) of each picture; the seed is the training's.
        steps, guidance: sampling steps and guidance scale.
    """

    every: int
    prompts: tuple[tuple[str, str], ...]
    steps: int = 25
    guidance: float = 7.5


@dataclass(frozen=True)
class TrainingJob:
    """One LoRA to train: of one style, or of several packed together.

    Attributes:
        styles: styles with the samples to train on.
        settings: settings of the training.
        folder: output folder: `pytorch_lora_weights.safetensors`, `checkpoints/`,
            `loss.png`, `events/`, `validation.png`, `validation/`.
        class_folder: folder of class images, shared by all jobs with the same objects.
        objects: objects of the class images, in order: those of the whole split.
        checkpoint_every: number of steps between two checkpoints.
        keep_checkpoints: number of checkpoints that are kept; older ones are removed.
        validation: validation pictures, if any.
        wandb: project of Weights & Biases that the figures and pictures go to, too.
        class_latents: file of the class images' latents, if made beforehand; otherwise the
            training draws the missing class images.
    """

    styles: tuple[StyleImages, ...]
    settings: TrainingSettings
    folder: Path
    class_folder: Path
    objects: tuple[str, ...] = ()
    checkpoint_every: int = 100
    keep_checkpoints: int = 2
    validation: Validation | None = None
    wandb: str | None = None
    class_latents: Path | None = None

    @property
    def name(self) -> str:
        """Name of the LoRA: the style, or `pack-00-03-09`."""
        names = [style.style for style in self.styles]
        return names[0] if len(names) == 1 else "-".join(["pack", *names])

    @property
    def validation_sheet(self) -> Path:
        """The sheet of all validation pictures: the samples, then a column for each prompt."""
        return self.folder / "validation.png"

    def examples(self) -> list[tuple[Path, str]]:
        """Every sample image with its prompt: its caption, or the settings' prompt.

        Raises:
            InputError: the prompt names the object, and a file's name has none.
        """
        template = self.settings.prompt
        return [
            (image, caption or fill(template, style=style.style,
                                    object=object_of(image) if "{object}" in template else ""))
            for style in self.styles for image, caption in style.captioned
        ]

    def recipe(self, model: str) -> dict[str, Any]:
        """All that decides the LoRA, as JSON: two jobs with one recipe train the same LoRA.

        Args:
            model: the checkpoint's fingerprint.
        """
        prior = self.settings.prior is not None
        captions = {style.style: {image.name: caption for image, caption in style.captioned
                                  if caption} for style in self.styles}
        return {
            "model": model,
            "settings": self.settings.model_dump(mode="json"),
            "samples": {style.style: {image.name: hash_file(image) for image in style.images}
                        for style in self.styles},
            "objects": list(self.objects) if prior else [],
            # Left out where there are none, as in recipes from before there were captions.
            **({"captions": captions} if any(captions.values()) else {}),
        }


def objects_of(styles: Mapping[str, tuple[Path, ...]]) -> tuple[str, ...]:
    """Every object that a split's sample images show, sorted, each once.

    Raises:
        InputError: a file's name has no object.
    """
    return tuple(sorted({object_of(image) for images in styles.values() for image in images}))


def recipe_digest(recipe: TrainingRecipe) -> str:
    """SHA-256 of a recipe."""
    return hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()


def recipe_changes(there: TrainingRecipe, now: TrainingRecipe) -> list[str]:
    """The differences for which one training cannot continue another; none if it can.

    Only the number of steps may differ, and only with a constant learning rate.
    """
    if now["settings"]["schedule"] == "constant":
        steps = {"steps": now["settings"]["steps"]}
        there = {**there, "settings": {**there["settings"], **steps}}
    return differences(there, now)
