"""A run from beginning to end: check, survey, load the model if anything is left, execute."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Generic, Protocol

import jstyleid_core
import jstyleid_runner
from jstyleid_core.errors import InputError
from jstyleid_core.images import open_image
from jstyleid_runner.engine import Engine, StyleT
from jstyleid_runner.execute import Executor, Tally
from jstyleid_runner.facts import Reference, describe_reference, differences
from jstyleid_runner.out_folder import OutFolder
from jstyleid_runner.plan import Plan
from jstyleid_runner.progress import Reporter
from jstyleid_runner.record import ModelRecord, RunRecord, read_record
from jstyleid_runner.settings import RunSettings
from jstyleid_runner.style_sheet import write_style_sheet
from jstyleid_runner.survey import Survey, survey

log = logging.getLogger(__name__)

_SHOWN = 5
"""Pictures in the way that a message lists."""


@dataclass(frozen=True)
class Opened(Generic[StyleT]):
    """A loaded model."""

    engine: Engine[StyleT]
    fingerprint: str


class ModelSource(Protocol[StyleT]):
    """A checkpoint that is loaded only when there is work for it."""

    @property
    def source(self) -> str:
        """Folder or hub id."""
        ...

    def stamp(self) -> str | None:
        """A cheap sign that the files are unchanged; None where there is none."""
        ...

    def open(self, settings: RunSettings) -> Opened[StyleT]:
        """Load it."""
        ...


@dataclass(frozen=True)
class RunRequest:
    """What a run is to do, and where."""

    plan: Plan
    settings: RunSettings
    folder: OutFolder
    batch: int = 1
    force: bool = False


def run_split(
    request: RunRequest, model: ModelSource[StyleT], reporter: Reporter, tally: Tally
) -> None:
    """Make every picture of the plan that is not there yet.

    Raises:
        InputError: the folder holds pictures made with other settings, or a file is unusable.
    """
    plan, settings, folder = request.plan, request.settings, request.folder
    tally.pictures = plan.pictures
    references = _read_references(plan)
    record = read_record(folder.record)
    if record and not request.force:
        _refuse_changes(folder, differences(record.settings, settings.model_dump(mode="json")))
    folder.remove_leftovers(style.style for style in plan.styles)

    stamp = model.stamp()
    opened: Opened[StyleT] | None = None
    if record and stamp is not None and record.model.stamp == stamp:
        fingerprint = record.model.fingerprint
    else:
        opened = model.open(settings)
        # Again, because opening may have downloaded the files.
        stamp, fingerprint = model.stamp(), opened.fingerprint
        if record and record.model.fingerprint != fingerprint and not request.force:
            _refuse_changes(folder, [f"model: {record.model.source} there, {model.source} now"])

    state = survey(plan, folder, settings, references, fingerprint)
    if state.foreign and not request.force:
        raise InputError(_foreign_message(folder, state))
    tally.done = state.done
    log.info("%d pictures, %d there already; %s", plan.pictures, state.done, settings)
    reporter.begin(plan.pictures, state.done, state.evaluations)
    known = record.references if record else {}
    RunRecord(
        settings=settings.model_dump(mode="json"),
        model=ModelRecord(source=model.source, stamp=stamp, fingerprint=fingerprint),
        references={**known, **references},
        versions=_versions(),
    ).write(folder.record)
    if state.evaluations:
        opened = opened or model.open(settings)
        size, batch = settings.size, request.batch
        Executor(folder, opened.engine, size, reporter, tally, batch).run(state.work)
    for style in plan.styles:
        if not folder.sheet(style.style).exists():
            write_style_sheet(folder, style)


def _versions() -> dict[str, str]:
    # The project's own from the code, which may run without being installed.
    return {
        "jstyleid-runner": jstyleid_runner.__version__,
        "jstyleid-core": jstyleid_core.__version__,
        "jittor": version("jittor"),
    }


def _read_references(plan: Plan) -> Mapping[str, Reference]:
    """Every reference, opened once, so that a damaged one is found before hours of work."""
    references: dict[str, Reference] = {}
    for style in plan.styles:
        open_image(style.invert.reference)
        references[style.style] = describe_reference(style.invert.reference)
    return references


def _refuse_changes(folder: OutFolder, changes: list[str]) -> None:
    if changes:
        listed = "\n".join(f"  {change}" for change in changes)
        raise InputError(
            f"--out {folder.root}: its pictures were made with other settings:\n{listed}\n"
            "Choose another --out, or give --force to replace the pictures."
        )


def _foreign_message(folder: OutFolder, state: Survey) -> str:
    lines = [
        f"  {item.path}: {'; '.join(item.differences) or 'not made by jstyleid run'}"
        for item in state.foreign[:_SHOWN]
    ]
    if len(state.foreign) > _SHOWN:
        lines.append(f"  and {len(state.foreign) - _SHOWN} more")
    listed = "\n".join(lines)
    return (
        f"--out {folder.root}: {len(state.foreign)} pictures there were not made as this run would "
        f"make them:\n{listed}\nChoose another --out, or give --force to replace the pictures."
    )
