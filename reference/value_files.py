"""Write reference values as one safetensors file, with where they come from in the metadata."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

PACKAGES = ("torch", "diffusers", "transformers", "tokenizers")


def write(path: Path, values: dict[str, NDArray[Any]], seed: int) -> None:
    """Write ``values`` to ``path``; the metadata says the seed and the packages' versions."""
    metadata = {package: version(package) for package in PACKAGES}
    # safetensors writes the memory as it lies: a transposed view would come out scrambled.
    tensors = {key: np.ascontiguousarray(value) for key, value in values.items()}
    save_file(tensors, path, metadata={**metadata, "seed": str(seed)})
