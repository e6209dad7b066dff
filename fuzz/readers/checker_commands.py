"""The commands of `jdiff-check`, on a split, an upload and results."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch  # noqa: F401  # before limits of time: cut off in between, it cannot be repeated

from fuzz.commands import Program, reader_of
from fuzz.pictures import pictures
from fuzz.reader import Reader
from fuzz.readers.checker import result
from jdiff_checker.cli import app


def _make(folder: Path) -> None:
    for style in ("00", "04"):
        for place in (folder / "S" / style / "images", folder / "up" / style):
            place.mkdir(parents=True)
        for name, data in zip(("a.png", "b.png"), pictures(), strict=False):
            (folder / "S" / style / "images" / name).write_bytes(data)
        for name, data in zip(("Ring.png", "Two Words.png"), pictures(), strict=False):
            (folder / "up" / style / name).write_bytes(data)
        (folder / "S" / style / "prompt.json").write_text('{"0": "Ring", "1": "Two Words"}')
    for name in ("one", "two"):
        (folder / "results" / name).mkdir(parents=True)
        (folder / "results" / name / "result.json").write_bytes(result())
    (folder / "out").mkdir()
    (folder / "texts").mkdir()
    (folder / "texts" / "prompts.txt").write_text("Ring\nHotel\n")
    (folder / "weights" / "dino").mkdir(parents=True)
    (folder / "weights" / ".hashes.json").write_text("{}")


def _app() -> Any:
    return app


_CHECK = ("--upload", "up", "--gt", "S", "--metrics", "hist", "--no-cache", "--result", "out")

_PROGRAM = Program(
    "checker-commands",
    _app,
    _make,
    (
        ("compare", "results/one", "results/two"),
        ("compare", "results/one/result.json", "results/two/result.json", "results/one"),
        _CHECK,
        (*_CHECK, "--allow-missing", "--report", "out/page"),
        (*_CHECK, "--styles", "4", "--scoring", "corrected", "--prompts", "texts/prompts.txt"),
        ("--upload", "up", "--gt", "S", "--no-cache", "--result", "out", "--weights", "weights"),
        ("weights", "list", "--dir", "weights"),
        (*_CHECK[:6], "--cache", "out/features.sqlite", "--result", "out"),
    ),
    ("out", "weights"),
    looks=(("compare",),),
)

READERS: list[Reader] = [reader_of(_PROGRAM)]
