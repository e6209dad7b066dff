"""What both full-size measurements share: the procedure, inputs and the report.

Standard library and numpy only, because one measurement runs beside torch and the other beside
Jittor.  Memory is the resident set as Linux counts it, in bytes; memory-mapped file pages that
were touched are included.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Evaluate = Callable[[], NDArray[Any]]


@dataclass(frozen=True)
class Report:
    """One measurement; printed as one line of JSON."""

    implementation: str  # "diffusers" or "jstyleid"
    threads: int
    model_bytes: int  # the loaded parameters
    import_bytes: int  # resident after the imports, before loading
    load_seconds: float
    load_peak_bytes: int  # highest resident size up to the end of loading
    forward_first_seconds: float
    forward_second_seconds: float
    forward_peak_bytes: int  # highest resident size during the two evaluations

    def line(self) -> str:
        """Return the report as one line of JSON, times to the millisecond."""
        values = {
            key: round(value, 3) if isinstance(value, float) else value
            for key, value in asdict(self).items()
        }
        return json.dumps(values)


def measure(
    implementation: str,
    threads: int,
    load: Callable[[], tuple[Evaluate, int]],
) -> tuple[Report, NDArray[Any]]:
    """Load a UNet, evaluate it twice; return what that cost and the output.

    ``load`` returns the evaluation, from nothing to the output, and the bytes of the parameters.
    """
    import_bytes = resident_bytes()
    start = time.perf_counter()
    evaluate, model_bytes = load()
    load_seconds = time.perf_counter() - start
    load_peak = peak_bytes()

    seconds = []
    reset_peak()
    for _ in range(2):
        start = time.perf_counter()
        output = evaluate()
        seconds.append(time.perf_counter() - start)
    report = Report(
        implementation=implementation,
        threads=threads,
        model_bytes=model_bytes,
        import_bytes=import_bytes,
        load_seconds=load_seconds,
        load_peak_bytes=load_peak,
        forward_first_seconds=seconds[0],
        forward_second_seconds=seconds[1],
        forward_peak_bytes=peak_bytes(),
    )
    return report, output


def inputs() -> dict[str, NDArray[Any]]:
    """Return the UNet's inputs: sample (1, 4, 64, 64), timestep (1,), context (1, 77, 1024)."""
    rng = np.random.default_rng(0)
    return {
        "sample": rng.standard_normal((1, 4, 64, 64), dtype=np.float32),
        "timestep": np.array([501], dtype=np.int32),
        "context": rng.standard_normal((1, 77, 1024), dtype=np.float32),
    }


def resident_bytes() -> int:
    """Return what of this process is in memory now."""
    return _status("VmRSS")


def peak_bytes() -> int:
    """Return the most that was in memory since the start or the last ``reset_peak``."""
    return _status("VmHWM")


def reset_peak() -> None:
    """Let the peak start anew from the present size."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def _status(key: str) -> int:
    """Return an entry of /proc/self/status, which is in KiB, in bytes."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        name, _, value = line.partition(":")
        if name == key:
            return int(value.split()[0]) * 1024
    raise RuntimeError(f"/proc/self/status has no {key}")
