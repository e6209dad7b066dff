"""Safetensors files, read tensor by tensor, without ever holding a whole file.

Untrusted files are read as data only; no other format is accepted.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from jstyleid_core.errors import CheckpointError
from jstyleid_core.json_files import failed_download

_DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "I32": "<i4"}
_MOST_DIMENSIONS, _MOST_NUMBERS = 32, 2**48
"""Of numpy 1; and more than a file can hold."""


@dataclass(frozen=True)
class StoredTensor:
    """Where one tensor's bytes are."""

    name: str
    file: Path
    dtype: str
    shape: tuple[int, ...]
    offset: int

    def map(self) -> NDArray[Any]:
        """The values as stored, read-only and straight from the file; nothing is copied yet.

        bfloat16, which numpy lacks, comes as uint16.
        """
        return np.asarray(np.memmap(self.file, _DTYPES[self.dtype], "r", self.offset, self.shape))

    def rows(self, first: int, count: int) -> StoredTensor:
        """Some of its rows, as a tensor of their own."""
        row = prod(self.shape[1:]) * np.dtype(_DTYPES[self.dtype]).itemsize
        return replace(self, shape=(count, *self.shape[1:]), offset=self.offset + first * row)


def widen_bfloat16(bits: NDArray[np.uint16]) -> NDArray[np.float32]:
    """The float32 values of bfloat16 stored as uint16, which is the upper half of a float32."""
    return np.asarray(np.left_shift(bits, 16, dtype=np.uint32)).view(np.float32)


def load_tensors(file: Path) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """All tensors of a file as numpy has them, bfloat16 as float32, and the texts in its header.

    Raises:
        CheckpointError: see `stored_tensors`.
    """
    tensors = {}
    for name, stored in stored_tensors([file]).items():
        values = stored.map()
        tensors[name] = widen_bfloat16(values) if stored.dtype == "BF16" else np.array(values)
    with safe_open(file, framework="numpy") as opened:
        return tensors, opened.metadata() or {}


def stored_tensors(files: list[Path]) -> dict[str, StoredTensor]:
    """Every tensor of the given files by name; only headers are read.

    Raises:
        CheckpointError: a file is not a whole safetensors file, or uses another number format.
    """
    found: dict[str, StoredTensor] = {}
    for file in files:
        for tensor in _header(file):
            found[tensor.name] = tensor
    return found


def _header(file: Path) -> Iterator[StoredTensor]:
    if file.exists() and not file.is_file():  # a pipe might never end
        raise CheckpointError(f"{file} is no ordinary file. Replace it.")
    try:
        with safe_open(file, framework="numpy"):
            pass  # checks that the header is sound and covers the file exactly
    except FileNotFoundError as error:
        raise CheckpointError(
            f"{file} is missing: the checkpoint is incomplete. Download it again.") from error
    except (SafetensorError, OSError) as error:
        if file.is_file():
            with open(file, "rb") as handle:
                if what := failed_download(handle.read(1000)):
                    raise CheckpointError(f"{file} is {what}") from error
        raise CheckpointError(
            f"{file} is damaged or truncated ({error}). Download it again.") from error
    with open(file, "rb") as handle:
        size = int.from_bytes(handle.read(8), "little")
        entries = json.loads(handle.read(size))
    for name, entry in entries.items():
        if name == "__metadata__":
            continue
        if entry["dtype"] not in _DTYPES:
            raise CheckpointError(
                f"{file}: {name} is stored as {entry['dtype']}, which is not supported. "
                "Use float32, float16 or bfloat16 weights."
            )
        shape = entry["shape"]
        # A tensor without numbers may have any sides in a sound file, but not in numpy.
        if len(shape) > _MOST_DIMENSIONS or prod(side or 1 for side in shape) > _MOST_NUMBERS:
            raise CheckpointError(
                f"{file}: {name} is of shape {str(shape)[:100]}, which no weight has. Replace the "
                "file.")
        yield StoredTensor(name, file, entry["dtype"], tuple(entry["shape"]),
                           8 + size + entry["data_offsets"][0])
