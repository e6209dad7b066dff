"""Both backends in turn on the same machine, each in the tox environment it is made for.

``tox -e bench-backends -- [--folder DIR --lora FILE --latent N --pairs N]`` measures a checkpoint;
by default the small random one, which is written for it. The full-size random one, which
``tox -e bench`` leaves in ``.reference/full``, can be named as DIR.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).resolve().parents[1] / "speed"))

from bench import last_report, run

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = Path(__file__).with_name("measure_backend.py")
ENVIRONMENTS = {"native": "jittor", "jdiffusion": "jdiffusion"}
LIMIT = 1e-5
QUANTITIES = {
    "build_seconds": "time to import and build",
    "load_seconds": "time to load the checkpoint",
    "load_peak_bytes": "peak memory of loading",
    "seconds": "a UNet evaluation",
    "processor_seconds": "the same, all threads' time",
    "peak_bytes": "peak memory of evaluating",
}

Measured = dict[str, float]


def measure(backend: str, arguments: argparse.Namespace, output: Path) -> Measured:
    """Measure a backend in a process of its own; the UNet's answer is left in a file."""
    words = [backend, arguments.folder, "--output", output, "--latent", arguments.latent,
             "--evaluations", arguments.evaluations]
    if arguments.lora is not None:
        words += ["--lora", arguments.lora]
    return last_report(run(ENVIRONMENTS[backend], SCRIPT, *words))


def show(value: float, quantity: str) -> str:
    """Return a number with its unit."""
    return f"{value / 2**30:.2f} GiB" if quantity.endswith("bytes") else f"{value:.3f} s"


def compare(arguments: argparse.Namespace, folder: Path) -> None:
    """Measure in pairs and print the medians; fail if the backends disagree."""
    found: dict[str, list[Measured]] = {backend: [] for backend in ENVIRONMENTS}
    answers = {backend: folder / f"{backend}.npy" for backend in ENVIRONMENTS}
    for _ in range(arguments.pairs):
        for backend, reports in found.items():
            reports.append(measure(backend, arguments, answers[backend]))
    print(f"{'':28}{'native':>12}{'jdiffusion':>12}{'ratio':>8}")
    for quantity, words in QUANTITIES.items():
        native, other = (statistics.median(report[quantity] for report in found[backend])
                         for backend in ENVIRONMENTS)
        print(f"{words:28}{show(native, quantity):>12}{show(other, quantity):>12}"
              f"{other / native:>8.2f}")
    expected, answer = (np.load(file) for file in answers.values())
    apart = float(np.linalg.norm(answer - expected) / np.linalg.norm(expected))
    print(f"the UNets' answers differ by {apart:.1e} of their norm")
    if apart > LIMIT:
        sys.exit(f"more than {LIMIT}")


def main() -> None:
    """Compare on the checkpoint named on the command line, or on the small one."""
    parser = argparse.ArgumentParser(description="Compare the backends' UNets.")
    parser.add_argument("--folder", type=Path, help="a checkpoint in diffusers layout")
    parser.add_argument("--lora", type=Path, help="a LoRA to evaluate with")
    parser.add_argument("--latent", type=int, default=64, help="side of the latent")
    parser.add_argument("--evaluations", type=int, default=5)
    parser.add_argument("--pairs", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        if arguments.folder is None:
            arguments.folder = Path(temporary) / "small"
            writer = ROOT / "reference" / "small_checkpoint.py"
            run("jittor", writer, "sd21-v", arguments.folder)
        compare(arguments, Path(temporary))


if __name__ == "__main__":
    main()
