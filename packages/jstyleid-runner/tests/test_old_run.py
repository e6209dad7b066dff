"""A run folder, a saved style and a LoRA of version 0.1.0, made before its modules were rearranged.

`old_run` is what these commands left with the embedded model:

    jstyleid run --split S --model embedded --size 64 --steps 2 --content-steps 2 --train-steps 2 \\
        --rank 1 --device cpu
    jstyleid transfer out/.jstyleid/contents/00/Ring.png data/S/00/images/ball.png \\
        -o transferred.png --model embedded --size 64 --steps 2 --save-style style.safetensors
"""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from jstyleid_core import runtime
from jstyleid_dreambooth import read_lora
from jstyleid_runner.cli import app
from jstyleid_runner.planning.provenance import read_provenance

OPTIONS = ["--model", "embedded", "--size", "64", "--steps", "2", "--device", "cpu"]
RUN = ["run", "--split", "S", *OPTIONS, "--content-steps", "2", "--train-steps", "2", "--rank", "1"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of everything, and the working directory."""
    shutil.copytree(Path(__file__).parent / "old_run", tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(runtime, "redirect_native_output", lambda path: None)
    return tmp_path


def invoke(*words: str) -> Result:
    result = CliRunner().invoke(app, list(words))
    assert result.exit_code == 0, result.output
    return result


def test_its_status(folder: Path) -> None:
    status: dict[str, Any] = json.loads(invoke("status", "out", "--json").stdout)
    assert {stage["stage"]: stage["done"] for stage in status["stages"]} == {
        "train": 1, "invert": 1, "draw": 2, "stylise": 2}  # fmt: skip
    assert all(stage["waiting"] == stage["set_aside"] == 0 for stage in status["stages"])
    assert status["process"] is None
    assert "no run is at work" in invoke("status", "out").stdout


def test_the_same_run_has_nothing_to_do(folder: Path) -> None:
    pictures = {path: path.read_bytes() for path in folder.rglob("*.png")}
    record = json.loads(Path("out/.jstyleid/run.json").read_text())
    result = invoke(*RUN)
    assert "2 pictures, 2 there already; 0 UNet evaluations to do" in result.stderr
    assert "2 of 2 pictures are in out" in result.stdout
    assert {path: path.read_bytes() for path in pictures} == pictures
    after = json.loads(Path("out/.jstyleid/run.json").read_text())
    assert after["model"]["fingerprint"] == record["model"]["fingerprint"]
    assert {**after, "model": 0, "versions": 0} == {**record, "model": 0, "versions": 0}


def test_its_gallery_is_written_anew(folder: Path) -> None:
    """With the same pictures, links and names; the page's look and script are of this version."""
    gallery = Path("out/gallery.html")
    shown = re.compile(r' (src|alt|data-href|data-prompt|data-style)="([^"]*)"')
    before = shown.findall(gallery.read_text())
    assert sum(name == "src" for name, _ in before) == 6
    gallery.unlink()
    invoke(*RUN)
    assert shown.findall(gallery.read_text()) == before


def test_what_can_be_removed_of_it(folder: Path) -> None:
    contents = sorted(Path("out/.jstyleid/contents").rglob("*.png"))
    assert len(contents) == 2
    assert "pictures before they were stylised (2 files)" in invoke(
        "clean", "out", "--contents", "--yes").stdout  # fmt: skip
    assert not any(path.exists() for path in contents)
    assert "2 there already; 0 UNet evaluations to do" in invoke(*RUN).stderr


def test_a_plan_counts_what_is_there(folder: Path) -> None:
    plan = json.loads(invoke("plan", *RUN[1:3], *OPTIONS[2:6], *RUN[-6:], "--json").stdout)
    assert [stage["jobs_left"] for stage in plan["stages"]] == [0] * len(plan["stages"])
    assert plan["other_settings"] == []


def test_its_lora_and_the_saved_style(folder: Path) -> None:
    lora = read_lora(folder / "out/.jstyleid/loras/00/pytorch_lora_weights.safetensors")
    assert "recipe" in lora.about
    content = "out/.jstyleid/contents/00/Ring.png"
    invoke("transfer", content, "data/S/00/images/ball.png", "-o", "new.png", *OPTIONS,
           "--load-style", "style.safetensors")
    # What it is; where its inputs were is recorded since then only.
    assert read_provenance(Path("new.png")) == read_provenance(Path("transferred.png"))
    with Image.open("new.png") as new, Image.open("transferred.png") as old:
        assert "inputs" in json.loads(new.info["jstyleid"])
        assert "inputs" not in json.loads(old.info["jstyleid"])
