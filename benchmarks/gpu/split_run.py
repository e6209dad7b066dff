"""`jstyleid run --method styleid` on a few drawn pictures, from start to end.

`python split_run.py run CASE RESULT`, started by `measure.py`: on one card and, where more are
visible, on all.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator

from case import Case, Result, main
from jstyleid_core.runtime.gpus import visible_gpus
from jstyleid_core.synthetic.demo_split import draw_split
from jstyleid_runner.scheduling.ledger import read_entries
from jstyleid_runner.storage.layout import OutFolder

STYLES = ("00", "01")
PROMPTS = 2
"""Prompts of a style; four pictures in all for one card."""


def run(case: Case) -> Iterator[Result]:
    """Seconds a picture by the number of cards; 0 cards are the CPU."""
    data = case.work / "data"
    if not data.is_dir():
        draw_split(data / "drawn")
    cards = len(visible_gpus()) if case.device == "cuda" else 0
    numbers = [0] if case.device == "cpu" else sorted({1, cards})
    result: Result = {}
    for number in numbers:
        result[f"gpus.{number}"] = _measured(case, number)
        yield result


def _measured(case: Case, gpus: int) -> Result:
    _started(case, gpus, STYLES[:1], 1)  # kernels are compiled here
    out, wall = _started(case, gpus, STYLES, PROMPTS)
    entries = [entry for entry in read_entries(out.ledger)
               if entry.started is not None and entry.seconds is not None]
    pictures = len(STYLES) * PROMPTS
    begun = min(entry.started or 0 for entry in entries)
    ended = max((entry.started or 0) + (entry.seconds or 0) for entry in entries)
    return {"pictures": pictures, "steps": case.sizes.run_steps, "wall_seconds": round(wall, 3),
            "wall_per_picture": round(wall / pictures, 3),
            "seconds_per_picture": round((ended - begun) / pictures, 3)}


def _started(
    case: Case, gpus: int, styles: tuple[str, ...], prompts: int
) -> tuple[OutFolder, float]:
    """A run from its start: its folder, and the seconds that it took."""
    out = case.work / f"run-{gpus}"
    shutil.rmtree(out, ignore_errors=True)
    steps, pixels = str(case.sizes.run_steps), str(case.sizes.pictures[0])
    command = [
        sys.executable, "-m", "jstyleid_runner", "run", "--method", "styleid", "--split", "drawn",
        "--data", str(case.work / "data"), "--out", str(out), "--styles", ",".join(styles),
        "--prompts", str(prompts), "--size", pixels, "--steps", steps, "--content-steps", steps,
        "--model", str(case.model), "--device", case.device, "--gpus", str(gpus),
    ]
    start = time.monotonic()
    subprocess.run(command, check=True, stdout=sys.stderr)
    return OutFolder(out), time.monotonic() - start


if __name__ == "__main__":
    main({"run": run})
