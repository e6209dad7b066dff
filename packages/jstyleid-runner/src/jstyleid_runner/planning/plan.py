"""The plan of a run: small jobs and what each needs, computed from split and settings alone.

A plan is pure data. It depends neither on Jittor, nor on files of earlier runs, nor on the number
of workers. A job may begin as soon as its `needs` are done. Every random choice is a hash of its
purpose, so that a picture can be made again alone: it depends neither on the order of the work nor
on the other styles and prompts of the run.
"""

import hashlib
import json
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby
from pathlib import Path

from jstyleid_core import StyleIDSettings
from jstyleid_core.errors import InputError
from jstyleid_dreambooth.training.job import StyleImages, TrainingJob
from jstyleid_dreambooth.training.settings import TrainingSettings
from jstyleid_runner.planning.class_images import (
    GenerateClassImage,
    class_folder,
    plan_class_images,
)
from jstyleid_runner.planning.jobs import (
    GenerateImage,
    InvertStyle,
    Job,
    SharedPlan,
    StyleJob,
    TrainLoRA,
    TransferStyle,
)
from jstyleid_runner.scheduling.task import Task
from jstyleid_runner.settings import RunSettings
from jstyleid_runner.storage.layout import LoRAFolder, OutFolder
from jstyleid_runner.storage.split import Split, StyleFolder

_SEEDS = 2**32


def content_seed(run_seed: int, style: str, prompt: str) -> int:
    """The seed of the noise that a prompt's content picture starts from."""
    return _draw("content", run_seed, style, prompt) % _SEEDS


def chosen_references(style: StyleFolder, choice: str, run_seed: int) -> tuple[Path, ...]:
    """The sample images that are the style's references, each once.

    Args:
        style: the style.
        choice: `first`, `random`, `all`, the number of first ones, or files' names with or without
            their suffixes, separated by commas.
        run_seed: seed of the run, for `random`.

    Raises:
        InputError: the style has no such image, or not so many.
    """
    images = style.references
    if choice in ("first", "all"):
        return images if choice == "all" else images[:1]
    if choice == "random":
        return (images[_draw("reference", run_seed, style.id) % len(images)],)
    named = [_named(images, name.strip()) for name in choice.split(",")]
    if None not in named:
        return tuple(dict.fromkeys(path for path in named if path))
    # A file's name comes before a number.
    if choice.isascii() and choice.isdecimal() and 1 <= int(choice[:9]) <= len(images):
        return images[:int(choice)]
    raise InputError(
        f"--reference {choice}: style {style.id} has no such image. Give first, random, all, a "
        f"number from 1 to {len(images)}, or some of {', '.join(path.name for path in images)}.",
        fields=["reference"],
    )


def _named(images: Sequence[Path], name: str) -> Path | None:
    """The image of this name, with or without its suffix."""
    composed = unicodedata.normalize("NFC", name)
    return next((path for path in images if composed in {
        unicodedata.normalize("NFC", known) for known in (path.name, path.stem)}), None)


def _draw(*what: object) -> int:
    # JSON keeps ("1", "2") and ("12", "") apart, and escapes the same way everywhere.
    digest = hashlib.sha256(json.dumps(what).encode()).digest()
    return int.from_bytes(digest[:8], "big")


@dataclass(frozen=True)
class StylePlan:
    """The jobs of one style.

    Attributes:
        samples: sample images of the style.
        train: training of the LoRA; None where the run trains none.
        invert: inversion of the reference; None without style transfer.
        images: one job for each prompt.
        transfers: one job for each prompt, or none where the generated images are the results.
    """

    style: str
    samples: tuple[Path, ...]
    train: TrainLoRA | None
    invert: InvertStyle | None
    images: tuple[GenerateImage, ...]
    transfers: tuple[TransferStyle, ...]

    @property
    def references(self) -> tuple[Path, ...]:
        """The sample images that are inverted; none without style transfer."""
        return self.invert.references if self.invert else ()

    @property
    def pairs(self) -> Sequence[tuple[GenerateImage, TransferStyle | None]]:
        """Each prompt's jobs."""
        if not self.transfers:
            return tuple((generate, None) for generate in self.images)
        return tuple(zip(self.images, self.transfers, strict=True))

    @cached_property
    def groups(self) -> Sequence[Sequence[tuple[GenerateImage, TransferStyle | None]]]:
        """Each prompt's jobs, by the groups that are computed together.

        A picture can depend in its last bits on the pictures it is computed with. So groups follow
        from the plan alone, not from what is done already or which worker is idle.
        """
        grouped = groupby(self.pairs, key=lambda pair: pair[0].group)
        return tuple(tuple(group) for _, group in grouped)

    @property
    def jobs(self) -> Iterator[StyleJob]:
        """Every job, none before what it needs."""
        if self.train:
            yield self.train
        if self.invert:
            yield self.invert
        yield from self.images
        yield from self.transfers

    def training(self, settings: RunSettings, folder: OutFolder) -> TrainingJob | None:
        """The training that the plan asks for, if it asks for one."""
        if self.train is None or settings.training is None:
            return None
        samples = (StyleImages.read(self.train.style, self.train.samples),)
        return training_job(samples, settings.training, folder, self.train.objects)


def training_job(
    styles: tuple[StyleImages, ...], settings: TrainingSettings, folder: OutFolder | LoRAFolder,
    objects: tuple[str, ...],
) -> TrainingJob:
    """The training of a LoRA, in the folder of a command.

    Args:
        styles: styles with their samples.
        settings: settings of the training.
        folder: folder of the command.
        objects: objects of the whole split, where the training takes them.
    """
    job = TrainingJob(
        styles=styles,
        settings=settings,
        folder=folder.root,
        class_folder=class_folder(folder),
        objects=objects,
    )
    # The name follows from the styles, and the folder from the name.
    return replace(job, folder=folder.lora(job.name))


@dataclass(frozen=True)
class Plan:
    """All jobs of a run, by style.

    Attributes:
        shared: jobs that all styles share, by kind; empty where no training needs any.
        batch: pictures that are computed together.
    """

    styles: tuple[StylePlan, ...]
    shared: tuple[SharedPlan, ...] = ()
    batch: int = 1

    @property
    def jobs(self) -> Iterator[Job]:
        """Every job, none before what it needs."""
        for kind in self.shared:
            yield from kind.jobs
        for style in self.styles:
            yield from style.jobs

    @property
    def tasks(self) -> list[Task]:
        """Every job as the scheduler sees it."""
        return [job.task for job in self.jobs]

    def texts(self, settings: RunSettings, folder: OutFolder) -> list[str]:
        """Every text that the text encoder will read, each once."""
        trainings = (style.training(settings, folder) for style in self.styles)
        return list(dict.fromkeys((
            *(image.text for style in self.styles for image in style.images),
            settings.negative,
            *(text for training in trainings if training for _, text in training.examples()),
            *(job.text for job in self.jobs if isinstance(job, GenerateClassImage)),
        )))

    @property
    def pictures(self) -> int:
        """Number of results of the run."""
        return sum(len(style.images) for style in self.styles)

    @property
    def evaluations(self) -> int:
        """UNet evaluations of all jobs, counted per picture."""
        return sum(job.evaluations for job in self.jobs)


def build_plan(
    split: Split,
    settings: RunSettings,
    prompts: int | None = None,
    *,
    loras: Mapping[str, Path] | None = None,
    objects: tuple[str, ...] = (),
    batch: int = 1,
) -> Plan:
    """The plan of a run over `split`.

    Args:
        split: styles and prompts.
        settings: settings of the run.
        prompts: number of prompts of each style, the first ones; None for all.
        loras: LoRA file of each style, where the method uses LoRAs and does not train them.
        objects: objects of the whole split, where the training takes them.
        batch: pictures of a style that are computed together.

    Raises:
        InputError: a style lacks the reference asked for, the start leaves no step to take, or
            the training takes objects and there are none.
    """
    class_images = plan_class_images(settings.training, objects)
    shared = (class_images,) if class_images else ()
    return Plan(
        tuple(
            _plan_style(
                style, settings, prompts, (loras or {}).get(style.id), objects, shared, batch)
            for style in split.styles
        ),
        shared,
        batch,
    )


def guidance_evaluations(scale: float) -> int:
    """UNet evaluations a step: guidance takes a second one, for the negative prompt."""
    return 1 if scale == 1 else 2


def _plan_style(
    style: StyleFolder,
    settings: RunSettings,
    prompts: int | None,
    lora: Path | None,
    objects: tuple[str, ...],
    shared: Sequence[SharedPlan],
    batch: int,
) -> StylePlan:
    train = invert = None
    if settings.training:
        evaluations = settings.training.evaluations
        needs = tuple(id for kind in shared for id in kind.needs)
        train = TrainLoRA(style.id, style.references, objects, evaluations, needs)
    if settings.styleid and settings.reference is not None:
        chosen = chosen_references(style, settings.reference, settings.seed)
        invert = InvertStyle(style.id, chosen, settings.styleid.steps,
                             len(chosen) * settings.styleid.inversion_evaluations)
    way, steps = settings.way, settings.steps_taken
    # A recorded drawing is stylised in as many steps, by the empty prompt alone.
    stylising = steps if way == "trajectory" else 0
    needed = [job for job in (train, invert if way != "plain" else None) if job]
    images = tuple(
        GenerateImage(
            "content" if invert and way == "plain" else "picture",
            style.id,
            prompt,
            settings.text(style.id, prompt),
            content_seed(settings.seed, style.id, prompt),
            steps + stylising,
            steps * guidance_evaluations(settings.guidance) + stylising,
            lora,
            style.references if settings.start == "mean" else (),
            tuple(job.id for job in needed),
            number // batch,
            way,
        )
        for number, prompt in enumerate(style.prompts[:prompts])
    )
    transfers: tuple[TransferStyle, ...] = ()
    if invert and settings.styleid and way == "plain":
        transfers = _plan_transfers(images, invert, settings.styleid)
    return StylePlan(style.id, style.references, train, invert, images, transfers)


def _plan_transfers(
    images: Sequence[GenerateImage], invert: InvertStyle, settings: StyleIDSettings
) -> tuple[TransferStyle, ...]:
    # A group is begun as a whole: when all that any of its jobs needs is done.
    needs: dict[int, dict[str, None]] = {}
    for image in images:
        needs.setdefault(image.group, {}).update({image.id: None, invert.id: None})
    return tuple(
        TransferStyle(image.style, image.prompt, 2 * settings.steps,
                      settings.transfer_evaluations, tuple(needs[image.group]), image.group)
        for image in images
    )
