"""Steps of DreamBooth-LoRA by jstyleid, from the start and on the examples of the torch side.

`python jittor_steps.py training CASE RESULT`, started by `measure.py`.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.extend(str(Path(__file__).resolve().parents[2] / folder)
                for folder in ("reference", "benchmarks/speed"))

import train_jittor
import training_measurement
from case import Case, Result, main, median
from jittor_side import forget, held


def training(case: Case) -> Iterator[Result]:
    """Steps a second and memory, without and with gradient checkpointing."""
    result: Result = {}
    for name, checkpointing in (("plain", False), ("checkpointing", True)):
        forget()
        step = train_jittor.load(argparse.Namespace(
            folder=case.model, steps=case.sizes.training_steps,
            gradient_checkpointing=checkpointing), dtype="auto")
        times, losses = [], []
        for number in range(case.sizes.training_steps):
            batch = training_measurement.examples(
                case.model, case.sizes.pictures[0] // 8, number)
            start = time.perf_counter()
            losses.append(step(batch))
            times.append(time.perf_counter() - start)
        result[name] = {"steps_per_second": 1 / median(times[2:]),
                        "first_seconds": round(times[0], 3), "losses": losses, **held(case)}
        yield result
        del step


if __name__ == "__main__":
    main({"training": training})
