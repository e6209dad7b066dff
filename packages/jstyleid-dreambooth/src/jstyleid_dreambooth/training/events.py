"""The figures and pictures of a training for TensorBoard and, where asked for, Weights & Biases."""

from __future__ import annotations

import secrets
from pathlib import Path
from types import TracebackType
from typing import Protocol

import numpy as np
from PIL import Image
from typing_extensions import Self

from jstyleid_core.errors import InputError, setting
from jstyleid_core.files import write_whole
from jstyleid_core.progress import Progress
from jstyleid_dreambooth.training.job import TrainingJob
from jstyleid_dreambooth.training.learner import StepResult

_FIGURES = ("loss", "grad_norm", "learning_rate")


class Events:
    """Writes `train/loss`, `train/grad_norm`, `train/learning_rate` and validation pictures.

    Args:
        job: the training.
        done: number of steps done before; later entries of a stopped session are replaced.
        progress: told where the figures can be looked at, if on a server.

    Raises:
        InputError: Weights & Biases cannot be used.
    """

    def __init__(self, job: TrainingJob, done: int, progress: Progress) -> None:
        folder = job.folder / "events"
        wandb = [_Wandb(job, folder / "wandb-run.txt", done, progress)] if job.wandb else []
        self._logs: list[_Log] = [*wandb, _TensorBoard(folder, done)]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for log in self._logs:
            log.close(error is None)

    def step(self, result: StepResult) -> None:
        """Write a step's figures."""
        for log in self._logs:
            log.step(result)

    def picture(self, step: int, name: str, picture: Image.Image) -> None:
        """Write a validation picture."""
        for log in self._logs:
            log.picture(step, f"validation/{name}", picture)


class _Log(Protocol):
    def step(self, result: StepResult) -> None: ...

    def picture(self, step: int, name: str, picture: Image.Image) -> None: ...

    def close(self, well: bool) -> None: ...


class _TensorBoard:
    """A file in TensorBoard's log folder; each session of a training adds one."""

    def __init__(self, folder: Path, done: int) -> None:
        # Slow to import, and only a training needs it.
        from tensorboardX import SummaryWriter

        self._writer = SummaryWriter(str(folder), purge_step=done + 1 if done else None)

    def step(self, result: StepResult) -> None:
        for name in _FIGURES:
            self._writer.add_scalar(f"train/{name}", getattr(result, name), result.step)

    def picture(self, step: int, name: str, picture: Image.Image) -> None:
        self._writer.add_image(name, np.asarray(picture), step, dataformats="HWC")

    def close(self, well: bool) -> None:
        self._writer.close()


class _Wandb:
    """A run of Weights & Biases; a training that is continued continues its run.

    A server keeps the first of two entries of one step. After a stop they are equal.
    """

    def __init__(self, job: TrainingJob, id_file: Path, done: int, progress: Progress) -> None:
        import wandb

        if not done or not id_file.is_file():
            write_whole(id_file, secrets.token_hex(4).encode())
        config = {**job.settings.model_dump(mode="json"),
                  "styles": [style.style for style in job.styles]}
        # The command's own output is for the user, who could not see a question in it.
        quiet = wandb.Settings(console="off", silent=True)
        try:
            wandb.setup(quiet)
            self._run = wandb.init(
                project=job.wandb, name=job.name, id=id_file.read_text(), resume="allow",
                dir=job.folder, config=config, settings=quiet)
        except (wandb.Error, ValueError) as error:
            raise InputError(
                f"{setting('wandb')} {job.wandb}: Weights & Biases cannot be used: {error} Without "
                "an account or a connection set WANDB_MODE=offline; `wandb sync` uploads the run "
                "later.",
                fields=["wandb"],
            ) from error
        self._image = wandb.Image
        if not self._run.offline:
            progress.note(f"training {job.name}: {self._run.url}")

    def step(self, result: StepResult) -> None:
        figures = {f"train/{name}": getattr(result, name) for name in _FIGURES}
        self._run.log(figures, step=result.step)

    def picture(self, step: int, name: str, picture: Image.Image) -> None:
        self._run.log({name: self._image(picture)}, step=step)

    def close(self, well: bool) -> None:
        self._run.finish(exit_code=0 if well else 1)
