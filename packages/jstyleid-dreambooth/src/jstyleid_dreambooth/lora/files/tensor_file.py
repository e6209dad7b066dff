"""A LoRA file's tensors, of safetensors or of torch's, known by its content."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jstyleid_core.errors import CheckpointError
from jstyleid_core.weights.tensors import load_tensors
from jstyleid_core.weights.torch_files import read_torch_file
from jstyleid_dreambooth.lora.files.finding import SUFFIXES
from jstyleid_dreambooth.lora.weights import as_float32

_ZIP, _PICKLE = b"PK", b"\x80"


@dataclass(frozen=True)
class TensorFile:
    """A file's tensors as float32, alphas perhaps as float64, and the texts in its header."""

    path: Path
    tensors: Mapping[str, NDArray[Any]]
    header: Mapping[str, str] = field(default_factory=dict)


def read_tensors(path: Path) -> TensorFile:
    """Read a file of safetensors, or of torch's without running code in it.

    Numbers beyond float32 become infinite.

    Raises:
        CheckpointError: the file is damaged, holds code, or is of another kind.
    """
    try:
        with open(path, "rb") as file:
            start = file.read(9)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror or error}.") from error
    with np.errstate(over="ignore", invalid="ignore"):
        # A safetensors file begins with the length of a JSON object, in eight bytes.
        if start[8:] != b"{" and start.startswith((_ZIP, _PICKLE)):
            return TensorFile(path, read_torch_file(path))
        if start[8:] != b"{" and path.suffix.lower() not in SUFFIXES:
            ending = path.suffix or "nothing"
            raise CheckpointError(
                f"{path}: a LoRA file ends in .safetensors or .bin, not in {ending}.")
        tensors, header = load_tensors(path)
        return TensorFile(path, {name: _of_lora(name, values) for name, values in tensors.items()},
                          header)


def _of_lora(name: str, values: NDArray[Any]) -> NDArray[Any]:
    # Alpha is computed with as it is.
    exact = values.dtype == np.float64 and name.endswith(".alpha")
    return values if exact else as_float32(values)
