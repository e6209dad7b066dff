"""This project beside torch and diffusers on this machine's CPU: one table of times and ratios.

``tox -e bench [-- --parts unet styleid training card start --pairs N --out FILE]``. The two sides
never share an environment: each measurement is a process in the tox environment of its side. Both
sides of a row are measured in turn, and the medians of the pairs' ratios are given, since a
machine's speed drifts; an idle machine is still the better one. A checkpoint of full size (2.6 GB
of random float16 weights) is written once into `.reference/full`.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
FULL = ROOT / ".reference" / "full"
EMBEDDED = ROOT / "packages" / "jstyleid-core" / "src" / "jstyleid_core" / "embedded"
LATENTS = (16, 32, 64)
SAME_LOSS = 1e-4
HEAD = ("", "threads", "torch", "torch.compile", "jstyleid", "ratio", "goal")

Report = dict[str, float]


@dataclass(frozen=True)
class Row:
    """A line of the table.

    Attributes:
        goal: the highest ratio of this project's time to torch's; None where there is none.
        compiled: torch.compile's time; None where it was not measured.
        torch: torch's; None where nothing of torch's compares.
    """

    title: str
    threads: int
    jstyleid: float
    torch: float | None = None
    compiled: float | None = None
    ratio: float | None = None
    goal: float | None = None
    unit: str = "s"

    def cells(self) -> tuple[str, ...]:
        """The cells of the line."""
        values = (self.torch, self.compiled, self.jstyleid)
        return (self.title, str(self.threads),
                *("" if value is None else shown(value, self.unit) for value in values),
                "" if self.ratio is None else f"{self.ratio:.2f}",
                "" if self.goal is None else f"{self.goal:g}")


def shown(value: float, unit: str) -> str:
    """A number with its unit."""
    if unit == "GiB":
        return f"{value / 2**30:.2f} GiB"
    if unit == "":
        return f"{value:.0f}"
    return f"{value * 1e3:.1f} ms" if value < 0.9995 else f"{value:.2f} s"


def run(environment: str, script: Path, *arguments: object, threads: int | None = None) -> str:
    """Run a script in a tox environment and return what it printed."""
    chosen = {} if threads is None else {"OMP_NUM_THREADS": str(threads)}
    command = [sys.executable, "-m", "tox", "exec", "-qq", "-e", environment, "--",
               "python", str(script), *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True,
                          env=os.environ | chosen).stdout


def last_report(printed: str) -> Report:
    """The last line that is JSON."""
    report: Report = json.loads([line for line in printed.splitlines() if line[:1] == "{"][-1])
    return report


def measure(side: str, name: str, *arguments: object, threads: int) -> Report:
    """Run a measurement of a side and return its report."""
    environment = {"diffusers": "reference", "jittor": "jittor"}[side]
    report = last_report(run(environment, HERE / f"{name}_{side}.py", *arguments, threads=threads))
    print(f"{name} by {side}, {threads} threads, {' '.join(map(str, arguments))}: {report}",
          file=sys.stderr, flush=True)
    return report


class Pairs:
    """Reports of both sides, taken in turn."""

    def __init__(self) -> None:
        self.torch: list[Report] = []
        self.jstyleid: list[Report] = []

    def row(
        self, title: str, threads: int, quantity: str, theirs: str = "", goal: float | None = None,
        compiled: float | None = None,
    ) -> Row:
        """The line of a quantity; `theirs` is its name in torch's reports, if another."""
        torch = [report[theirs or quantity] for report in self.torch]
        ours = [report[quantity] for report in self.jstyleid]
        ratios = [b / a for a, b in zip(torch, ours, strict=True)]
        return Row(title, threads, statistics.median(ours), statistics.median(torch), compiled,
                   statistics.median(ratios), goal,
                   "GiB" if quantity.endswith("bytes") else "s")


def unet(pairs: int, cores: int) -> Iterator[Row]:
    """Evaluations of the UNet: embedded at three sizes, and full size."""
    cases = [("embedded", EMBEDDED, side, 20 if side < 64 else 10, 1.0) for side in LATENTS]
    for name, folder, side, evaluations, goal in [*cases, ("full size", full_size(), 64, 3, 0.9)]:
        for threads in sorted({1, cores}):
            arguments = (folder, "--latent", side, "--evaluations", evaluations)
            found = Pairs()
            with tempfile.TemporaryDirectory() as scratch:
                values = Path(scratch) / "values.safetensors"
                for _ in range(pairs):
                    found.torch.append(measure("diffusers", "unet", *arguments, "--out", values,
                                               threads=threads))
                    found.jstyleid.append(measure("jittor", "unet", *arguments, "--values", values,
                                                  threads=threads))
            compiled = measure("diffusers", "unet", *arguments, "--compile", threads=threads)
            yield found.row(f"UNet, {name}, {side} x {side} latent", threads, "seconds", goal=goal,
                            compiled=compiled["seconds"])
            if folder == FULL and threads == cores:
                yield found.row("loading it", threads, "load_seconds")
                yield found.row("peak memory of loading", threads, "load_peak_bytes")
                yield found.row("peak memory of evaluating", threads, "peak_bytes")


def styleid(pairs: int, cores: int) -> Iterator[Row]:
    """A picture of StyleID with the embedded model."""
    for threads in sorted({1, cores}):
        found = Pairs()
        for _ in range(pairs):
            found.torch.append(measure("diffusers", "styleid", EMBEDDED, threads=threads))
            found.jstyleid.append(measure("jittor", "styleid", EMBEDDED, threads=threads))
        title = "StyleID, 128 pixels, 20 steps, a picture"
        yield found.row(title, threads, "seconds", goal=0.5)
        yield found.row(f"{title} of five together", threads, "batch_seconds", "seconds", 0.5)
        yield found.row("the same, torch with the authors' decodes", threads, "batch_seconds",
                        "with_decodes_seconds")


def training(pairs: int, cores: int) -> Iterator[Row]:
    """A step of DreamBooth-LoRA, rank 4, without and with gradient checkpointing."""
    for name, folder, side, steps in (("embedded", EMBEDDED, 32, 12),
                                      ("full size", full_size(), 64, 3)):
        threads = 1 if folder == EMBEDDED else cores
        for extra, words in (((), ""), (("--gradient-checkpointing",), ", checkpointing")):
            arguments = (folder, "--latent", side, "--steps", steps, *extra)
            found = Pairs()
            for _ in range(pairs):
                found.torch.append(measure("diffusers", "train", *arguments, threads=threads))
                found.jstyleid.append(measure("jittor", "train", *arguments, threads=threads))
                _require_same_losses(found.torch[-1], found.jstyleid[-1])
            yield found.row(f"training step, {name}{words}", threads, "seconds", goal=1.0)
            yield found.row(f"peak memory, {name}{words}", threads, "peak_bytes")


def _require_same_losses(theirs: Report, ours: Report) -> None:
    for name in theirs:
        if name.startswith("loss_") and not math.isclose(theirs[name], ours[name],
                                                         rel_tol=SAME_LOSS):
            sys.exit(f"the losses differ: {theirs} and {ours}")


def card(pairs: int, cores: int) -> Iterator[Row]:
    """Host time and launches of an evaluation on an emulated card whose kernels do nothing."""
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "counts.json"
        command = [sys.executable, "-m", "tox", "run", "-qq", "-e", "cuda-counts", "--",
                   str(full_size()), "--parts", "evaluations", "--out", str(out)]
        subprocess.run(command, cwd=ROOT, check=True, stdout=sys.stderr)
        found = json.loads(out.read_text(encoding="utf-8"))["evaluations"]
    for each in found:
        if each["pixels"] != 512 or each["batch"] > 2:
            continue
        name = f"full size on CUDA, kernels that do nothing, batch {each['batch']}"
        calls = sum(each[kind] for kind in ("launches", "products", "convolutions"))
        yield Row(f"{name}: launches", 1, calls, unit="")
        yield Row(f"{name}: building the graph", 1, each["graph_seconds"])
        yield Row(f"{name}: host time", 1, each["host_seconds"])
        yield Row(f"{name}: host time, replayed", 1, each["replayed"]["seconds"])


def start(pairs: int, cores: int) -> Iterator[Row]:
    """Commands from being typed to their end."""
    picture = ("generate", "a boat", "--model", "embedded", "--size", "64", "--steps", "1",
               "--device", "cpu")
    with tempfile.TemporaryDirectory() as scratch:
        for words, arguments in (
            ("jstyleid --help", ("--help",)),
            ("jstyleid generate, embedded, 64 pixels, 1 step",
             (*picture, "-o", str(Path(scratch) / "boat.png"))),
        ):
            seconds = [float(run("jittor", HERE / "start.py", *arguments, threads=cores))
                       for _ in range(1 + max(pairs, 3))][1:]
            yield Row(words, cores, statistics.median(seconds))


PARTS: dict[str, Callable[[int, int], Iterator[Row]]] = {
    "start": start, "unet": unet, "styleid": styleid, "training": training, "card": card}


def full_size() -> Path:
    """The checkpoint of full size, which is written where it is not there."""
    if not (FULL / "model_index.json").is_file():
        run("reference", HERE / "write_checkpoint.py", FULL)
    return FULL


def machine() -> str:
    """The processor's name and the number of its cores that this process has."""
    lines = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    kinds = [kind for kind in ("avx2", "avx512f", "amx_tile")
             if any(kind in line.split() for line in lines if line.startswith("flags"))]
    return (f"{names[0] if names else platform.machine()} ({', '.join(kinds)}), "
            f"{len(os.sched_getaffinity(0))} cores, {time.strftime('%Y-%m-%d')}")


def table(rows: list[Row]) -> str:
    """The table in Markdown, with the machine above."""
    lines = [machine(), "", "| " + " | ".join(HEAD) + " |", "|---" * len(HEAD) + "|"]
    lines += ["| " + " | ".join(row.cells()) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure the parts, and print the table after each of them."""
    parser = argparse.ArgumentParser(description="Compare jstyleid with torch and diffusers.")
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--out", type=Path, default=ROOT / ".reference" / "bench.md")
    given = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    rows: list[Row] = []
    given.out.parent.mkdir(parents=True, exist_ok=True)
    for part in given.parts:
        for row in PARTS[part](given.pairs, cores):
            rows.append(row)
            given.out.write_text(table(rows), encoding="utf-8")
    print(table(rows))


if __name__ == "__main__":
    main()
