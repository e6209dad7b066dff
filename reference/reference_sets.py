"""The sets of reference values there are, for either side to compare with (no torch here).

`golden` sets belong to checkpoints built from seed 0 and are committed. `fresh` ones are what the
torch side last left in the folder that JSTYLEID_REFERENCE_FRESH names (see `fresh_set.py`).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from safetensors import safe_open
from safetensors.numpy import load_file

from small_checkpoint import SMALL

GOLDEN_VALUES = Path(__file__).resolve().parent / "golden"
GOLDEN = [f"golden-{name}" for name in SMALL]
GOLDEN_SINGLE_FILES = GOLDEN_VALUES / "single-files.json"
GOLDEN_LORA = GOLDEN_VALUES / "lora"
EMBEDDED = (
    Path(__file__).resolve().parent.parent
    / "packages/jstyleid-core/src/jstyleid_core/embedded"
)
START_SEED, START_STRENGTH = 7, 0.9  # of drawing that begins at a picture
LORA_CHECKPOINT = "sd21-v"  # the small checkpoint that the files in GOLDEN_LORA are for
RANKS = 5e-3
"""Limit of a latent that starts by exact matching, which gives each number the style's number of
its rank. Inversions that differ by 1e-5, as between instruction sets, may change the ranks of
neighbours. In seven of thirty trials with noise of that size they did: the start moved by 1.5e-4
to 7e-4, which the reversal magnified four to six times, to at most 3.6e-3."""


def _fresh_folders() -> dict[str, Path]:
    folder = os.environ.get("JSTYLEID_REFERENCE_FRESH")
    found = sorted(Path(folder).glob("*/values.safetensors")) if folder else []
    return {f"fresh-{path.parent.name}": path.parent for path in found}


FRESH = _fresh_folders()


@dataclass(frozen=True)
class Reference:
    """A checkpoint and what diffusers and transformers answer for it."""

    name: str
    checkpoint: Path
    values: dict[str, NDArray[Any]]
    seed: int

    def picture(self, key: str) -> Image.Image:
        """Return an input or output picture."""
        return Image.fromarray(self.values[key])


def read(name: str, checkpoint: Path, values: Path) -> Reference:
    """Read a set's values and the seed its prompts are drawn from."""
    with safe_open(values, framework="numpy") as opened:
        seed = int(opened.metadata()["seed"])
    return Reference(name, checkpoint, load_file(values), seed)


def distance(found: Any, expected: Any) -> float:
    """Return |found - expected| / |expected| in the Euclidean norm, of arrays or tensors."""
    a, b = (x if isinstance(x, np.ndarray) else x.numpy() for x in (found, expected))
    a, b = a.astype(np.float64), b.astype(np.float64)
    assert a.shape == b.shape, (a.shape, b.shape)
    return float(np.linalg.norm(a - b) / np.linalg.norm(b))
