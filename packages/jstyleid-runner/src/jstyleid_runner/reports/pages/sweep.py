"""The page of a sweep: a table that can be sorted, pictures side by side, and the Pareto front."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jstyleid_runner.reports.pages.gallery import in_order, thumbnail
from jstyleid_runner.reports.pages.page import write_page

_SHOWN = 6
"""Pictures of a run that the page shows."""
_BYTES = 9_000_000
"""Of all pictures of the page."""
_PLOT = (640, 320, 48)
"""Width, height and margin of the plot."""


@dataclass(frozen=True)
class SweepRow:
    """What one run of a sweep has given.

    Attributes:
        folder: name of its folder.
        values: the values that are swept.
        scores: scores by name; `colour` always, those of `jdiff-check` where it was asked.
        evaluations: UNet evaluations a picture, those of styles and trainings included.
        seconds: time that the run took, without what it shares with earlier ones.
        pictures: its pictures.
        settings: settings that the run recorded.
    """

    folder: str
    values: Mapping[str, str]
    scores: Mapping[str, float]
    evaluations: float
    seconds: float
    pictures: tuple[Path, ...]
    settings: Mapping[str, Any]

    @property
    def objective_name(self) -> str:
        """The score that decides which run is the best: the final one where there is one."""
        return "final" if "final" in self.scores else "colour"

    @property
    def objective(self) -> float:
        """That score."""
        return self.scores[self.objective_name]

    def facts(self) -> dict[str, Any]:
        """For JSON."""
        return {"folder": self.folder, "values": dict(self.values), "scores": dict(self.scores),
                "evaluations": self.evaluations, "seconds": self.seconds,
                "settings": dict(self.settings)}


@dataclass(frozen=True)
class Point:
    """A run in the plot, in pixels."""

    x: float
    y: float
    best: bool
    label: str


def pareto(rows: Sequence[SweepRow]) -> list[bool]:
    """Whether no other run has a better score for no more evaluations, for each run."""
    return [not any(
        (other.objective >= row.objective and other.evaluations <= row.evaluations)
        and (other.objective > row.objective or other.evaluations < row.evaluations)
        for other in rows) for row in rows]


def write_sweep(path: Path, rows: Sequence[SweepRow]) -> None:
    """Write the page.

    Raises:
        OutputError: it cannot be written.
    """
    front = pareto(rows)
    shown = [row.pictures[:_SHOWN] for row in rows]
    most = max(2_000, _BYTES // max(sum(map(len, shown)), 1))
    pictures = in_order(lambda file: thumbnail(file, most), [file for some in shown
                                                             for file in some])
    lines = [(row, best, [(file.stem, next(pictures)) for file in some])
             for row, best, some in zip(rows, front, shown, strict=True)]
    write_page(path, "sweep", title="Sweep", lines=lines, names=list(rows[0].values),
               scores=list(rows[0].scores), objective=rows[0].objective_name,
               points=_points(rows, front), plot=_PLOT, ranges=[
                   (min(values), max(values)) for values in (
                       [row.evaluations for row in rows], [row.objective for row in rows])])


def _points(rows: Sequence[SweepRow], front: Sequence[bool]) -> list[Point]:
    width, height, margin = _PLOT
    across = _scale([row.evaluations for row in rows], margin, width - margin)
    up = _scale([row.objective for row in rows], height - margin, margin)
    return [Point(x, y, best, ", ".join(f"{name} {value}" for name, value in row.values.items()))
            for row, best, x, y in zip(rows, front, across, up, strict=True)]


def _scale(values: Sequence[float], low: float, high: float) -> list[float]:
    least, span = min(values), max(values) - min(values)
    return [round(low + (value - least) / span * (high - low) if span else (low + high) / 2, 1)
            for value in values]
