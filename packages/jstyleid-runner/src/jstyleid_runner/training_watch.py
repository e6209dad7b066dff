"""What a training reports, shown on a command's display."""

from collections.abc import Sequence
from pathlib import Path

from jstyleid_core.images import open_image, save_png
from jstyleid_runner.reports.contact_sheet import Cell, contact_sheet
from jstyleid_runner.reports.progress import Reporter


class TrainingWatch:
    """The `Watcher` of one training.

    Args:
        reporter: the display.
        evaluations: what the training was announced to cost.
        samples: the pictures it is trained on, for the sheets.
    """

    def __init__(self, reporter: Reporter, evaluations: int, samples: Sequence[Path]) -> None:
        self._reporter = reporter
        self._announced = evaluations
        self._samples = samples

    def note(self, text: str) -> None:
        """Say something once."""
        self._reporter.note(text)

    def preparing(self, what: str, done: int, total: int) -> None:
        """Something before the steps, or between two."""
        self._reporter.preparing(what, done, total)

    def stage(self, name: str, steps: int, evaluations: int) -> None:
        """A stage begins; only now it is known what it costs.

        There may be class images to draw, and steps that were done before a stop.
        """
        self._reporter.revise(evaluations - self._announced)
        self._announced = 0
        self._reporter.stage(name, steps, evaluations)

    def step(self, detail: str = "") -> None:
        """A step of the stage is done."""
        self._reporter.step(detail)

    def validated(self, step: int, pictures: Sequence[Path]) -> None:
        """Lay validation pictures out on a sheet, beside the folder they are in."""
        heads = [Cell(path.name, open_image(path)) for path in self._samples]
        columns = [[Cell(path.stem, open_image(path))] for path in pictures]
        sheet = pictures[0].parent.with_suffix(".png")
        save_png(contact_sheet(heads, columns), sheet)
        self._reporter.note(f"step {step}: {sheet}")
