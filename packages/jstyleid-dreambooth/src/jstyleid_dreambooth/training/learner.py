"""The learner: the objective, its gradients, their clipping, and the optimizer's step."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jstyleid_core import StableDiffusion
from jstyleid_core.errors import InputError
from jstyleid_core.interfaces import run_directly
from jstyleid_core.runtime.jittor import Var, jt
from jstyleid_dreambooth.lora.loras import LoRAs
from jstyleid_dreambooth.training.batches import Batch
from jstyleid_dreambooth.training.gradient_checkpointing import GradientCheckpointing
from jstyleid_dreambooth.training.optimizer import AdamW, LossScale, learning_rate
from jstyleid_dreambooth.training.settings import TrainingSettings


@dataclass(frozen=True)
class Gradients:
    """Loss and gradients of a step.

    Attributes:
        loss: the objective's value, averaged over the batches.
        arrays: gradient of each variable of `Trainables.all`, averaged over the batches; float32.
        norm: Euclidean norm over all gradients.
    """

    loss: float
    arrays: list[Var]
    norm: float


@dataclass(frozen=True)
class StepResult:
    """Figures of one optimizer step.

    Attributes:
        step: number of the step; the first is 1.
        loss: loss before the step.
        grad_norm: norm of the gradients before clipping.
        learning_rate: learning rate of A.
    """

    step: int
    loss: float
    grad_norm: float
    learning_rate: float


class Learner:
    """Trains one LoRA of a model, step by step; only dropout masks are random.

    Args:
        model: model whose UNet (and text encoder) has the LoRA.
        loras: LoRAs of the model; no other may be active.
        name: name of the LoRA to train.
        settings: settings of the training.

    Attributes:
        trainables: the LoRA's variables.
        optimizer: optimizer with its state.
        scale: loss scale, where the model computes in float16.
    """

    def __init__(
        self, model: StableDiffusion, loras: LoRAs, name: str, settings: TrainingSettings
    ) -> None:
        self._model, self._loras, self._name, self._settings = model, loras, name, settings
        self.trainables = loras.train(name)
        factors = [1.0, settings.up_rate_ratio] * len(self.trainables.down)
        self.optimizer = AdamW(self.trainables.all, factors, settings)
        self.scale = LossScale() if model.dtype == "float16" else None
        if settings.gradient_checkpointing:
            model.networks.set_block_runner(GradientCheckpointing(self.trainables))

    def close(self) -> None:
        """Restore the model, except for the trained LoRA."""
        self._model.networks.set_block_runner(run_directly)
        self._loras.stop_training()

    @contextlib.contextmanager
    def eval_mode(self) -> Iterator[None]:
        """Run the block as after training: without gradients and without dropout."""
        self._loras.stop_training()
        try:
            yield
        finally:
            self._loras.train(self._name)

    def tensors(self) -> dict[str, NDArray[np.float32]]:
        """The LoRA's values and the optimizer's means, by name."""
        return {name: var.numpy() for name, var in self._variables().items()}

    def restore(
        self, step: int, tensors: Mapping[str, NDArray[np.float32]],
        scale: tuple[float, int] | None,
    ) -> None:
        """Restore the state of a learner after `step` steps.

        Raises:
            InputError: a tensor is missing or of another shape.
        """
        variables = self._variables()
        for name, var in variables.items():
            if name not in tensors or tensors[name].shape != tuple(var.shape):
                raise InputError(
                    f"the checkpoint of step {step} holds no {name} of shape {list(var.shape)}: "
                    "it is damaged. Remove it: the training then goes on from the one before.")
        for name, var in variables.items():
            var.assign(jt.array(tensors[name]))
        for var in self.trainables.all:
            var.start_grad()
        self.optimizer.steps = step
        if self.scale is not None and scale is not None:
            self.scale.value, self.scale.calm = scale

    def _variables(self) -> dict[str, Var]:
        names = [f"{name}.{which}" for name in self.trainables.names for which in ("down", "up")]
        parts = (("", self.trainables.all), (".first", self.optimizer.first),
                 (".second", self.optimizer.second))
        return {name + suffix: var for suffix, variables in parts
                for name, var in zip(names, variables, strict=True)}

    def step(self, batches: Sequence[Batch]) -> StepResult:
        """One optimizer step on the mean of the batches' gradients.

        With a loss or a gradient that is not finite nothing is changed; the result shows it.
        """
        step = self.optimizer.steps + 1
        gradients = self.gradients(batches)
        rate = learning_rate(step, self._settings)
        if math.isfinite(gradients.loss) and math.isfinite(gradients.norm):
            self.optimizer.step(self._clipped(gradients), rate)
        return StepResult(step, gradients.loss, gradients.norm, rate)

    def gradients(self, batches: Sequence[Batch]) -> Gradients:
        """Loss and gradients, averaged over the batches."""
        while True:
            found = self._scaled_gradients(batches, 1.0 if self.scale is None else self.scale.value)
            # In float16 a gradient may overflow though nothing is wrong: the scale was too large.
            if self.scale is None or not self.scale.too_large(found.loss, found.norm):
                return found

    def _scaled_gradients(self, batches: Sequence[Batch], scale: float) -> Gradients:
        losses = 0.0
        sums: list[Var] = []
        for number, batch in enumerate(batches):
            self._loras.restart_dropout(self._settings.seed, self.optimizer.steps, number)
            examples = example_losses(self._model, batch)
            loss = (examples * jt.array(batch.weights)).sum() / len(batches)
            parts = jt.grad(loss * scale, self.trainables.all)
            with jt.no_grad():
                parts = [part / scale for part in parts]  # exact, the scale is a power of two
                sums = [a + b for a, b in zip(sums, parts, strict=True)] if sums else parts
                jt.sync([loss, *sums])
            losses += loss.item()
        return Gradients(losses, sums, _norm(sums))

    def _clipped(self, gradients: Gradients) -> list[Var]:
        limit = self._settings.max_grad_norm
        if limit is None or gradients.norm <= limit:
            return gradients.arrays
        factor = limit / (gradients.norm + 1e-6)  # as torch's clip_grad_norm_
        with jt.no_grad():
            return [gradient * factor for gradient in gradients.arrays]


def _norm(gradients: Sequence[Var]) -> float:
    with jt.no_grad():
        squares = [(gradient * gradient).sum() for gradient in gradients]
        jt.sync(squares)
    return math.sqrt(math.fsum(square.item() for square in squares))


def example_losses(model: StableDiffusion, batch: Batch) -> Var:
    """The mean squared error of each example, (B,).

    The target is the noise (Ho et al. 2020, equation 14) or, for a checkpoint with v-prediction,
    the velocity sqrt(alpha_bar) noise - sqrt(1 - alpha_bar) x0 (Salimans and Ho 2022, appendix D).
    """
    signal, spread = _coefficients(model, batch.timesteps)
    noisy = signal * batch.latents + spread * batch.noise
    velocity = model.prediction_type == "v_prediction"
    target = signal * batch.noise - spread * batch.latents if velocity else batch.noise
    predicted = model.networks.predict(jt.array(noisy), batch.timesteps, _texts(model, batch))
    errors = predicted - jt.array(target)
    return (errors * errors).mean(dims=(1, 2, 3))


def _coefficients(
    model: StableDiffusion, timesteps: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """sqrt(alpha_bar) and sqrt(1 - alpha_bar), each (B, 1, 1, 1)."""
    alpha_bar = model.schedule.alphas_cumprod[timesteps].reshape(-1, 1, 1, 1)
    return np.sqrt(alpha_bar).astype(np.float32), np.sqrt(1 - alpha_bar).astype(np.float32)


def _texts(model: StableDiffusion, batch: Batch) -> Var:
    if batch.tokens is not None:
        return model.networks.embed(jt.array(batch.tokens))
    return batch.context
