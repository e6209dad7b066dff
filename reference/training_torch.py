"""DreamBooth-LoRA by diffusers, peft and torch: the loop of `train_dreambooth_lora.py`.

diffusers' own example script is followed in all that it computes: the scheduler adds the
noise and makes the target, class examples stand behind the samples in the batch and have their own
mean squared error, gradients accumulate, are clipped and handed to torch's AdamW. It has one
learning rate; here B may have another than A, as a second group of parameters.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from diffusers import DDPMScheduler
from diffusers.optimization import get_scheduler
from diffusers.schedulers.scheduling_utils import SchedulerMixin
from peft import LoraConfig
from torch import Tensor, nn


@dataclass(frozen=True)
class Settings:
    """How a LoRA is trained; the names are those of `jstyleid_dreambooth`'s TrainingSettings."""

    steps: int = 20
    rank: int = 4
    alpha: float = 4.0
    learning_rate: float = 1e-4
    up_rate_ratio: float = 1.0
    schedule: str = "constant"
    weight_decay: float = 1e-2
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    max_grad_norm: float | None = 1.0
    batch: int = 1
    accumulation: int = 1
    prior_weight: float | None = None


@dataclass(frozen=True)
class Examples:
    """What one gradient is computed from; with a prior, the second half are class examples."""

    clean: Tensor  # (B, 4, h, w) latents
    noise: Tensor  # of the same shape
    timesteps: Tensor  # (B,)
    context: Tensor  # (B, 77, C)


@dataclass(frozen=True)
class Step:
    """What one step of the optimizer reports."""

    loss: float  # the mean over the accumulated gradients
    grad_norm: float  # before clipping


def adapt(network: nn.Module, settings: Settings, targets: Sequence[str]) -> None:
    """Add A and B to the layers whose path is a target or ends with it."""
    network.add_adapter(LoraConfig(
        r=settings.rank, lora_alpha=settings.alpha, init_lora_weights="gaussian",
        target_modules=list(targets),
    ))


class Training:
    """The LoRA of some adapted networks, in training.

    Attributes:
        trainables: every A (`….down`) and B (`….up`) by part and path of its layer.
    """

    def __init__(
        self, networks: Mapping[str, nn.Module], scheduler: SchedulerMixin, settings: Settings
    ) -> None:
        """The networks are `unet` and, if it is trained too, `text_encoder`."""
        self.unet, self.settings = networks["unet"], settings
        self.scheduler = DDPMScheduler.from_config(scheduler.config)
        self.trainables = {
            _path(part, name): parameter
            for part, network in networks.items()
            for name, parameter in network.named_parameters() if ".lora_" in name
        }
        rates = {"down": settings.learning_rate,
                 "up": settings.learning_rate * settings.up_rate_ratio}
        self.optimizer = torch.optim.AdamW(
            [{"params": [var for name, var in self.trainables.items() if name.endswith(end)],
              "lr": rate} for end, rate in rates.items()],
            betas=(settings.beta1, settings.beta2), eps=settings.epsilon,
            weight_decay=settings.weight_decay,
        )
        self.rates = get_scheduler(
            settings.schedule, self.optimizer, num_warmup_steps=0,
            num_training_steps=settings.steps)

    def loss(self, examples: Examples) -> Tensor:
        """Return what is minimised, the mean squared error of noise or velocity."""
        clean, noise, timesteps = examples.clean, examples.noise, examples.timesteps
        noisy = self.scheduler.add_noise(clean, noise, timesteps)
        predicted = self.unet(noisy, timesteps, examples.context).sample
        if self.scheduler.config.prediction_type == "v_prediction":
            target = self.scheduler.get_velocity(clean, noise, timesteps)
        else:
            target = noise
        if self.settings.prior_weight is None:
            return F.mse_loss(predicted, target)
        predicted, predicted_prior = torch.chunk(predicted, 2)
        target, target_prior = torch.chunk(target, 2)
        prior_loss = F.mse_loss(predicted_prior, target_prior)
        return F.mse_loss(predicted, target) + self.settings.prior_weight * prior_loss

    def backward(self, batches: Iterable[Examples]) -> float:
        """Leave the mean gradient of a step's batches in `grad`; return the mean loss."""
        total = 0.0
        for examples in batches:
            loss = self.loss(examples) / self.settings.accumulation
            loss.backward()
            total += loss.item()
        return total

    def step(self, batches: Iterable[Examples]) -> Step:
        """Take one step of the optimizer."""
        loss = self.backward(batches)
        limit = self.settings.max_grad_norm
        norm = nn.utils.clip_grad_norm_(
            self.trainables.values(), float("inf") if limit is None else limit)
        self.optimizer.step()
        self.rates.step()
        self.optimizer.zero_grad()
        return Step(loss, norm.item())


def _path(part: str, name: str) -> str:
    # transformers 5 dropped a level of its text encoder; checkpoints and older files name it.
    if part == "text_encoder" and not name.startswith("text_model."):
        name = f"text_model.{name}"
    for ours, theirs in (("down", "lora_A"), ("up", "lora_B")):
        name = name.replace(f".{theirs}.default.weight", f".{ours}")
    return f"{part}.{name}"
