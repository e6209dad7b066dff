"""The state of a training, in a file, so that it can be stopped and goes on."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers.training_utils import EMAModel
from torch import Tensor, nn


class State:
    """Weights, averaged weights, optimizer and step; read from the file if it is there.

    Attributes:
        step: how many are done.
    """

    def __init__(
        self, file: Path, model: nn.Module, average: EMAModel, optimizer: torch.optim.Optimizer
    ) -> None:
        self._file, self.step = file, 0
        self._model, self._average, self._optimizer = model, average, optimizer
        self._parts = {"model": model, "average": average, "optimizer": optimizer}
        if file.exists():
            saved = torch.load(file)
            for name, part in self._parts.items():
                part.load_state_dict(saved[name])
            self.step = saved["step"]

    def descend(self, loss: Tensor, rate: float) -> None:
        """Take one step of the optimizer down the gradient, cut to length 1, and average."""
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        loss.backward()
        nn.utils.clip_grad_norm_(self._model.parameters(), 1.0)
        self._optimizer.step()
        self._optimizer.zero_grad()
        self._average.step(self._model.parameters())

    @contextlib.contextmanager
    def averaged(self) -> Iterator[None]:
        """Run the block with the averaged weights in the model."""
        self._average.store(self._model.parameters())
        self._average.copy_to(self._model.parameters())
        yield
        self._average.restore(self._model.parameters())

    def save(self, step: int, **also: Any) -> None:
        """Write it after a step, whole or not at all."""
        part = self._file.with_suffix(".part")
        states = {name: part.state_dict() for name, part in self._parts.items()}
        torch.save({**states, "step": step, **also}, part)
        part.replace(self._file)


class Log:
    """Mean losses, a line of JSON each, in a file and on the screen."""

    def __init__(self, file: Path) -> None:
        self._file, self._start = file, time.perf_counter()
        self._losses: list[float] = []

    def add(self, loss: float) -> None:
        """Count a step's loss."""
        self._losses.append(loss)

    def write(self, step: int, **also: float) -> None:
        """Write the mean since the last time."""
        entry = {"step": step, "loss": float(np.mean(self._losses)), **also,
                 "seconds": round(time.perf_counter() - self._start, 1)}
        self._losses.clear()
        with self._file.open("a") as file:
            file.write(json.dumps(entry) + "\n")
        print(entry, flush=True)
