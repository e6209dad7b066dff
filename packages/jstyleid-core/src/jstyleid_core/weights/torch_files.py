"""Files of `torch.save`, read and written without torch and without running anything in them.

The file is a zip archive of a pickle and one record of raw numbers a tensor. A pickle names
functions to call; here only the few that put a tensor together are known, as stand-ins that make
numpy arrays, and any other name is an error before anything is called.
"""

from __future__ import annotations

import pickle
import pickletools
import struct
import zipfile
import zlib
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from io import BytesIO
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jstyleid_core.errors import CheckpointError
from jstyleid_core.weights.tensors import widen_bfloat16

_STORAGES = {
    "DoubleStorage": "<f8", "FloatStorage": "<f4", "HalfStorage": "<f2",
    "BFloat16Storage": "bfloat16", "LongStorage": "<i8", "IntStorage": "<i4",
}
_LOCAL_HEADER = 30
_BROKEN = (pickle.UnpicklingError, zipfile.BadZipFile, struct.error, NotImplementedError,
           AttributeError, EOFError, ImportError, IndexError, KeyError, OverflowError,
           RecursionError, TypeError, ValueError)
_REFUSED = {"BYTEARRAY8", "NEXT_BUFFER", "READONLY_BUFFER", "EXT1", "EXT2", "EXT4", "INST", "OBJ",
            "NEWOBJ", "NEWOBJ_EX"}
"""Opcodes that no dictionary of tensors has."""

_ROOT = "pytorch_lora_weights"
# Fixed, so that the same tensors give the same bytes; zip knows no earlier date.
_DATE = (1980, 1, 1, 0, 0, 0)

# Opcodes of pickle's protocol 2.
_PROTO, _STOP, _MARK, _TUPLE, _REDUCE = b"\x80\x02", b".", b"(", b"t", b"R"
_EMPTY_DICT, _SET_ITEMS, _PERSISTENT, _FALSE = b"}", b"u", b"Q", b"\x89"
_REBUILD = b"ctorch._utils\n_rebuild_tensor_v2\n"
_FLOATS = b"ctorch\nFloatStorage\n"
_NO_HOOKS = b"ccollections\nOrderedDict\n)" + _REDUCE


def read_torch_file(path: Path) -> dict[str, NDArray[np.float32]]:
    """The tensors of a `.bin` or `.pt` file by name, float32.

    Raises:
        CheckpointError: the file is damaged, names anything but tensors, is not a dictionary of
            tensors, or is in the format torch wrote before version 1.6.
    """
    try:
        data = path.read_bytes()
        if not data.startswith(b"PK"):
            raise CheckpointError(
                f"{path} is not a file that torch 1.6 or later saved, or its beginning is lost. "
                "Download it again, or save it as .safetensors."
            )
        archive = _Archive(data)
        program = archive.read("data.pkl")
        _check_program(program)
        content = _Tensors(path, archive, program).load()
    except _BROKEN as error:
        raise CheckpointError(
            f"{path} is damaged or truncated ({error}). Download it again.") from error
    if not isinstance(content, dict) or not all(
        isinstance(name, str) and isinstance(value, np.ndarray) for name, value in content.items()
    ):
        raise CheckpointError(
            f"{path} is not a dictionary of tensors by name, which a LoRA file is. "
            "Save the LoRA's state dict alone."
        )
    return dict(content)


class _Archive:
    """The records of the zip file, which are stored without compression."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.records = {info.filename: info for info in zipfile.ZipFile(BytesIO(data)).infolist()}
        # Without this record reading it fails, and the message names it.
        self.root = next((name for name in self.records if name.endswith("data.pkl")),
                         "data.pkl").removesuffix("data.pkl")

    def read(self, name: str) -> bytes:
        info = self.records[self.root + name]
        if info.compress_type != zipfile.ZIP_STORED:
            raise ValueError(f"record {name} is compressed")
        # zipfile itself would insist on the checksum, and JDiffusion's files have 0 for all.
        at = info.header_offset
        name_size, extra_size = struct.unpack_from("<HH", self.data, at + _LOCAL_HEADER - 4)
        first = at + _LOCAL_HEADER + name_size + extra_size
        record = self.data[first : first + info.file_size]
        if len(record) != info.file_size or (info.CRC and zlib.crc32(record) != info.CRC):
            raise ValueError(f"record {name} is not what was saved")
        return record


def _check_program(program: bytes) -> None:
    """Refuse opcodes that tensors have no need of, and places in a memory that is not there.

    For a place of 4,000,000,000 Python would take 64 gigabytes.

    Raises:
        ValueError: the pickle has such an opcode, or is cut short.
    """
    for opcode, argument, _ in pickletools.genops(program):
        if opcode.name in _REFUSED:
            raise ValueError(f"a pickle with {opcode.name}")
        if opcode.name.endswith("PUT") and not 0 <= (argument or 0) <= len(program):
            raise ValueError(f"a pickle with {argument} values")


class _Tensors(pickle.Unpickler):
    """An unpickler for the names in `find_class` only, whose stand-ins cannot be tampered with."""

    def __init__(self, path: Path, archive: _Archive, program: bytes) -> None:
        super().__init__(BytesIO(program))
        self.path, self.archive = path, archive
        if f"{archive.root}byteorder" in archive.records:
            order = archive.read("byteorder")
            if order != b"little":
                raise ValueError(f"byte order {order!r}")

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _RebuildTensor()
        if (module, name) == ("torch._utils", "_rebuild_parameter"):
            return _RebuildParameter()
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if module == "torch" and name in _STORAGES:
            return name
        raise CheckpointError(
            f"{self.path} asks for {module}.{name}, which is code or a kind of data that a "
            "LoRA file has no need of; nothing of it was run. "
            "Use a .safetensors file from a source you trust."
        )

    def persistent_load(self, pid: Any) -> NDArray[np.float32]:
        kind, storage, key, _place, count = pid
        # torch's keys are texts, those in JDiffusion's files numbers.
        if kind != "storage" or storage not in _STORAGES or not isinstance(key, (str, int)):
            raise ValueError("unknown kind of record")
        record, number = self.archive.read(f"data/{key}"), _STORAGES[storage]
        if number == "bfloat16":
            values = widen_bfloat16(np.frombuffer(record, "<u2"))
        else:
            values = np.frombuffer(record, number).astype(np.float32)
        if len(values) != count:
            raise ValueError(f"record {key} holds {len(values)} numbers, not {count}")
        return values


class _RebuildTensor:
    """torch._utils._rebuild_tensor_v2: a storage, an offset, a size and strides."""

    __slots__ = ()

    def __call__(
        self, storage: Any, offset: Any, size: Any, strides: Any, *_: Any
    ) -> NDArray[np.float32]:
        numbers = (offset, *size, *strides)
        if (
            not isinstance(storage, np.ndarray) or storage.ndim != 1 or len(size) != len(strides)
            or not all(isinstance(n, int) and n >= 0 for n in numbers)
        ):
            raise ValueError("a tensor that is not one")
        last = offset + sum((n - 1) * step for n, step in zip(size, strides, strict=True))
        # A tensor that repeats its numbers could ask for any amount of memory.
        if prod(size) and (last >= len(storage) or prod(size) > len(storage)):
            raise ValueError("a tensor larger than its record")
        view = np.lib.stride_tricks.as_strided(
            storage[offset:], size, [step * storage.itemsize for step in strides])
        return np.array(view, order="C")


class _RebuildParameter:
    """torch._utils._rebuild_parameter: the tensor is all that matters."""

    __slots__ = ()

    def __call__(self, tensor: Any, *_: Any) -> NDArray[np.float32]:
        if not isinstance(tensor, np.ndarray):
            raise ValueError("a parameter that is not a tensor")
        return tensor


def torch_file(tensors: Mapping[str, NDArray[np.float32]]) -> bytes:
    """The bytes of a file that `torch.load(weights_only=True)` reads as this dictionary."""
    file = BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:

        def record(name: str, data: bytes) -> None:
            archive.writestr(zipfile.ZipInfo(f"{_ROOT}/{name}", _DATE), data)

        record("data.pkl", _pickle(tensors))
        record("byteorder", b"little")
        for number, values in enumerate(tensors.values()):
            record(f"data/{number}", values.astype("<f4").tobytes())
        record("version", b"3\n")
    return file.getvalue()


def _pickle(tensors: Mapping[str, NDArray[np.float32]]) -> bytes:
    items = b"".join(_text(name) + _tensor(number, values)
                     for number, (name, values) in enumerate(tensors.items()))
    return _PROTO + _EMPTY_DICT + _MARK + items + _SET_ITEMS + _STOP


def _tensor(number: int, values: NDArray[np.float32]) -> bytes:
    strides = [step // values.itemsize for step in np.empty(values.shape, np.float32).strides]
    storage = _MARK + _text("storage") + _FLOATS + _text(str(number)) + _text("cpu")
    storage += _integer(values.size) + _TUPLE + _PERSISTENT
    arguments = storage + _integer(0) + _tuple(values.shape) + _tuple(strides) + _FALSE + _NO_HOOKS
    return _REBUILD + _MARK + arguments + _TUPLE + _REDUCE


def _text(text: str) -> bytes:
    data = text.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def _integer(value: int) -> bytes:
    return b"J" + struct.pack("<i", value)


def _tuple(values: Sequence[int]) -> bytes:
    return _MARK + b"".join(map(_integer, values)) + _TUPLE
