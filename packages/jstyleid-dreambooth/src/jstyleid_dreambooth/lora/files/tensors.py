"""The named tensors of a LoRA file, whatever container they lie in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open

from jstyleid_core.errors import CheckpointError
from jstyleid_core.weights.tensors import stored_tensors
from jstyleid_core.weights.torch_files import read_torch_file
from jstyleid_dreambooth.lora.weights import as_float32

_NAMES = tuple(f"{stem}.{suffix}" for stem in ("pytorch_lora_weights", "adapter_model")
               for suffix in ("safetensors", "bin"))
_PICKLES = (".bin", ".pt", ".pth", ".ckpt")


@dataclass(frozen=True)
class TensorFile:
    """A file's tensors as float32, and the texts in its header."""

    path: Path
    tensors: Mapping[str, NDArray[np.float32]]
    header: Mapping[str, str] = field(default_factory=dict)


def find_file(path: Path) -> Path:
    """The file itself, or the LoRA file of a folder.

    Raises:
        CheckpointError: nothing is there, or a folder without a LoRA file.
    """
    if path.is_dir():
        for name in _NAMES:
            if (path / name).is_file():
                return path / name
        raise CheckpointError(
            f"{path} holds no LoRA: none of {', '.join(_NAMES)} is in the folder. "
            "Give the file itself if it has another name."
        )
    if not path.is_file():
        raise CheckpointError(f"{path} does not exist. Give a LoRA file, or the folder it is in.")
    return path


def read_tensors(path: Path) -> TensorFile:
    """Read a `.safetensors` file, or a file of torch's without running what is in it.

    Raises:
        CheckpointError: the file is damaged, holds code, or is of another kind.
    """
    if path.suffix == ".safetensors":
        tensors = {}
        for name, stored in stored_tensors([path]).items():
            values = stored.map()
            tensors[name] = widen_bfloat16(values) if stored.dtype == "BF16" else as_float32(values)
        with safe_open(path, framework="numpy") as opened:
            header = opened.metadata() or {}
        return TensorFile(path, tensors, header)
    if path.suffix in _PICKLES:
        return TensorFile(path, read_torch_file(path))
    raise CheckpointError(
        f"{path}: a LoRA file ends in .safetensors or .bin, not in {path.suffix or 'nothing'}.")


def widen_bfloat16(bits: NDArray[np.uint16]) -> NDArray[np.float32]:
    """float32 of bfloat16 stored as uint16: it is the upper half of a float32."""
    return as_float32((bits.astype(np.uint32) << 16).view(np.float32))
