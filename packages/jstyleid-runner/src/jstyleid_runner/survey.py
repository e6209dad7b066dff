"""What of a plan is done already, and what a folder holds that must not be overwritten."""

import logging
from dataclasses import dataclass, replace
from pathlib import Path

from jstyleid_core.differences import differences
from jstyleid_dreambooth.training.finished import finished_lora, lora_file
from jstyleid_dreambooth.training.job import TrainingJob
from jstyleid_runner.class_work import ClassWork, survey_class_images
from jstyleid_runner.facts import (
    DamagedError,
    Facts,
    NotOursError,
    carries,
    content_facts,
    picture_facts,
    read_facts,
)
from jstyleid_runner.ingredients import Ingredients, ingredients
from jstyleid_runner.jobs import Draw, Job, Stylise
from jstyleid_runner.plan import Plan, StylePlan
from jstyleid_runner.settings import RunSettings
from jstyleid_runner.storage.layout import OutFolder
from jstyleid_runner.style_training import training_job

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Pending:
    """A picture to make: its jobs, what will be recorded of them, and whether to draw first."""

    draw: Draw
    draw_facts: Facts
    undrawn: bool
    stylise: Stylise | None
    picture_facts: Facts


@dataclass(frozen=True)
class StyleWork:
    """What is left to do for one style; nothing, when `pending` is empty.

    Attributes:
        company: pictures that are there, but not their contents, which are drawn again because
            pictures that are pending are stylised together with them.
        training: the LoRA to train first.
        lora: the LoRA to draw with, where there is one already.
    """

    plan: StylePlan
    pending: tuple[Pending, ...]
    company: tuple[Pending, ...]
    training: TrainingJob | None
    lora: Path | None

    @property
    def lora_file(self) -> Path | None:
        """The LoRA to draw with, there already or after the training."""
        return lora_file(self.training) if self.training else self.lora

    @property
    def evaluations(self) -> int:
        """UNet evaluations left, but for those of pictures that only keep others company.

        The style is inverted only when a picture needs it.
        """
        if not self.pending:
            return 0
        jobs: list[Job | None] = [self.plan.invert, self.plan.train if self.training else None]
        jobs += [item.draw for item in self.company]
        for item in self.pending:
            jobs += [item.draw if item.undrawn else None, item.stylise]
        return sum(job.evaluations for job in jobs if job)


@dataclass(frozen=True)
class Foreign:
    """A picture in the way: under a name the plan needs, but not made as the plan says."""

    path: Path
    differences: tuple[str, ...] = ()


@dataclass(frozen=True)
class Survey:
    """The state of a run's folder.

    Attributes:
        class_work: none where no training takes class images.
    """

    work: tuple[StyleWork, ...]
    class_work: ClassWork | None
    done: int
    foreign: tuple[Foreign, ...]

    @property
    def evaluations(self) -> int:
        """UNet evaluations left."""
        shared = self.class_work.evaluations if self.class_work else 0
        return shared + sum(work.evaluations for work in self.work)


def survey(
    plan: Plan, folder: OutFolder, settings: RunSettings, model: str, batch: int
) -> Survey:
    """Compare what a folder holds with what a plan asks for.

    Args:
        plan: what there should be.
        folder: where.
        settings: of the run.
        model: the checkpoint's fingerprint.
        batch: how many pictures are computed together.
    """
    foreign: list[Foreign] = []
    work = tuple(
        _survey_style(style, folder, settings, model, batch, foreign) for style in plan.styles
    )
    training = any(style.training for style in work)
    class_work = survey_class_images(plan, folder, settings, model, training)
    done = plan.pictures - sum(len(style.pending) for style in work)
    return Survey(work, class_work, done, tuple(foreign))


def _survey_style(
    style: StylePlan, folder: OutFolder, settings: RunSettings, model: str, batch: int,
    foreign: list[Foreign],
) -> StyleWork:
    training = training_job(style, settings, folder)
    parts = ingredients(style, settings, training, model)
    pending: list[Pending] = []
    company: list[Pending] = []
    for group in style.groups(batch):
        items = [_item(draw, stylise, settings, parts, model) for draw, stylise in group]
        there = [
            _is_done(folder.picture(item.draw.style, item.draw.prompt), item.picture_facts, foreign)
            for item in items
        ]
        if all(there):
            continue
        items = [_with_content(item, folder) for item in items]
        pending += [item for item, done in zip(items, there, strict=True) if not done]
        company += [
            item
            for item, done in zip(items, there, strict=True)
            if done and item.stylise and item.undrawn
        ]
    lora = style.draws[0].lora
    if training and any(item.undrawn for item in (*pending, *company)):
        lora = finished_lora(training, model)
        training = None if lora else training
    else:
        training = None
    return StyleWork(style, tuple(pending), tuple(company), training, lora)


def _item(
    draw: Draw, stylise: Stylise | None, settings: RunSettings, parts: Ingredients, model: str
) -> Pending:
    drawn = content_facts(draw, settings, parts, model)
    return Pending(draw, drawn, True, stylise, picture_facts(draw, stylise, drawn, parts, settings))


def _with_content(item: Pending, folder: OutFolder) -> Pending:
    """Contents are the run's own: one made otherwise is drawn again without asking."""
    content = folder.content(item.draw.style, item.draw.prompt)
    there = item.stylise is not None and carries(content, item.draw_facts)
    return replace(item, undrawn=not there)


def _is_done(path: Path, wanted: Facts, foreign: list[Foreign]) -> bool:
    try:
        found = read_facts(path)
    except FileNotFoundError:
        return False
    except DamagedError as damage:
        log.warning("made again: %s", damage)
        return False
    except NotOursError:
        foreign.append(Foreign(path))
        return False
    if found != wanted:
        foreign.append(Foreign(path, tuple(differences(found, wanted))))
    return found == wanted
