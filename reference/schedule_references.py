"""Learning rates of diffusers' `get_scheduler`, step by step, as a JSON file of cases."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from diffusers.optimization import get_scheduler

FILE = "schedules.json"
_CASES = [(schedule, steps, warmup)
          for schedule in ("constant", "linear", "cosine")
          for steps, warmup in ((9, 0), (9, 4), (40, 7), (5, 4), (1, 0))]


def cases() -> list[dict[str, Any]]:
    """Return settings, named as in `TrainingSettings`, each with the rates of its steps."""
    return [{"schedule": schedule, "steps": steps, "warmup_steps": warmup, "learning_rate": 3e-4,
             "rates": _rates(schedule, steps, warmup, 3e-4)} for schedule, steps, warmup in _CASES]


def write_cases(folder: Path) -> None:
    """Write FILE into ``folder``."""
    (folder / FILE).write_text(json.dumps(cases(), indent=1) + "\n")


def _rates(schedule: str, steps: int, warmup: int, rate: float) -> list[float]:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=rate)
    name = "constant_with_warmup" if schedule == "constant" else schedule
    rates = get_scheduler(name, optimizer, num_warmup_steps=warmup, num_training_steps=steps)
    found = []
    for _ in range(steps):
        found.append(rates.get_last_lr()[0])
        optimizer.step()
        rates.step()
    return found
