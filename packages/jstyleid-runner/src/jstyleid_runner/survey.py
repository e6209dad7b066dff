"""What of a plan is done already, and what a folder holds that must not be overwritten."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from jstyleid_runner.facts import (
    DamagedError,
    Facts,
    NotOursError,
    Reference,
    content_facts,
    differences,
    picture_facts,
    read_facts,
)
from jstyleid_runner.out_folder import OutFolder
from jstyleid_runner.plan import GenerateContent, Plan, StylePlan, Stylise
from jstyleid_runner.settings import RunSettings

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Pending:
    """A picture to make: its two jobs, what will be recorded of them, and whether to draw first."""

    content: GenerateContent
    content_facts: Facts
    content_missing: bool
    picture: Stylise
    picture_facts: Facts


@dataclass(frozen=True)
class StyleWork:
    """What is left to do for one style; nothing, when `pending` is empty."""

    plan: StylePlan
    pending: tuple[Pending, ...]

    @property
    def evaluations(self) -> int:
        """UNet evaluations left. The style is inverted only when a picture needs it."""
        if not self.pending:
            return 0
        contents = sum(item.content.evaluations for item in self.pending if item.content_missing)
        pictures = sum(item.picture.evaluations for item in self.pending)
        return self.plan.invert.evaluations + contents + pictures


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


def survey(
    plan: Plan,
    folder: OutFolder,
    settings: RunSettings,
    references: Mapping[str, Reference],
    model: str,
) -> Survey:
    """Compare what `folder` holds with what `plan` asks for."""
    foreign: list[Foreign] = []
    work = tuple(
        _survey_style(style, folder, settings, references[style.style], model, foreign)
        for style in plan.styles
    )
    done = plan.pictures - sum(len(style.pending) for style in work)
    return Survey(work, done, tuple(foreign))


def _survey_style(
    style: StylePlan,
    folder: OutFolder,
    settings: RunSettings,
    reference: Reference,
    model: str,
    foreign: list[Foreign],
) -> StyleWork:
    pending: list[Pending] = []
    for content, picture in style.pairs:
        drawn = content_facts(content, settings, model)
        wanted = picture_facts(picture, drawn, reference, settings)
        if not _is_done(folder.picture(picture.style, picture.prompt), wanted, foreign):
            missing = not _is_drawn(folder.content(content.style, content.prompt), drawn)
            pending.append(Pending(content, drawn, missing, picture, wanted))
    return StyleWork(style, tuple(pending))


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
