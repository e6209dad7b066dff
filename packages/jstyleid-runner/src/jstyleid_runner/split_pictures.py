"""All pictures of a split: the work of `jstyleid run` and of `jstyleid generate --split`."""

from dataclasses import dataclass
from pathlib import Path

from jstyleid_core import runtime
from jstyleid_core.runtime import Device, DType
from jstyleid_runner.carry_out import IncompleteError, RunRequest
from jstyleid_runner.core_model import CoreModel, named_source
from jstyleid_runner.devices import choose_device, choose_places
from jstyleid_runner.out_folder import OutFolder
from jstyleid_runner.picture_choices import PictureChoices, planned_pictures
from jstyleid_runner.run_pages import write_pages
from jstyleid_runner.run_split import run_split
from jstyleid_runner.session import session
from jstyleid_runner.tally import Tally


@dataclass(frozen=True)
class Execution:
    """How and where the work is done, by the names of the options."""

    out: Path
    batch: int
    force: bool
    model: str | None
    dtype: DType
    device: Device
    gpus: int | None
    workers: int | None


def make_pictures(chosen: PictureChoices, how: Execution) -> None:
    """Make every picture that is not there yet, and say how many there are.

    Raises:
        JStyleIDError: something given cannot be used, or something failed.
    """
    device = choose_device(how.device, how.gpus)
    places = choose_places(device, how.gpus, how.workers)
    # Resolved now: pictures of both precisions in one folder would not be the same run.
    dtype = runtime.default_dtype(device) if how.dtype == "auto" else how.dtype
    plan, settings = planned_pictures(chosen, dtype)
    folder = OutFolder(how.out)
    folder.prepare()
    tally = Tally(plan.pictures)
    with session(folder, folder.log, tally) as reporter:
        source = CoreModel(named_source(how.model), device, reporter, places)
        request = RunRequest(plan, settings, folder, how.batch, how.force)
        try:
            run_split(request, source, reporter, tally)
        except IncompleteError:
            # When something failed one wants to look, too.
            write_pages(plan, settings, folder, reporter)
            raise
        write_pages(plan, settings, folder, reporter)
    print(f"{tally.done} of {tally.total} pictures are in {how.out}; look at {folder.gallery}")
    print(f"score them: jdiff-check --upload {how.out} --gt {chosen.data / chosen.split}")
