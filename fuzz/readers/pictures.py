"""Pictures, their texts, prompts, templates and captions, as `jstyleid` reads them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from unittest.mock import patch

from PIL import Image

from fuzz.containers import of_pictures
from fuzz.mutations import of_bytes, of_json
from fuzz.pictures import pictures, png_with_texts
from fuzz.reader import FileReader, Reader
from jstyleid_core import image_files
from jstyleid_core.errors import InputError
from jstyleid_dreambooth.training.captions import read_captions
from jstyleid_runner.planning.provenance import DamagedError, NotOursError, read_provenance
from jstyleid_runner.storage.prompts import read_prompts, read_templates

_PIXELS = 1_000_000
"""Instead of `MAX_PIXELS`: pictures just below the limit would take seconds each."""


def _read_picture(path: Path) -> None:
    # Pillow's limit is twice its number. Both are as before for what is read after this.
    with (patch.object(image_files, "MAX_PIXELS", _PIXELS),
          patch.object(Image, "MAX_IMAGE_PIXELS", _PIXELS // 2)):
        image = image_files.open_image(path)
    assert image.mode == "RGB"
    assert image.width * image.height <= _PIXELS


def _read_provenance(path: Path) -> None:
    assert isinstance(read_provenance(path), dict)


def _read_prompts(path: Path) -> None:
    for prompt in read_prompts(path):
        prompt.encode()
        assert prompt == prompt.strip()
        assert Path(path.parent / f"{prompt}.png").parent == path.parent


def _read_captions(path: Path) -> None:
    for caption in read_captions("00", [path.with_suffix(".png")]):
        assert caption is None or caption.strip()


def _facts() -> Sequence[bytes]:
    content = {"kind": "content", "prompt": "Ring", "seed": 3, "size": [64, 64], "lora": None}
    facts = {"kind": "stylised", "style": "00", "content": content, "styleid": {"gamma": 0.75}}
    return [
        png_with_texts({"jstyleid": json.dumps(facts), "parameters": "Ring\nSteps: 3"}),
        png_with_texts({"parameters": "x", "jstyleid": json.dumps(facts)}),
        *pictures()[:3],
    ]


_PROMPTS = (
    b'{"0": "Ring", "1": "Hotel", "2": "Two Words"}',
    b'["Ring", "Hotel"]',
    b'{"prompts": ["Ring", "Hotel"]}',
    b'{"0": {"prompt": "Ring", "seed": 3}, "1": "A cat."}',
)

READERS: list[Reader] = [
    FileReader(
        "picture", "picture.png", pictures, _read_picture, (InputError,), of_pictures
    ),
    FileReader(
        "provenance",
        "Ring.png",
        _facts,
        _read_provenance,
        (DamagedError, NotOursError),
        of_pictures,
    ),
    FileReader("prompts", "prompt.json", lambda: _PROMPTS, _read_prompts, (InputError,), of_json),
    FileReader(
        "templates",
        "templates.json",
        lambda: [b'{"00": "{prompt} in style_00", "default": "{prompt} in style_{style}"}'],
        lambda path: read_templates(None, path, "{prompt}", ["00", "04"]),
        (InputError,),
        of_json,
    ),
    FileReader(
        "caption",
        "ball.txt",
        lambda: [b"a ball in [trigger]\n", "a b\u00e4ll".encode("utf-16")],
        _read_captions,
        (InputError,),
        of_bytes,
        lambda: {"ball.png": b""},
    ),
]
