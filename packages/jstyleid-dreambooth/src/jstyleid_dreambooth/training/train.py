"""The training loop, from the beginning or from the last checkpoint."""

from __future__ import annotations

import contextlib
import json
import logging
import math
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

import numpy as np

from jstyleid_core import StableDiffusion
from jstyleid_core.errors import InputError, JStyleIDError, setting
from jstyleid_core.files import remove_leftovers
from jstyleid_core.image_files import open_image
from jstyleid_core.images import Size
from jstyleid_core.progress import Progress, Silent
from jstyleid_dreambooth.lora.files import write_lora
from jstyleid_dreambooth.lora.loras import LoRAs
from jstyleid_dreambooth.training.batches import BatchSampler
from jstyleid_dreambooth.training.card import write_card
from jstyleid_dreambooth.training.checkpoints import (
    TrainingState,
    checkpoints,
    find_training,
    finished_lora,
    lora_file,
)
from jstyleid_dreambooth.training.dataset import Samples, crops, encode, size_of
from jstyleid_dreambooth.training.events import Events
from jstyleid_dreambooth.training.header import TrainedOn, lora_header
from jstyleid_dreambooth.training.job import (
    TrainingJob,
    TrainingRecipe,
    recipe_digest,
)
from jstyleid_dreambooth.training.learner import Learner, StepResult
from jstyleid_dreambooth.training.monitoring import Validator, write_curve
from jstyleid_dreambooth.training.prior import class_samples

log = logging.getLogger(__name__)

_NAME = "training"
_CROPS = 2  # what a seed is for; see `batches`


def train_lora(
    job: TrainingJob, model: StableDiffusion, loras: LoRAs, progress: Progress | None = None
) -> Path:
    """Train a LoRA and write it to `job.folder`; continue from a checkpoint, if any.

    A finished LoRA is left alone. Ctrl-C lets the step end, saves a checkpoint and is raised
    again; a killed training loses the steps since its last checkpoint. A training that is resumed
    gives the same LoRA, bit for bit.

    Args:
        job: job to train.
        model: model; its own weights do not change.
        loras: LoRAs of the model, inactive during the training.
        progress: display of the progress; none by default.

    Returns:
        The LoRA's file.

    Raises:
        InputError: the folder holds a training with other settings, or a sample is unusable.
        TrainingError: the loss is not a number; the last checkpoint is kept.
    """
    if done := finished_lora(job, model.fingerprint):
        return done
    progress = progress or Silent()
    recipe = job.recipe(model.fingerprint)
    state = _last_state(job, model.fingerprint)
    mix = loras.mix
    try:
        loras.use({})
        groups = [_samples(job, model, progress)]
        if job.settings.prior is not None:
            groups.append(class_samples(job, job.settings.prior, model, progress))
        loras.create(_NAME, job.settings.lora)
        training = _Training(job, model, loras, recipe, state, progress)
        try:
            training.run(BatchSampler(model, groups, job.settings))
        finally:
            training.learner.close()
        return training.finish()
    finally:
        if _NAME in loras.mix:
            loras.remove(_NAME)
        loras.use(mix)


class _Training:
    """The state of one training while it runs."""

    def __init__(
        self, job: TrainingJob, model: StableDiffusion, loras: LoRAs, recipe: TrainingRecipe,
        state: TrainingState | None, progress: Progress,
    ) -> None:
        self.job, self.model, self.loras = job, model, loras
        self.recipe, self.progress = recipe, progress
        self.learner = Learner(model, loras, _NAME, job.settings)
        self.history: list[tuple[float, float, float]] = []
        self.saved = 0
        if state is not None:
            self.saved = state.step
            self.learner.restore(state.step, state.tensors, state.scale)
            self.history = [tuple(row) for row in state.history.tolist()]

    def run(self, sampler: BatchSampler) -> None:
        """Take the steps that are left."""
        settings, done = self.job.settings, len(self.history)
        self.progress.stage(f"training {self.job.name}", settings.steps - done,
                         settings.evaluations * (settings.steps - done) // settings.steps)
        start = time.monotonic()
        with Events(self.job, done, self.progress) as events, \
                interrupts_wait(self.progress) as stop_if_asked:
            validator = Validator(self.job, self.model, self.learner, events, self.progress)
            try:
                for step in range(done + 1, settings.steps + 1):
                    result = self.learner.step(sampler.batches(step))
                    self._check(result)
                    self.history.append((result.loss, result.grad_norm, result.learning_rate))
                    events.step(result)
                    self.progress.step(_detail(result, (time.monotonic() - start) / (step - done)))
                    if step % self.job.checkpoint_every == 0:
                        self.save()
                    stop_if_asked()
                    validator.after(step, stop_if_asked)
            except KeyboardInterrupt:
                # Not after a second one in the middle of a step, when some variables have moved.
                if self.learner.optimizer.steps == len(self.history):
                    self.save()
                raise
        self.save()

    def save(self) -> None:
        """Write a checkpoint and the curve, unless nothing has moved since the last."""
        step = len(self.history)
        if step == self.saved:
            return
        scale = self.learner.scale
        state = TrainingState(
            self.recipe, step, self.learner.tensors(),
            None if scale is None else (scale.value, scale.calm), np.array(self.history),
        )
        path = state.save(self.job.folder / "checkpoints", self.job.keep_checkpoints)
        self.saved = step
        log.info("lora/%s: step %d, loss %.4g, %s", self.job.name, step, self.history[-1][0], path)
        write_curve(self.job.folder / "loss.png", state.history,
                    f"LoRA {self.job.name}, rank {self.job.settings.rank}")

    def finish(self) -> Path:
        """Write the LoRA with its recipe, and its card."""
        settings, weights = self.job.settings, self.loras.weights(_NAME)
        base = TrainedOn(
            self.model.name, self.model.checkpoint.architecture.unet.cross_attention_dim,
            self.model.prediction_type)
        # First: where the LoRA is, the training is done.
        write_card(self.job, base)
        return write_lora(lora_file(self.job), weights, {
            **lora_header(self.job, base, weights),
            "base_model": self.model.name,
            "prompt": settings.prompt,
            "styles": ", ".join(style.style for style in self.job.styles),
            "steps": settings.steps,
            "seed": settings.seed,
            "training": json.dumps(settings.model_dump(mode="json"), sort_keys=True),
            "recipe": recipe_digest(self.recipe),
        })

    def _check(self, result: StepResult) -> None:
        if math.isfinite(result.loss) and math.isfinite(result.grad_norm):
            return
        what = (f"the loss is {result.loss}" if not math.isfinite(result.loss)
                else f"the gradients' norm is {result.grad_norm}")
        kept = checkpoints(self.job.folder / "checkpoints")
        last = f"The last good checkpoint is {kept[-1]}" if kept else "There is no checkpoint yet"
        raise TrainingError(
            f"training {self.job.name}, step {result.step}: {what}. {last}; try a lower "
            f"{setting('lr')}, a smaller {setting('max_grad_norm')}, or {setting('dtype')} "
            "float32, in another folder."
        )


def _detail(result: StepResult, seconds: float) -> str:
    return f"loss {result.loss:.4f}, lr {result.learning_rate:.2g}, {seconds:.2f} s/step"


def _last_state(job: TrainingJob, model: str) -> TrainingState | None:
    """The newest checkpoint, if the training can be continued from there."""
    remove_leftovers(job.folder)
    remove_leftovers(job.folder / "checkpoints")
    found = find_training(job, model)
    if found.changes:
        listed = "\n".join(f"  {change}" for change in found.changes)
        raise InputError(
            f"{job.folder}: holds a training with other settings:\n{listed}\n"
            "Give these settings, choose another folder, or remove this one."
        )
    return found.state


def _samples(job: TrainingJob, model: StableDiffusion, progress: Progress) -> Samples:
    """The sample images as latents."""
    settings, posteriors, prompts = job.settings, [], []
    examples, sizes = job.examples(), Counter[Size]()
    for number, (path, prompt) in enumerate(examples):
        progress.preparing(f"encoding samples of {job.name}", number, len(examples))
        image = open_image(path)
        size = size_of(image.size, settings, model.size_multiple)
        sizes[size] += 1
        try:
            cut_outs = crops(image, size, enlarge=settings.enlarge, count=settings.crops,
                             seed=(settings.seed, _CROPS, number))
        except InputError as error:
            raise InputError(f"{path}: {error}") from error
        posteriors.append(encode(model, cut_outs))
        prompts.append(prompt)
    if settings.buckets:
        listed = ", ".join(f"{width}x{height} ({count})"
                           for (width, height), count in sorted(sizes.items()))
        progress.note(f"samples of {job.name} by size: {listed}")
    return Samples(tuple(posteriors), tuple(prompts), 1.0)


@contextlib.contextmanager
def interrupts_wait(progress: Progress) -> Iterator[Callable[[], None]]:
    """Within the block the first Ctrl-C only raises where the function given is called.

    A second one raises at once. Outside the main thread, which alone gets signals, nothing changes.
    """
    asked = False

    def ask(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True
        progress.note("stopping after this step; press Ctrl-C again to lose it")

    def stop_if_asked() -> None:
        if asked:
            raise KeyboardInterrupt

    # Ignored by a parent, or somebody else's business: leave it so.
    ours = (threading.current_thread() is threading.main_thread()
            and signal.getsignal(signal.SIGINT) is signal.default_int_handler)
    if ours:
        signal.signal(signal.SIGINT, ask)
    try:
        yield stop_if_asked
    finally:
        if ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)


class TrainingError(JStyleIDError):
    """A training that cannot continue; the last good checkpoint is kept."""
