"""Full-size SD 2.1 by diffusers and by jstyleid, in turn on the same machine, as ratios.

``tox -e bench [-- --pairs N --folder DIR]``.  The two never share an environment: each measurement
is run in the tox environment of its side.  The checkpoint (2.6 GB of random float16 weights) is
written once into DIR and kept.  Pairs alternate and the medians of the pairs' ratios are given,
since a machine's speed drifts; an idle machine is still the better one.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
QUANTITIES = {
    "load_seconds": "time to load the UNet",
    "load_peak_bytes": "peak memory of loading",
    "forward_first_seconds": "first evaluation",
    "forward_second_seconds": "second evaluation",
    "forward_peak_bytes": "peak memory of evaluating",
}

Measured = dict[str, float]


def run(environment: str, script: str, *arguments: str) -> str:
    """Run a script of this folder in a tox environment and return what it printed."""
    command = [sys.executable, "-m", "tox", "exec", "-q", "-e", environment, "--",
               "python", str(HERE / script), *arguments]
    return subprocess.run(
        command, cwd=HERE.parents[1], stdout=subprocess.PIPE, text=True, check=True).stdout


def measure(environment: str, script: str, *arguments: str) -> Measured:
    """Run a measurement and return its report, the last line that is JSON."""
    lines = [line for line in run(environment, script, *arguments).splitlines() if line[:1] == "{"]
    report: Measured = json.loads(lines[-1])
    return report


def show(value: float, quantity: str) -> str:
    """Return a number with its unit."""
    return f"{value / 2**30:.2f} GiB" if quantity.endswith("bytes") else f"{value:.2f} s"


def main() -> None:
    """Write the checkpoint if it is not there, measure in pairs, print the table."""
    parser = argparse.ArgumentParser(description="Compare jstyleid with diffusers at full size.")
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=HERE.parents[1] / ".reference" / "full")
    arguments = parser.parse_args()
    folder: Path = arguments.folder
    values = folder / "unet_values.safetensors"
    if not (folder / "model_index.json").is_file():
        run("reference", "write_checkpoint.py", str(folder))

    pairs = []
    for number in range(arguments.pairs):
        theirs = measure("reference", "measure_diffusers.py", str(folder), "--out", str(values))
        ours = measure("jittor", "measure_jittor.py", str(folder), "--values", str(values))
        pairs.append((theirs, ours))
        print(f"pair {number + 1} of {arguments.pairs} done", file=sys.stderr, flush=True)

    print(f"{'':28}{'diffusers':>12}{'jstyleid':>12}{'ratio':>8}")
    for quantity, words in QUANTITIES.items():
        theirs_median = statistics.median(theirs[quantity] for theirs, _ in pairs)
        ours_median = statistics.median(ours[quantity] for _, ours in pairs)
        ratio = statistics.median(ours[quantity] / theirs[quantity] for theirs, ours in pairs)
        print(f"{words:28}{show(theirs_median, quantity):>12}{show(ours_median, quantity):>12}"
              f"{ratio:>8.2f}")
    ours = pairs[-1][1]
    print(f"peak of loading / loaded model: {ours['load_peak_bytes'] / ours['model_bytes']:.2f}")


if __name__ == "__main__":
    main()
