"""Findings of the readers of `jstyleid`."""

from __future__ import annotations

import io
import json
import sqlite3
import struct
import tempfile
import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from fuzz.corpus import Found
from fuzz.pictures import pictures
from fuzz.readers import installed
from fuzz.readers.runs import ledger

_DIGITS = "9" * 5000


def _seed(name: str) -> Any:
    [reader] = [each for each in installed() if each.name == name]
    return reader.seeds()[0]  # type: ignore[union-attr]


def _json(name: str, **changes: Any) -> Callable[[], bytes]:
    """The first seed of a reader of JSON with other members."""
    return lambda: json.dumps(json.loads(_seed(name)) | changes).encode()


def _tensors(header: dict[str, Any], data: bytes = b"") -> Callable[[], bytes]:
    text = json.dumps(header).encode()
    return lambda: struct.pack("<Q", len(text)) + text + data


def _shape(*shape: int) -> Callable[[], bytes]:
    size = 4 * int(np.prod(shape, dtype=object))
    return _tensors(
        {"a": {"dtype": "F32", "shape": shape, "data_offsets": [0, size]}}, b"\0" * size
    )


def _broken_exif() -> bytes:
    """A JPEG whose EXIF says that it has hundreds of tags."""
    data = next(each for each in pictures() if each.startswith(b"\xff\xd8") and b"Exif\0\0" in each)
    at = data.index(b"Exif\0\0") + 14
    return data[:at] + b"\x01\x01" + data[at + 2 :]


def _pickle(program: bytes) -> Callable[[], bytes]:
    def made() -> bytes:
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("x/data.pkl", program)
        return file.getvalue()

    return made


def _worker(name: str) -> Callable[[], bytes]:
    def made() -> bytes:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "ledger.sqlite"
            path.write_bytes(ledger())
            with closing(sqlite3.connect(path)) as db:
                db.execute("UPDATE task SET worker = ?", (name,))
                db.commit()
            return path.read_bytes()

    return made


def _state(**changes: Any) -> Callable[[], bytes]:
    def made() -> bytes:
        seed = _seed("training-checkpoint")
        size = int.from_bytes(seed[:8], "little")
        header = json.loads(seed[8 : 8 + size])
        described = json.loads(header["__metadata__"]["training"]) | changes
        header["__metadata__"]["training"] = json.dumps(described)
        text = json.dumps(header).encode()
        return struct.pack("<Q", len(text)) + text + bytes(seed[8 + size :])

    return made


def _tokenizer(**changes: Any) -> Callable[[], bytes]:
    def made() -> bytes:
        described = json.loads(_seed("tokenizer-one-file"))
        described["model"] |= changes
        return json.dumps(described).encode()

    return made


_LATENTS = np.ones((2, 4, 2, 2), np.float32)

FOUND = (
    Found("picture", _broken_exif, None),
    Found("templates", lambda: f'{{"{_DIGITS}": "x"}}'.encode(), "no style"),
    Found("templates", lambda: b'{"00": "\\ud800"}', "half of a surrogate pair"),
    Found("styles", lambda: _DIGITS, None),
    Found("lora-weights", lambda: "~nobody-here:", "does not exist"),
    Found("model-names", lambda: "a" * 5000, "no such checkpoint"),
    Found("scheduler-config", _json("scheduler-config", steps_offset=64), "steps_offset"),
    Found("scheduler-config", _json("scheduler-config", num_train_timesteps=10**12), "num_train"),
    Found("scheduler-config", _json("scheduler-config", beta_end=1e308), "beta_end"),
    Found("vae-config", lambda: b'{"block_out_channels": {}}', "block_out_channels"),
    Found("weight-index", lambda: b'{"weight_map": {"a": ".."}}', "weight_map"),
    Found("weight-index", lambda: b'{"weight_map": {"a": ""}}', "weight_map"),
    Found("unet-config", lambda: b'{"in_channels": ' + b"[" * 400 + b"]" * 400 + b"}", "JSON"),
    Found("safetensors", _shape(*[1] * 43), "which no weight has"),
    Found("safetensors", _shape(2**63, 0), "which no weight has"),
    Found(
        "safetensors",
        _tensors({"a": {"dtype": "F8_E5M2", "shape": [1], "data_offsets": [0, 1]}}, b"\0"),
        "F8_E5M2",
    ),
    Found("torch-file", _pickle(b"\x80\x05\x96\x01\0\0\0\0\0\0\0a."), "BYTEARRAY8"),
    Found("torch-file", _pickle(b"\x80\x02}r\xff\xff\xff\xff."), "4294967295 values"),
    Found("tokenizer-vocabulary", _json("tokenizer-vocabulary", b="x"), "vocab.json: b"),
    Found("tokenizer-vocabulary", _json("tokenizer-vocabulary", b=-1), "vocab.json: b"),
    Found("tokenizer-merges", lambda: b"b q\n", "leads to no word"),
    Found("tokenizer-special", _json("tokenizer-special", pad_token={"id": 1}), "pad_token"),
    Found("tokenizer-special", lambda: b'{"pad_token": "\\ud800"}', "not valid JSON"),
    Found("tokenizer-config", _json("tokenizer-config", added_tokens_decoder={"15": 3}), "added"),
    Found("tokenizer-added", lambda: b'{"<style>": 1e999}', "<style>"),
    Found("tokenizer-one-file", _tokenizer(merges=[[True, "a"]]), "is not a tokenizer"),
    Found("tokenizer-one-file", _tokenizer(unk_token="missing"), "unknown letters"),
    Found("tokenizer-one-file", _tokenizer(continuing_subword_prefix="abc"), "subword_prefix"),
    Found(
        "tokenizer-one-file",
        _tokenizer(merges=[["b", "o"], ["<|endoftext|>", "t</w>"]]),
        "leads to no word",
    ),
    Found("lora-patterns", lambda: {"[[]a": 1}, None),
    Found("training-checkpoint", _state(step=[1]), "step"),
    Found("training-checkpoint", _state(step=2), "figures of shape"),
    Found("training-checkpoint", _state(recipe={}), "it has no settings"),
    Found("training-checkpoint", _state(scale=[1.0]), "scale"),
    Found("class-latents", lambda: save({"mean": np.ones(()), "deviation": np.ones(())}), "shape"),
    Found(
        "class-latents", lambda: save({"mean": _LATENTS, "deviation": _LATENTS[..., None]}), "shape"
    ),
    Found(
        "class-latents",
        lambda: save({"mean": _LATENTS * 1e38, "deviation": _LATENTS}),
        "no latents",
    ),
    Found("run-record", lambda: b'{"format": 1, "settings": {"a": "\\ud800"}}', "not a record"),
    Found("ledger", _worker(_DIGITS), None),
)
