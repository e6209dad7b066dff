"""Files of torch.save are read as data: what is code in them is refused, never run."""

from __future__ import annotations

import os
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jstyleid_core.errors import CheckpointError
from jstyleid_core.weights.torch_files import read_torch_file, torch_file
from jstyleid_dreambooth import read_lora
from reference_sets import GOLDEN_LORA

NUMBERS = np.arange(12, dtype=np.float32)


def archive(path: Path, program: bytes, compress: int = zipfile.ZIP_STORED,
            records: dict[str, bytes] | None = None) -> Path:
    with zipfile.ZipFile(path, "w", compress) as file:
        file.writestr("x/data.pkl", program)
        for name, data in (records or {"data/0": NUMBERS.tobytes()}).items():
            file.writestr(f"x/{name}", data)
    return path


def tensor(storage: str = "FloatStorage", offset: int = 0, size: Any = (3, 4),
           strides: Any = (4, 1), count: int = 12) -> bytes:
    """A pickle of {"w": tensor}, in the opcodes of protocol 0 and 2."""
    def whole(values: Any) -> bytes:
        return b"(" + b"".join(b"I%d\n" % value for value in values) + b"t"

    pid = b"(Vstorage\nctorch\n" + storage.encode() + b"\nV0\nVcpu\nI%d\ntQ" % count
    return (b"\x80\x02}(Vw\nctorch._utils\n_rebuild_tensor_v2\n(" + pid + b"I%d\n" % offset
            + whole(size) + whole(strides) + b"\x89}tRu.")


def read(path: Path) -> np.ndarray:
    return read_torch_file(path)["w"]


def test_views_come_out_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "x.bin"
    assert np.array_equal(read(archive(path, tensor())), NUMBERS.reshape(3, 4))
    assert np.array_equal(read(archive(path, tensor(size=(4, 3), strides=(1, 4)))),
                          NUMBERS.reshape(3, 4).T)
    assert np.array_equal(read(archive(path, tensor(offset=5, size=(2,), strides=(3,)))), [5, 8])
    assert read(archive(path, tensor(size=(), strides=()))) == 0


@pytest.mark.parametrize(("storage", "stored"), [
    ("HalfStorage", NUMBERS.astype("<f2")),
    ("DoubleStorage", NUMBERS.astype("<f8")),
    ("BFloat16Storage", (NUMBERS.view(np.uint32) >> 16).astype("<u2")),
    ("LongStorage", NUMBERS.astype("<i8")),
])
def test_kinds_of_numbers(storage: str, stored: np.ndarray, tmp_path: Path) -> None:
    found = read(archive(tmp_path / "x.bin", tensor(storage), records={"data/0": stored.tobytes()}))
    assert found.dtype == np.float32
    assert np.array_equal(found, NUMBERS.reshape(3, 4))


def test_what_is_written_reads_back(tmp_path: Path) -> None:
    tensors = {"a.b": NUMBERS.reshape(3, 4), "c": NUMBERS.reshape(3, 4).T, "d": NUMBERS[:0]}
    (tmp_path / "x.bin").write_bytes(torch_file(tensors))
    found = read_torch_file(tmp_path / "x.bin")
    assert found.keys() == tensors.keys()
    assert all(np.array_equal(found[name], tensors[name]) for name in tensors)


class Malicious:
    """Unpickled by pickle itself, this makes a file."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.target}",)


@pytest.mark.parametrize("wrap", [lambda x: x, lambda x: {"w": x}, lambda x: OrderedDict(w=[x])])
def test_code_is_refused_and_not_run(wrap: Any, tmp_path: Path) -> None:
    target = tmp_path / "made"
    program = pickle.dumps(wrap(Malicious(target)))
    path = archive(tmp_path / "pytorch_lora_weights.bin", program)
    with pytest.raises(CheckpointError) as caught:
        read_lora(path)
    assert str(caught.value) == (
        f"{path} asks for posix.system, which is code or a kind of data that a LoRA file has no "
        "need of; nothing of it was run. Use a .safetensors file from a source you trust."
    )
    assert not target.exists()
    pickle.loads(program)
    assert target.exists()  # what pickle itself would have done


@pytest.mark.parametrize("name", [
    b"builtins\neval", b"builtins\ngetattr", b"torch\nload", b"torch._utils\n_rebuild_tensor",
    b"numpy.core.multiarray\n_reconstruct", b"collections\nCounter",
    b"jstyleid_core.weights.torch_files\nPath", b"torch\nUntypedStorage",
])
def test_names_that_are_refused(name: bytes, tmp_path: Path) -> None:
    path = archive(tmp_path / "x.bin", b"c" + name + b"\n.")
    with pytest.raises(CheckpointError, match=f"asks for {name.decode().replace(chr(10), '.')},"):
        read_lora(path)


@pytest.mark.parametrize("program", [
    tensor(size=(3, 5)), tensor(offset=1), tensor(size=(10**9, 10**9), strides=(0, 0)),
    tensor(offset=-1), tensor(strides=(-4, 1)), tensor(size=(3,)), tensor(count=11),
    tensor().replace(b"V0\n", b"V../../etc\n"), tensor().replace(b"Vstorage", b"Vmodule"),
    b"ctorch\nFloatStorage\n(tR.", b"ctorch\nFloatStorage\n}Vx\nI1\nsb.",
    b"ctorch._utils\n_rebuild_tensor_v2\n(N}V__call__\nI1\nstb.", b"", b"garbage", b"\x80\x02}",
])
def test_nonsense_is_damage(program: bytes, tmp_path: Path) -> None:
    path = archive(tmp_path / "x.bin", program)
    with pytest.raises(CheckpointError, match=r"x\.bin is damaged or truncated \(.*\)\. Download"):
        read_lora(path)


def test_compressed_records_are_refused(tmp_path: Path) -> None:
    path = archive(tmp_path / "x.bin", tensor(), zipfile.ZIP_DEFLATED)
    with pytest.raises(CheckpointError, match=r"record data\.pkl is compressed"):
        read_lora(path)


def test_an_archive_of_something_else(tmp_path: Path) -> None:
    path = tmp_path / "x.bin"
    for names in ((), ("readme.txt",), ("x/data/0",)):
        with zipfile.ZipFile(path, "w") as file:
            for name in names:
                file.writestr(name, b"text")
        with pytest.raises(CheckpointError, match=r"x\.bin is damaged .*'data\.pkl'"):
            read_lora(path)


@pytest.mark.parametrize("name", ["x.bin", "x.pt", "x.ckpt", "x.safetensors", "x"])
def test_content_decides_not_the_name(name: str, tmp_path: Path) -> None:
    for file in ("jittor.bin", "jittor.safetensors"):
        (tmp_path / name).write_bytes((GOLDEN_LORA / file).read_bytes())
        assert len(read_lora(tmp_path / name)) == len(read_lora(GOLDEN_LORA / file))


def test_flipped_bits_and_truncation(tmp_path: Path) -> None:
    data = (GOLDEN_LORA / "jittor.bin").read_bytes()
    path = tmp_path / "x.bin"
    at = data.index(b"data/3") + 10
    path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
    with pytest.raises(CheckpointError, match=r"record data/3 is not what was saved"):
        read_lora(path)
    for length in (0, 10, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:length])
        with pytest.raises(CheckpointError, match=r"damaged or truncated|its beginning is lost"):
            read_lora(path)


@pytest.mark.parametrize("program", [b"]." , b"}(Vw\nI1\nu.", b"}(I1\nI1\nu."])
def test_something_else_than_tensors_by_name(program: bytes, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="is not a dictionary of tensors by name"):
        read_lora(archive(tmp_path / "x.bin", program))
