"""A run from beginning to end: check, survey, have done what is left, draw the sheets."""

import logging
from collections.abc import Sequence

from jstyleid_core.differences import differences
from jstyleid_core.errors import InputError
from jstyleid_dreambooth.training.resuming import find_training
from jstyleid_runner.carry_out import RunRequest, carry_out
from jstyleid_runner.listing import listed
from jstyleid_runner.planning.pending import StyleWork, Survey, survey
from jstyleid_runner.planning.plan import Plan
from jstyleid_runner.planning.provenance import check_pictures, training_job
from jstyleid_runner.reports.contact_sheet import write_style_sheet
from jstyleid_runner.reports.progress import Reporter
from jstyleid_runner.storage.layout import OutFolder
from jstyleid_runner.storage.records import (
    ModelRecord,
    Reference,
    RunRecord,
    describe_reference,
    known_fingerprint,
    versions,
)
from jstyleid_runner.tally import Tally
from jstyleid_runner.training_removal import remove_training
from jstyleid_runner.workforce import Workforce

log = logging.getLogger(__name__)

_SHOWN = 5
"""Pictures in the way that a message lists."""
_CHANGES = 12
"""Changed settings that a message lists; a training alone has two dozen."""


def run_split(request: RunRequest, force: Workforce, reporter: Reporter, tally: Tally) -> None:
    """Make every picture of the plan that is not there yet.

    Raises:
        InputError: the folder holds pictures made with other settings, or a file is unusable.
        IncompleteError: jobs failed too often, and were set aside.
    """
    plan, settings, folder = request.plan, request.settings, request.folder
    tally.total = plan.pictures
    for style in plan.styles:
        check_pictures(style, training_job(style, settings, folder))
    record = RunRecord.read(folder.record)
    if record and not request.force:
        _refuse_changes(folder, differences(record.settings, settings.model_dump(mode="json")))
    folder.remove_leftovers(style.style for style in plan.styles)

    stamp = force.stamp()
    fingerprint = known_fingerprint(record, stamp)
    if fingerprint is None:
        fingerprint = force.fingerprint(settings.dtype)
        # Again, because reading may have downloaded the files.
        stamp = force.stamp()
        if record and record.model.fingerprint != fingerprint and not request.force:
            _refuse_changes(folder, [f"model: {record.model.source} there, {force.source} now"])

    state = survey(plan, folder, settings, fingerprint, request.batch)
    if state.foreign and not request.force:
        raise InputError(_foreign_message(folder, state))
    tally.done = state.done
    log.info("%d pictures, %d there already; %s", plan.pictures, state.done, settings)
    reporter.begin(plan.pictures, state.done, state.evaluations)
    RunRecord(
        settings=settings.model_dump(mode="json"),
        model=ModelRecord(source=force.source, stamp=stamp, fingerprint=fingerprint),
        references={**(record.references if record else {}), **_references(plan)},
        versions=versions(),
    ).write(folder.record)
    _make_room(state.work, fingerprint)
    try:
        carry_out(request, state, force, reporter, tally)
    finally:
        # A worker that was killed may have left something, however the run ends.
        folder.remove_leftovers(style.style for style in plan.styles)
    for style in plan.styles:
        if not folder.sheet(style.style).exists():
            write_style_sheet(folder, style)


def _references(plan: Plan) -> dict[str, Reference]:
    """The sample image of each style that is inverted."""
    return {
        style.style: describe_reference(style.invert.reference)
        for style in plan.styles
        if style.invert
    }


def _make_room(work: Sequence[StyleWork], model: str) -> None:
    """Remove what other settings left of LoRAs: they are the run's own, as contents are."""
    for style in work:
        if style.training and (changes := find_training(style.training, model).obstacles):
            log.warning("%s: trained anew: %s", style.training.folder, "; ".join(changes))
            remove_training(style.training)


def _refuse_changes(folder: OutFolder, changes: list[str]) -> None:
    if changes:
        raise InputError(
            f"--out {folder.root}: its pictures were made with other settings:\n"
            f"{listed(changes, _CHANGES)}\n"
            "Choose another --out, or give --force to replace the pictures."
        )


def _foreign_message(folder: OutFolder, state: Survey) -> str:
    found = [
        f"{item.path}: {'; '.join(item.differences) or 'not made by jstyleid run'}"
        for item in state.foreign
    ]
    return (
        f"--out {folder.root}: {len(state.foreign)} pictures there were not made as this run would "
        f"make them:\n{listed(found, _SHOWN)}\n"
        "Choose another --out, or give --force to replace the pictures."
    )
