"""What a training shows on its way: the loss curve, and validation pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from jstyleid_core import StableDiffusion
from jstyleid_core.contact_sheet import Cell, contact_sheet
from jstyleid_core.files import atomic_path
from jstyleid_core.image_files import open_image, save_png
from jstyleid_core.progress import Progress
from jstyleid_dreambooth.training.events import Events
from jstyleid_dreambooth.training.job import TrainingJob
from jstyleid_dreambooth.training.learner import Learner

_WINDOW = 25


def write_curve(path: Path, history: NDArray[np.float64], title: str) -> None:
    """Draw losses and their running mean into a PNG.

    Args:
        path: path of the picture.
        history: (steps, 3) loss, gradient norm and learning rate of each step.
        title: title of the figure.
    """
    # Matplotlib takes a second to import, and only this needs it.
    from matplotlib.figure import Figure

    losses = history[:, 0]
    steps = np.arange(1, len(losses) + 1)
    window = min(_WINDOW, len(losses))
    mean = np.convolve(losses, np.full(window, 1 / window), mode="valid")
    figure = Figure(figsize=(8, 4.5), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    axes.plot(steps, losses, color="0.75", linewidth=0.8, label="loss of each step")
    axes.plot(steps[window - 1 :], mean, color="tab:blue", label=f"mean of {window} steps")
    axes.set(xlabel="step", ylabel="loss", title=title, xlim=(0, len(losses) + 1))
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.legend()
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png")


class Validator:
    """Draws a job's validation prompts every so many steps, each time from the same noise."""

    def __init__(
        self, job: TrainingJob, model: StableDiffusion, learner: Learner, events: Events,
        progress: Progress,
    ) -> None:
        self._job, self._model, self._learner = job, model, learner
        self._events, self._progress = events, progress
        self._folder = job.folder / "validation"

    def after(self, step: int, stop_if_asked: Callable[[], None]) -> None:
        """Draw, if due after this step; `stop_if_asked` is called at every sampling step."""
        wanted = self._job.validation
        if wanted is None or step % wanted.every:
            return
        folder = self._folder / f"step-{step:06}"
        with self._learner.eval_mode():
            for number, (stem, prompt) in enumerate(wanted.prompts):
                self._progress.preparing(f"drawing after step {step}", number, len(wanted.prompts))
                [picture] = self._model.generate(
                    [prompt], [self._job.settings.seed], steps=wanted.steps,
                    guidance_scale=wanted.guidance, size=self._job.settings.size,
                    on_step=stop_if_asked)
                save_png(picture, folder / f"{stem}.png", {"prompt": prompt})
                self._events.picture(step, stem, picture)
        self._write_sheet([stem for stem, _ in wanted.prompts])
        self._progress.note(f"step {step}: {self._job.validation_sheet}")

    def _write_sheet(self, stems: Sequence[str]) -> None:
        """Lay the samples, and a column of pictures for each prompt, on one sheet."""
        heads = [Cell(image.name, open_image(image))
                 for style in self._job.styles for image in style.images]
        folders = sorted(self._folder.glob("step-*"))
        columns = [[Cell(f"{folder.name}: {stem}", _opened(folder / f"{stem}.png"))
                    for folder in folders] for stem in stems]
        save_png(contact_sheet(heads, columns), self._job.validation_sheet)


def _opened(path: Path) -> Image.Image | None:
    """A picture; None where a stopped training, or one with other prompts, has not drawn it."""
    return open_image(path) if path.is_file() else None
