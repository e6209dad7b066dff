"""The commands of `jstyleid` that start no Jittor, on a split, a run and LoRAs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from PIL import Image

from fuzz.commands import Program, reader_of
from fuzz.pictures import pictures
from fuzz.reader import Reader
from fuzz.readers.loras import lora_files
from fuzz.readers.runs import killed_ledger, run_record
from jstyleid_core.image_files import encode_png
from jstyleid_core.notes import note_once
from jstyleid_runner.cli import app

_RUN = (
    "--split",
    "S",
    "--method",
    "styleid",
    "--size",
    "64",
    "--steps",
    "4",
    "--model",
    "embedded",
)


def _make(folder: Path) -> None:
    for style in ("00", "04"):
        images = folder / "data" / "S" / style / "images"
        images.mkdir(parents=True)
        for name, data in zip(("ball.png", "apple.png"), pictures(), strict=False):
            (images / name).write_bytes(data)
        (images / "ball.txt").write_text("a ball in [trigger]")
        (images.parent / "prompt.json").write_text('{"0": "Ring", "1": "Two Words"}')
    hidden = folder / "out" / ".jstyleid"
    for name in ("contents/00", "styles", "sheets", "loras/00/checkpoints"):
        (hidden / name).mkdir(parents=True)
    for end, content in killed_ledger().items():
        (hidden / f"ledger.sqlite{end}").write_bytes(content)
    (hidden / "run.json").write_bytes(run_record())
    (hidden / "run.lock").write_text("1")
    (hidden / "run.log").write_text("a line\n")
    (hidden / "styles" / "00.safetensors").write_bytes(lora_files()[0])
    (hidden / "loras" / "00" / "checkpoints" / "step-000003.safetensors").write_bytes(b"x")
    (folder / "out" / "00").mkdir()
    facts = {"kind": "stylised", "style": "00", "method": "styleid", "content": {"prompt": "Ring"}}
    picture = encode_png(Image.new("RGB", (8, 8)), {"jstyleid": json.dumps(facts)})
    for path in (
        folder / "out" / "00" / "Ring.png",
        hidden / "contents" / "00" / "Ring.png",
        folder / "out" / "00" / ".Ring.abcdefgh.part.png",
    ):
        path.write_bytes(picture)
    loras = folder / "loras"
    (loras / "04").mkdir(parents=True)
    (loras / "00.safetensors").write_bytes(lora_files()[0])
    (loras / "04" / "adapter_model.safetensors").write_bytes(lora_files()[2])
    (loras / "04" / "adapter_config.json").write_text(
        '{"peft_type": "LORA", "r": 2, "lora_alpha": 3}'
    )
    texts = folder / "texts"
    texts.mkdir()
    (texts / "run.toml").write_text('[run]\ngamma = ["0.5"]\nsteps = 4\n[train]\nrank = 4\n')
    (texts / "templates.json").write_text('{"00": "{prompt} in style_00"}')


def _app() -> Any:
    note_once.cache_clear()
    return app


_PROGRAM = Program(
    "commands",
    _app,
    _make,
    (
        ("plan", *_RUN),
        ("plan", *_RUN, "--json", "--jobs"),
        ("plan", *_RUN, "--seconds-per-evaluation", "1"),
        ("plan", *_RUN, "--config", "texts/run.toml", "--templates", "texts/templates.json"),
        ("plan", "--split", "S", "--lora", "loras", "--model", "embedded"),
        ("plan", "--split", "S", "--styles", "4,00", "--model", "embedded"),
        ("status", "out"),
        ("status", "out", "--json"),
        ("retry", "out"),
        ("clean", "out", "--yes"),
        ("clean", "out", "--yes", "--contents", "--loras", "--class-images"),
        ("clean", "out"),
        ("config", "show", "--config", "texts/run.toml"),
        ("config", "show", "run", "--config", "texts/run.toml", "--json"),
        ("lora", "info", "loras/00.safetensors"),
        ("lora", "info", "loras/04", "--json"),
        ("lora", "info", "loras/04"),
        (
            "lora",
            "merge",
            "loras/00.safetensors:0.5",
            "loras/04",
            "--out",
            "out/merged.safetensors",
        ),
        (
            "lora",
            "merge",
            "loras/00.safetensors",
            "loras/00.safetensors",
            "--out",
            "out/merged.safetensors",
            "--rank",
            "1",
        ),
    ),
    ("out",),
    looks=(("plan",), ("status",), ("config",), ("lora", "info")),
)

READERS: list[Reader] = [reader_of(_PROGRAM)]
