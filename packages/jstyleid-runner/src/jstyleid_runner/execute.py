"""Carrying out the work that is left, in this process, one style after the other."""

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Generic

from jstyleid_core.images import fit, open_image, save_png
from jstyleid_runner.engine import Engine, StyleT
from jstyleid_runner.facts import as_text
from jstyleid_runner.out_folder import OutFolder
from jstyleid_runner.progress import Reporter
from jstyleid_runner.style_sheet import write_style_sheet
from jstyleid_runner.survey import Pending, StyleWork

log = logging.getLogger(__name__)


@dataclass
class Tally:
    """How far a run is, readable at any moment: also after it was stopped."""

    pictures: int = 0
    done: int = 0


class Executor(Generic[StyleT]):
    """Makes pictures and saves each the moment it is there, so that a stop loses nothing more.

    Within a style each batch is drawn and stylised before the next is begun: the first pictures
    appear early, and only one style's features are held.
    """

    def __init__(
        self,
        folder: OutFolder,
        engine: Engine[StyleT],
        size: tuple[int, int],
        reporter: Reporter,
        tally: Tally,
        batch: int = 1,
    ) -> None:
        self._folder = folder
        self._engine = engine
        self._size = size
        self._reporter = reporter
        self._tally = tally
        self._batch = batch

    def run(self, work: Sequence[StyleWork]) -> None:
        """Make every picture that is pending."""
        for style_work in work:
            if style_work.pending:
                self._run_style(style_work)

    def _run_style(self, work: StyleWork) -> None:
        invert = work.plan.invert
        # A sheet that shows less than there is would outlive a stop.
        self._folder.sheet(invert.style).unlink(missing_ok=True)
        reference = fit(open_image(invert.reference), self._size)
        with self._job(invert.id, invert.evaluations, invert.evaluations):
            style = self._engine.invert_style(reference, self._reporter.step)
        for batch in _batches(work.pending, self._batch):
            self._draw([item for item in batch if item.content_missing])
            self._stylise(batch, style)
        write_style_sheet(self._folder, work.plan)

    def _draw(self, batch: Sequence[Pending]) -> None:
        if not batch:
            return
        jobs = [item.content for item in batch]
        evaluations = sum(job.evaluations for job in jobs)
        with self._job(", ".join(job.id for job in jobs), jobs[0].steps, evaluations):
            pictures = self._engine.generate(
                [job.prompt for job in jobs], [job.seed for job in jobs], self._reporter.step
            )
            for item, picture in zip(batch, pictures, strict=True):
                path = self._folder.content(item.content.style, item.content.prompt)
                save_png(picture, path, text=as_text(item.content_facts))

    def _stylise(self, batch: Sequence[Pending], style: StyleT) -> None:
        jobs = [item.picture for item in batch]
        evaluations = sum(job.evaluations for job in jobs)
        contents = [open_image(self._folder.content(job.style, job.prompt)) for job in jobs]
        with self._job(", ".join(job.id for job in jobs), jobs[0].evaluations, evaluations):
            pictures = self._engine.transfer(contents, style, self._reporter.step)
            for item, picture in zip(batch, pictures, strict=True):
                path = self._folder.picture(item.picture.style, item.picture.prompt)
                save_png(picture, path, text=as_text(item.picture_facts))
                self._tally.done += 1
                self._reporter.finished(path)

    @contextmanager
    def _job(self, name: str, steps: int, evaluations: int) -> Iterator[None]:
        self._reporter.stage(name, steps, evaluations)
        start = time.monotonic()
        try:
            yield
        except BaseException as error:
            # A stop by the user counts too: the log says what was going on.
            log.error("%s: not done: %s", name, str(error) or type(error).__name__)
            raise
        log.info("%s: done in %.2f s", name, time.monotonic() - start)


def _batches(items: Sequence[Pending], size: int) -> Iterator[list[Pending]]:
    remaining = iter(items)
    while batch := list(islice(remaining, size)):
        yield batch
