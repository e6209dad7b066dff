"""Steps of DreamBooth-LoRA by torch, diffusers and peft, as their example script trains.

`python reference_steps.py training-reference CASE RESULT`, started by `measure.py`. On the card
the frozen weights are float16, the LoRA float32, the forward pass runs under autocast and the
gradients are scaled (`train_dreambooth_lora.py --mixed_precision fp16`).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.extend(str(Path(__file__).resolve().parents[2] / folder)
                for folder in ("reference", "benchmarks/speed"))

import torch
from diffusers import DDIMScheduler, UNet2DConditionModel
from diffusers.training_utils import cast_training_params

import training_measurement
from case import Case, Result, main, median
from reference_side import forget, peak, prepare, versions
from small_checkpoint import draw
from training_torch import Examples, Settings, Training, adapt


class Trainer:
    """A new LoRA in training on the UNet."""

    def __init__(self, case: Case, checkpointing: bool) -> None:
        self.case, self.half = case, case.best == "float16"
        settings = Settings(steps=case.sizes.training_steps, rank=training_measurement.RANK,
                            alpha=training_measurement.RANK,
                            learning_rate=training_measurement.LEARNING_RATE)
        unet = UNet2DConditionModel.from_pretrained(
            case.model / "unet", torch_dtype=getattr(torch, case.best))
        unet.requires_grad_(False)
        unet.to(case.device)
        adapt(unet, settings, training_measurement.TARGETS)
        cast_training_params(unet, dtype=torch.float32)
        unet.train()
        if checkpointing:
            unet.enable_gradient_checkpointing()
        scheduler = DDIMScheduler.from_pretrained(case.model / "scheduler")
        self.training = Training({"unet": unet}, scheduler, settings)
        for name, var in self.training.trainables.items():
            if name.endswith(".down"):
                var.data = torch.from_numpy(draw(name, var.shape, 0, "float32")).to(case.device)
        self.scaler = torch.amp.GradScaler(case.device, enabled=self.half)

    def step(self, number: int) -> float:
        """Take one step; return the loss."""
        batch = training_measurement.examples(
            self.case.model, self.case.sizes.pictures[0] // 8, number)
        examples = Examples(**{key: torch.from_numpy(array).to(self.case.device)
                               for key, array in batch.items()})
        training = self.training
        with torch.autocast(self.case.device, torch.float16, enabled=self.half):
            loss = training.loss(examples)
        self.scaler.scale(loss).backward()
        self.scaler.unscale_(training.optimizer)
        torch.nn.utils.clip_grad_norm_(training.trainables.values(),
                                       training.settings.max_grad_norm or float("inf"))
        self.scaler.step(training.optimizer)
        self.scaler.update()
        training.rates.step()
        training.optimizer.zero_grad()
        return float(loss.item())


def training(case: Case) -> Iterator[Result]:
    """Steps a second and memory, without and with gradient checkpointing."""
    prepare(case)
    result: Result = {"versions": versions()}
    for name, checkpointing in (("plain", False), ("checkpointing", True)):
        forget(case)
        trainer = Trainer(case, checkpointing)
        times, losses = [], []
        for number in range(case.sizes.training_steps):
            start = time.perf_counter()
            losses.append(trainer.step(number))
            times.append(time.perf_counter() - start)
        result[name] = {"steps_per_second": 1 / median(times[2:]), "losses": losses, **peak(case)}
        yield result
        del trainer


if __name__ == "__main__":
    main({"training-reference": training})
