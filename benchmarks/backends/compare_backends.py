"""Both backends in turn on the same machine, each in the tox environment it is made for.

``tox -e bench-backends -- [--folder DIR --latent N --pairs N]`` measures a checkpoint; by default
the small random one, which is written for it. The full-size random one, which ``tox -e bench``
leaves in ``.reference/full``, can be named as DIR.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = Path(__file__).with_name("measure_backend.py")
ENVIRONMENTS = {"native": "jittor", "jdiffusion": "jdiffusion"}
QUANTITIES = {
    "build_seconds": "time to import and build",
    "load_seconds": "time to load the checkpoint",
    "load_peak_bytes": "peak memory of loading",
    "seconds": "a UNet evaluation",
    "peak_bytes": "peak memory of evaluating",
}

Measured = dict[str, float]


def measure(backend: str, folder: Path, latent: int) -> Measured:
    """Measure a backend in a process of its own."""
    command = [sys.executable, "-m", "tox", "exec", "-q", "-e", ENVIRONMENTS[backend], "--",
               "python", str(SCRIPT), backend, str(folder), "--latent", str(latent)]
    printed = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    report: Measured = json.loads(
        [line for line in printed.stdout.splitlines() if line[:1] == "{"][-1])
    return report


def show(value: float, quantity: str) -> str:
    """Return a number with its unit."""
    return f"{value / 2**30:.2f} GiB" if quantity.endswith("bytes") else f"{value:.3f} s"


def compare(folder: Path, latent: int, pairs: int) -> None:
    """Measure in pairs and print the medians; fail if the backends disagree."""
    found: dict[str, list[Measured]] = {backend: [] for backend in ENVIRONMENTS}
    for _ in range(pairs):
        for backend, reports in found.items():
            reports.append(measure(backend, folder, latent))
    print(f"{'':28}{'native':>12}{'jdiffusion':>12}{'ratio':>8}")
    for quantity, words in QUANTITIES.items():
        native, other = (statistics.median(report[quantity] for report in found[backend])
                         for backend in ENVIRONMENTS)
        print(f"{words:28}{show(native, quantity):>12}{show(other, quantity):>12}"
              f"{other / native:>8.2f}")
    norms = [reports[0]["norm"] for reports in found.values()]
    if abs(norms[0] - norms[1]) > 1e-5 * norms[0]:
        sys.exit(f"the outputs differ: their norms are {norms}")


def main() -> None:
    """Compare on the checkpoint named on the command line, or on the small one."""
    parser = argparse.ArgumentParser(description="Compare the backends' UNets.")
    parser.add_argument("--folder", type=Path, help="a checkpoint in diffusers layout")
    parser.add_argument("--latent", type=int, default=64, help="side of the latent")
    parser.add_argument("--pairs", type=int, default=3)
    arguments = parser.parse_args()
    if arguments.folder is not None:
        compare(arguments.folder, arguments.latent, arguments.pairs)
        return
    with tempfile.TemporaryDirectory() as folder:
        writer = ROOT / "reference" / "small_checkpoint.py"
        subprocess.run([sys.executable, "-m", "tox", "exec", "-q", "-e", "jittor", "--", "python",
                        str(writer), "sd21-v", folder], cwd=ROOT, check=True)
        compare(Path(folder), arguments.latent, arguments.pairs)


if __name__ == "__main__":
    main()
