"""What of a plan is done already, and what a folder holds that must not be overwritten."""

import logging
from dataclasses import dataclass
from pathlib import Path

from jstyleid_core.differences import differences
from jstyleid_dreambooth.training.finished import finished_lora, lora_file
from jstyleid_dreambooth.training.job import TrainingJob
from jstyleid_runner.facts import (
    DamagedError,
    Facts,
    NotOursError,
    content_facts,
    picture_facts,
    read_facts,
)
from jstyleid_runner.ingredients import Ingredients, ingredients
from jstyleid_runner.jobs import Draw, Job, Stylise
from jstyleid_runner.out_folder import OutFolder
from jstyleid_runner.plan import Plan, StylePlan
from jstyleid_runner.settings import RunSettings
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
        training: the LoRA to train first.
        lora: the LoRA to draw with, where there is one already.
    """

    plan: StylePlan
    pending: tuple[Pending, ...]
    training: TrainingJob | None
    lora: Path | None

    @property
    def lora_file(self) -> Path | None:
        """The LoRA to draw with, there already or after the training."""
        return lora_file(self.training) if self.training else self.lora

    @property
    def evaluations(self) -> int:
        """UNet evaluations left. The style is inverted only when a picture needs it."""
        if not self.pending:
            return 0
        jobs: list[Job | None] = [self.plan.invert, self.plan.train if self.training else None]
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
    """The state of a run's folder."""

    work: tuple[StyleWork, ...]
    done: int
    foreign: tuple[Foreign, ...]

    @property
    def evaluations(self) -> int:
        """UNet evaluations left."""
        return sum(work.evaluations for work in self.work)


def survey(plan: Plan, folder: OutFolder, settings: RunSettings, model: str) -> Survey:
    """Compare what `folder` holds with what `plan` asks for; `model` is the fingerprint."""
    foreign: list[Foreign] = []
    work = tuple(_survey_style(style, folder, settings, model, foreign) for style in plan.styles)
    done = plan.pictures - sum(len(style.pending) for style in work)
    return Survey(work, done, tuple(foreign))


def _survey_style(
    style: StylePlan, folder: OutFolder, settings: RunSettings, model: str, foreign: list[Foreign]
) -> StyleWork:
    training = training_job(style, settings, folder)
    parts = ingredients(style, settings, training, model)
    pending = [
        item
        for draw, stylise in style.pairs
        if (item := _pending(draw, stylise, folder, settings, parts, model, foreign))
    ]
    lora = style.draws[0].lora
    if training and any(item.undrawn for item in pending):
        lora = finished_lora(training, model)
        return StyleWork(style, tuple(pending), None if lora else training, lora)
    return StyleWork(style, tuple(pending), None, lora)


def _pending(
    draw: Draw,
    stylise: Stylise | None,
    folder: OutFolder,
    settings: RunSettings,
    parts: Ingredients,
    model: str,
    foreign: list[Foreign],
) -> Pending | None:
    """The picture of one prompt, unless it is there."""
    drawn = content_facts(draw, settings, parts, model)
    wanted = picture_facts(draw, stylise, drawn, parts, settings)
    if _is_done(folder.picture(draw.style, draw.prompt), wanted, foreign):
        return None
    there = stylise is not None and _is_drawn(folder.content(draw.style, draw.prompt), drawn)
    return Pending(draw, drawn, not there, stylise, wanted)


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


def _is_drawn(path: Path, wanted: Facts) -> bool:
    """Contents are the run's own: one made otherwise is drawn again without asking."""
    try:
        return read_facts(path) == wanted
    except (FileNotFoundError, DamagedError, NotOursError):
        return False
