"""Write the reference values that the Jittor side compares with (run in the torch environment).

``python make_values.py --seed S --out DIR``
    builds the small checkpoints with seed S and writes DIR/<name>.safetensors for each, and
    DIR/lora/ and DIR/training/ for one of them (``lora_references.py``,
    ``training_references.py``, ``schedule_references.py``); ``--seed 0 --out golden`` makes the
    committed files, after which ``jittor_lora.py`` and ``jittor_training.py`` are to be run again.
``python make_values.py --fresh DIR [--seed S]``
    makes new checkpoints with torch's initial weights (``fresh_set.py``), of a random seed unless
    one is given, and their values.

The keys of the files are explained in the table at the top of ``reference_values.py``.  Each
file's metadata holds the seed and the versions that computed it.
"""

from __future__ import annotations

import argparse
import secrets
import tempfile
from pathlib import Path

import fresh_set
import lora_references
import lora_schemes_torch
import schedule_references
import training_references
from reference_sets import LORA_CHECKPOINT
from reference_values import values
from small_checkpoint import SMALL, build
from value_files import write


def write_values(folder: Path, seed: int) -> None:
    """Write the values of every small checkpoint into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in SMALL:
        with tempfile.TemporaryDirectory() as checkpoint:
            build(name, Path(checkpoint), seed)
            write(folder / f"{name}.safetensors", values(Path(checkpoint), seed), seed)
            if name == LORA_CHECKPOINT:
                lora_references.write_set(folder / "lora", Path(checkpoint), seed, committed=True)
                lora_schemes_torch.write_set(folder / "lora", Path(checkpoint))
                training_references.write_set(
                    folder / "training", Path(checkpoint), seed, committed=True)
                schedule_references.write_cases(folder / "training")


def main() -> None:
    """Write what the command line asks for."""
    parser = argparse.ArgumentParser(description="Write reference values.")
    parser.add_argument("--seed", type=int, help="default: 0, or a random one with --fresh")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--out", type=Path, help="folder for the small checkpoints' values")
    where.add_argument("--fresh", type=Path, help="folder for new checkpoints and their values")
    arguments = parser.parse_args()
    if arguments.out is not None:
        write_values(arguments.out, arguments.seed or 0)
        return
    seed = secrets.randbelow(2**31) if arguments.seed is None else arguments.seed
    print(f"fresh seed: {seed}", flush=True)
    fresh_set.write_fresh(arguments.fresh, seed)


if __name__ == "__main__":
    main()
