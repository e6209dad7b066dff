"""Carrying out the work that is left, in this process, one style after the other."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Generic

from PIL import Image

from jstyleid_core.images import fit, mean_image, open_image, save_png
from jstyleid_runner.engine import Engine, StyleT
from jstyleid_runner.facts import as_text
from jstyleid_runner.jobs import InvertStyle
from jstyleid_runner.out_folder import OutFolder
from jstyleid_runner.progress import Reporter
from jstyleid_runner.runlog import logged
from jstyleid_runner.style_sheet import write_style_sheet
from jstyleid_runner.survey import Pending, StyleWork
from jstyleid_runner.tally import Tally
from jstyleid_runner.training_watch import TrainingWatch


class Executor(Generic[StyleT]):
    """Makes pictures and saves each the moment it is there, so that a stop loses nothing more.

    Within a style each batch is drawn and stylised before the next is begun: the first pictures
    appear early, and only one style's LoRA and features are held.
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
        drawn_with = {style_work.lora for style_work in work if style_work.undrawn}
        for lora in sorted(filter(None, drawn_with)):
            # Now, not when its style's turn comes, which may be hours later.
            self._engine.check_lora(lora)
        for style_work in work:
            if style_work.pending:
                self._run_style(style_work)

    def _run_style(self, work: StyleWork) -> None:
        # A sheet that shows less than there is would outlive a stop.
        self._folder.sheet(work.plan.style).unlink(missing_ok=True)
        with self._drawing(work):
            style = self._invert(work.plan.invert) if work.plan.invert else None
            for batch in _batches(work.pending, self._batch):
                self._draw([item for item in batch if item.undrawn])
                if style is not None:
                    self._stylise(batch, style)
        write_style_sheet(self._folder, work.plan)

    @contextmanager
    def _drawing(self, work: StyleWork) -> Iterator[None]:
        """The block in which the style can be drawn, if it has to be."""
        if not work.undrawn:
            yield
            return
        lora = work.lora
        if work.training and work.plan.train:
            watch = TrainingWatch(self._reporter, work.plan.train.evaluations, work.plan.samples)
            with logged(work.plan.train.id):
                lora = self._engine.train(work.training, watch)
        start = None
        if images := work.plan.draws[0].start:
            start = mean_image([fit(open_image(path), self._size) for path in images])
        with self._engine.drawing(lora, start):
            yield

    def _invert(self, job: InvertStyle) -> StyleT:
        reference = fit(open_image(job.reference), self._size)
        with self._job(job.id, job.evaluations, job.evaluations):
            return self._engine.invert_style(reference, self._reporter.step)

    def _draw(self, batch: Sequence[Pending]) -> None:
        if not batch:
            return
        jobs = [item.draw for item in batch]
        evaluations = sum(job.evaluations for job in jobs)
        with self._job(", ".join(job.id for job in jobs), jobs[0].steps, evaluations):
            pictures = self._engine.generate(
                [job.text for job in jobs], [job.seed for job in jobs], self._reporter.step
            )
            for item, picture in zip(batch, pictures, strict=True):
                if item.stylise:
                    path = self._folder.content(item.draw.style, item.draw.prompt)
                    save_png(picture, path, text=as_text(item.draw_facts))
                else:
                    self._finish(item, picture)

    def _stylise(self, batch: Sequence[Pending], style: StyleT) -> None:
        jobs = [item.stylise for item in batch if item.stylise]
        evaluations = sum(job.evaluations for job in jobs)
        contents = [open_image(self._folder.content(job.style, job.prompt)) for job in jobs]
        with self._job(", ".join(job.id for job in jobs), jobs[0].evaluations, evaluations):
            pictures = self._engine.transfer(contents, style, self._reporter.step)
            for item, picture in zip(batch, pictures, strict=True):
                self._finish(item, picture)

    def _finish(self, item: Pending, picture: Image.Image) -> None:
        path = self._folder.picture(item.draw.style, item.draw.prompt)
        save_png(picture, path, text=as_text(item.picture_facts))
        self._tally.done += 1
        self._reporter.finished(path)

    @contextmanager
    def _job(self, name: str, steps: int, evaluations: int) -> Iterator[None]:
        self._reporter.stage(name, steps, evaluations)
        with logged(name):
            yield


def _batches(items: Sequence[Pending], size: int) -> Iterator[list[Pending]]:
    remaining = iter(items)
    while batch := list(islice(remaining, size)):
        yield batch
