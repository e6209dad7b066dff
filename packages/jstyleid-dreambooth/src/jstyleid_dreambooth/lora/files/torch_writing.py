"""Writing what `torch.load` reads, without torch: a zip archive of a pickle and raw numbers."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Mapping, Sequence
from io import BytesIO

import numpy as np
from numpy.typing import NDArray

_ROOT = "pytorch_lora_weights"
# Fixed, so that the same tensors give the same bytes; zip knows no earlier date.
_DATE = (1980, 1, 1, 0, 0, 0)

# Opcodes of pickle's protocol 2.
_PROTO, _STOP, _MARK, _TUPLE, _REDUCE = b"\x80\x02", b".", b"(", b"t", b"R"
_EMPTY_DICT, _SET_ITEMS, _PERSISTENT, _FALSE = b"}", b"u", b"Q", b"\x89"
_REBUILD = b"ctorch._utils\n_rebuild_tensor_v2\n"
_FLOATS = b"ctorch\nFloatStorage\n"
_NO_HOOKS = b"ccollections\nOrderedDict\n)" + _REDUCE


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
