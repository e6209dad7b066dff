"""`jstyleid demo`, whole, on a split of one look and two prompts."""

import json
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from jstyleid_core import runtime
from jstyleid_core.synthetic import demo_split
from jstyleid_runner.cli import app


def test_all_ways_side_by_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "redirect_native_output", lambda path: None)
    monkeypatch.setattr(demo_split, "LOOKS", {"woodcut": demo_split.LOOKS["woodcut"]})
    monkeypatch.setattr(demo_split, "PROMPTS", 2)
    words = ["demo", "--out", str(tmp_path), "--train-steps", "2", "--device", "cpu"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    prompts = json.loads((tmp_path / "data/demo/00/prompt.json").read_text()).values()
    names = sorted(f"00/{prompt}.png" for prompt in prompts)
    ways = ("dreambooth", "styleid", "styleid-dreambooth", "score")
    for way in ways:
        folder = tmp_path / way
        assert sorted(str(p.relative_to(folder)) for p in folder.glob("*/*.png")) == names
        assert (folder / "gallery.html").is_file()
    assert len({(tmp_path / way / names[0]).read_bytes() for way in ways}) == 4
    # They draw with the LoRAs that `styleid-dreambooth` has trained.
    for way in ("dreambooth", "score"):
        assert not (tmp_path / way / ".jstyleid" / "loras").exists()
    with Image.open(tmp_path / "demo.png") as sheet:
        assert sheet.width > 8 * 192

    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*/00/*.png")}
    again = CliRunner().invoke(app, words)
    assert again.exit_code == 0, again.output
    assert again.stderr.count("2 there already; 0 UNet evaluations to do") == 4
    assert {path: path.stat().st_mtime_ns for path in before} == before
