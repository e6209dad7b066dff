"""What `jdiff-check` reads: pictures, prompts, results, its cache."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Sequence
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import numpy as np
from PIL import Image
from rich.console import Console

from fuzz.containers import of_pictures, of_sqlite
from fuzz.mutations import of_bytes, of_json
from fuzz.pictures import pictures
from fuzz.reader import FileReader, Reader, ValueReader
from jdiff_checker.commands.common import parse_metrics, parse_styles
from jdiff_checker.errors import InputError
from jdiff_checker.features.cache import FeatureCache
from jdiff_checker.inputs import images
from jdiff_checker.inputs.folders import prompt_key, style_meant
from jdiff_checker.inputs.prompts import read_prompt_json, read_prompt_list
from jdiff_checker.reports.changes import compare_results
from jdiff_checker.reports.comparison import print_comparison, print_side_by_side
from jdiff_checker.reports.page import write_report
from jdiff_checker.reports.tables import print_result
from jdiff_checker.result import read_result
from jdiff_checker.weights.folder import HashMemo

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

_PIXELS = 1_000_000
"""Instead of `MAX_PIXELS`: pictures just below the limit would take seconds each."""


def _read_picture(path: Path) -> None:
    # Pillow's limit is twice its number. Both are as before for what is read after this.
    with (patch.object(images, "MAX_PIXELS", _PIXELS),
          patch.object(Image, "MAX_IMAGE_PIXELS", _PIXELS // 2)):
        picture = images.inspect(path)
        image = images.decode(path)
    assert image.mode == "RGB"
    assert 0 < image.width * image.height <= _PIXELS
    assert (picture.width, picture.height) == image.size


def _read_prompts(path: Path) -> None:
    for prompt in read_prompt_json(path):
        prompt.encode()
        assert Path(path.parent / f"{prompt}.png").parent == path.parent


def _read_list(path: Path) -> None:
    assert all(prompt_key(prompt) for prompt in read_prompt_list(path))


_PROMPTS = (
    b'{"0": "Ring", "1": "Hotel", "2": "Two Words"}',
    b'["Ring", "Hotel"]',
    b'{"prompts": ["Ring", "Hotel"]}',
    b'{"0": {"prompt": "Ring", "seed": 3}, "1": "A cat."}',
)


def _components(value: float) -> dict[str, float | None]:
    return {
        "dino": value,
        "hist": value / 2,
        "fid": 100.5,
        "lpips": 0.5,
        "clip_iqa": None,
        "clip_r": 0.9,
    }


def result() -> bytes:
    """A `result.json` of one style with two images."""

    def image(name: str, value: float) -> dict[str, Any]:
        likeliest = {"label": name.lower(), "correct": value > 0.5, "top5": [[name.lower(), value]]}
        return {
            "file": f"{name}.png",
            "prompt": name,
            "sha256": "0" * 64,
            "width": 12,
            "height": 9,
            "converted_from": None,
            "dino": value,
            "dino_pairs": {"a.png": value},
            "lpips": 0.5,
            "lpips_pairs": {"a.png": 0.5},
            "hist": {"official": value, "corrected": value},
            "clip_iqa": {"official": value},
            "clip_r": {"official": likeliest, "corrected": likeliest},
        }

    def scored(scoring: str, value: float) -> dict[str, Any]:
        return {
            "scoring": scoring,
            "styles": ["00"],
            "images": 2,
            "components": _components(value),
            "final_score": value,
            "notes": ["x"],
        }

    return json.dumps(
        {
            "schema_version": 1,
            "scoring": "official",
            "metrics": ["dino", "hist"],
            "upload": "up",
            "gt": "data/B",
            "official": scored("official", 0.6),
            "corrected": scored("corrected", 0.5),
            "styles": [
                {
                    "style": "00",
                    "prompts": 2,
                    "images": [image("Ring", 0.7), image("Two", 0.3)],
                    "references": [{"file": "a.png", "sha256": "1" * 64, "width": 5, "height": 4}],
                    "means": {"official": _components(0.5), "corrected": _components(0.4)},
                }
            ],
            "problems": [
                {"kind": "extra", "style": "00", "file": "x", "message": "m", "stops": []}
            ],
            "prompts": ["ring", "two"],
            "prompts_from": "the split",
            "weights": [{"file": "dino/x.pth", "sha256": "2" * 64, "published": True}],
            "versions": {"torch": "2"},
            "device": "cpu",
            "started": "2025-01-01T00:00:00Z",
            "seconds": 3.5,
        }
    ).encode()


def _read_result(path: Path) -> None:
    found = read_result(path)
    usual = path.with_name("usual.json")
    console = Console(file=StringIO(), width=80)
    other = read_result(usual)
    print_comparison(console, compare_results(other, found))
    print_comparison(console, compare_results(found, other))
    print_side_by_side(console, [found, other, found])
    print_result(console, found)
    console.file.getvalue().encode()  # type: ignore[attr-defined]


def _write_page(path: Path) -> None:
    found = read_result(path)
    page = write_report(found, path.parent / "report")
    page.read_text(encoding="utf-8")
    page.unlink()


_NETWORK = "network"
_HASHES = [hashlib.sha256(bytes([number])).hexdigest() for number in range(3)]


def _caches() -> Sequence[bytes]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "features.sqlite"
        with FeatureCache(path) as cache:
            cache.put(_NETWORK, {each: np.arange(4, dtype=np.float32) for each in _HASHES})
        return [path.read_bytes()]


def _read_cache(path: Path) -> None:
    copy = path.with_name("copy.sqlite")
    copy.write_bytes(path.read_bytes())
    try:
        with FeatureCache(copy) as cache:
            for vector in cache.get(_NETWORK, _HASHES).values():
                assert vector.tolist() == [0, 1, 2, 3]
            cache.put(_NETWORK, {_HASHES[0]: np.arange(4, dtype=np.float32)})
            assert cache.get(_NETWORK, _HASHES[:1])
    finally:
        for name in path.parent.glob("copy.sqlite*"):
            name.unlink()


def _read_memo(path: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name in (path.name, "a.bin"):
            (Path(folder) / name).write_bytes(path.with_name(name).read_bytes())
        found = HashMemo(Path(folder)).sha256("a.bin")
    assert found == hashlib.sha256(b"weights").hexdigest()


def _texts(*pieces: str) -> Callable[[], SearchStrategy[Any]]:
    def values() -> SearchStrategy[Any]:
        from hypothesis import strategies as st

        return st.one_of(
            st.lists(st.sampled_from(pieces), max_size=8).map("".join), st.text(max_size=30)
        )

    return values


def _read_styles(text: str) -> None:
    for name in parse_styles(text) or ():
        style_meant(name, ["00", "04", "4", "é", "³", "0" * 250])


READERS: list[Reader] = [
    FileReader(
        "checker-picture",
        "Ring.png",
        pictures,
        _read_picture,
        (InputError,),
        of_pictures,
    ),
    FileReader(
        "checker-prompts", "prompt.json", lambda: _PROMPTS, _read_prompts, (InputError,), of_json
    ),
    FileReader(
        "checker-prompt-list",
        "prompts.json",
        lambda: [b'["ring", "Hotel", " "]'],
        _read_list,
        (InputError,),
        of_json,
    ),
    FileReader(
        "checker-prompt-lines",
        "prompts.txt",
        lambda: [b"ring\r\nHotel\n\n"],
        _read_list,
        (InputError,),
        of_bytes,
    ),
    FileReader(
        "result",
        "result.json",
        lambda: [result()],
        _read_result,
        (InputError,),
        of_json,
        lambda: {"usual.json": result()},
    ),
    FileReader(
        "result-page", "result.json", lambda: [result()], _write_page, (InputError,), of_json
    ),
    FileReader(
        "feature-cache",
        "features.sqlite",
        _caches,
        _read_cache,
        (InputError,),
        of_sqlite({"features": ("network", "content", "digest", "data")}),
    ),
    FileReader(
        "hash-memo",
        ".hashes.json",
        lambda: [
            b'{"a.bin": {"size": 7, "mtime_ns": 1, "inode": 2, "sha256": "' + b"0" * 64 + b'"}}'
        ],
        _read_memo,
        (),
        of_json,
        lambda: {"a.bin": b"weights"},
    ),
    ValueReader(
        "checker-styles",
        _texts("00", "04", ",", "/", " ", "é", "9" * 5000, "..", "٣"),
        _read_styles,
        (InputError,),
    ),
    ValueReader(
        "checker-metrics",
        _texts("dino", "clip-r", ",", " ", "LPIPS", "\0"),
        parse_metrics,
        (InputError,),
    ),
]
