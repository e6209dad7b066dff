"""All pictures of a split: the work of `jstyleid run` and of `jstyleid generate --split`."""

import time
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from jstyleid_core.runtime import Device, DType
from jstyleid_runner.carry_out import IncompleteError, RunRequest
from jstyleid_runner.core_model import CoreModel
from jstyleid_runner.picture_choices import planned_pictures
from jstyleid_runner.reports.summary import run_summary, summary_table
from jstyleid_runner.run_pages import write_pages
from jstyleid_runner.run_split import run_split
from jstyleid_runner.scheduling.ledger import read_entries
from jstyleid_runner.session import session
from jstyleid_runner.settings import PictureChoices
from jstyleid_runner.staff import Staff, StaffOptions, dtype_of, staffed
from jstyleid_runner.storage.layout import OutFolder
from jstyleid_runner.tally import Tally
from jstyleid_runner.worker.engine import named_source


@dataclass(frozen=True)
class Execution:
    """How and where the work is done, by the names of the options."""

    out: Path
    batch: int
    force: bool
    model: str | None
    dtype: DType
    staff: StaffOptions


def make_pictures(chosen: PictureChoices, how: Execution) -> None:
    """Make every picture that is not there yet, and say what was done and how many there are.

    Raises:
        JStyleIDError: something given cannot be used, or something failed.
    """
    with staffed(how.staff) as (device, staff):
        _make_pictures(chosen, how, device, staff)


def _make_pictures(
    chosen: PictureChoices, how: Execution, device: Device, staff: Staff
) -> None:
    # Resolved now: pictures of both precisions in one folder would not be the same run.
    dtype = dtype_of(device, how.staff.engine) if how.dtype == "auto" else how.dtype
    plan, settings = planned_pictures(chosen, dtype)
    folder = OutFolder(how.out)
    folder.prepare()
    tally, start = Tally(plan.pictures), time.monotonic()
    try:
        with session(folder, folder.log, tally) as reporter:
            source = CoreModel(named_source(how.model), device, reporter, staff)
            request = RunRequest(plan, settings, folder, how.batch, how.force)
            try:
                run_split(request, source, reporter, tally)
            except IncompleteError:
                # When something failed one wants to look, too.
                write_pages(plan, settings, folder, reporter, tally)
                raise
            write_pages(plan, settings, folder, reporter, tally)
    except IncompleteError:
        _print_summary(folder, tally, time.monotonic() - start)
        raise
    _print_summary(folder, tally, time.monotonic() - start)
    print(f"{tally.done} of {tally.total} pictures are in {how.out}; look at {folder.gallery}")
    print(f"score them: jdiff-check --upload {how.out} --gt {chosen.data / chosen.split}")


def _print_summary(folder: OutFolder, tally: Tally, seconds: float) -> None:
    if tally.begun:
        summary = run_summary(read_entries(folder.ledger), tally.begun, seconds)
        Console().print(summary_table(summary))
