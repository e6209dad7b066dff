"""A step of DreamBooth-LoRA by diffusers and peft and by jstyleid, in turn, as ratios.

``python compare_training.py [--size small|full] [--pairs N] [--steps N]`` trains a LoRA of rank 4
on the UNet's attention, batch 1, float32, with and without gradient checkpointing.  ``full`` is
SD 2.1's full size on 64 x 64 latents (pictures of 512 pixels), with the random weights that
``benchmarks/full_size`` writes too and keeps in the same place; it wants 16 GB of memory.

Each measurement runs in the tox environment of its side.  Medians of the pairs are given; that
both sides got the same losses is checked.
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import sys
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[1] / "full_size"))

from compare import measure, run

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
LATENTS = {"small": 32, "full": 64}
STEPS = {"small": 20, "full": 3}
SAME_LOSS = 1e-4

Report = dict[str, Any]


def write_checkpoint(size: str, folder: Path) -> None:
    """Write the checkpoint if it is not there."""
    if (folder / "model_index.json").is_file():
        return
    if size == "full":
        run("reference", "write_checkpoint.py", str(folder))
    else:
        run("reference", str(ROOT / "reference" / "small_checkpoint.py"), "sd21-v", str(folder))


def compare(arguments: list[str], pairs: int) -> list[tuple[Report, Report]]:
    """Measure in pairs, diffusers' first; fail where the losses differ."""
    found = []
    for number in range(pairs):
        theirs: Report = measure("reference", str(HERE / "train_diffusers.py"), *arguments)
        ours: Report = measure("jittor", str(HERE / "train_jittor.py"), *arguments)
        for a, b in zip(theirs["losses"], ours["losses"], strict=True):
            if not math.isclose(a, b, rel_tol=SAME_LOSS):
                sys.exit(f"the losses differ: {theirs['losses']} and {ours['losses']}")
        found.append((theirs, ours))
        print(f"pair {number + 1} of {pairs} done", file=sys.stderr, flush=True)
    return found


def show(words: str, pairs: list[tuple[Report, Report]], quantity: str, unit: float = 1) -> None:
    """Print a line of the table: both medians and the median of the ratios."""
    theirs, ours = (statistics.median(pair[side][quantity] for pair in pairs) for side in (0, 1))
    ratio = statistics.median(ours[quantity] / theirs[quantity] for theirs, ours in pairs)
    print(f"{words:44}{theirs / unit:>12.3f}{ours / unit:>12.3f}{ratio:>8.2f}")


def main() -> None:
    """Measure without and with gradient checkpointing and print the table."""
    parser = argparse.ArgumentParser(description="Compare the training of LoRAs with diffusers.")
    parser.add_argument("--size", choices=LATENTS, default="small")
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--steps", type=int, help="of each measurement, at least 2")
    given = parser.parse_args()
    if given.size == "small":
        # On tensors this small, two threads mostly wait for each other.
        os.environ.setdefault("OMP_NUM_THREADS", "1")
    folder = ROOT / ".reference" / given.size
    write_checkpoint(given.size, folder)

    arguments = [str(folder), "--latent", str(LATENTS[given.size]),
                 "--steps", str(given.steps or STEPS[given.size])]
    print(f"{'':44}{'diffusers':>12}{'jstyleid':>12}{'ratio':>8}")
    for extra, words in (([], ""), (["--gradient-checkpointing"], ", checkpointing")):
        pairs = compare(arguments + extra, given.pairs)
        show(f"steps a second{words}", pairs, "steps_per_second")
        show(f"peak memory in GiB{words}", pairs, "peak_bytes", 2**30)


if __name__ == "__main__":
    main()
