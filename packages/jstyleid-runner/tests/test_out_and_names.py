"""What is meant by `--out`, `--split`, `--styles` and `--reference`, however it is written."""

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from jstyleid_core.errors import InputError
from jstyleid_dreambooth import LoRAWeights, LowRank, write_lora
from jstyleid_runner.cli import app
from jstyleid_runner.options.common import given_path
from jstyleid_runner.options.to_settings import named_styles
from jstyleid_runner.planning.plan import chosen_references
from jstyleid_runner.storage.layout import picture_target, picture_targets
from jstyleid_runner.storage.prompts import read_templates
from jstyleid_runner.storage.split import find_loras, read_split

COMPOSED = "Na\u0308he", "N\u00e4he"


@pytest.mark.parametrize(
    ("out", "file"),
    [
        ("pics", "pics/A cat..png"),
        ("pics/", "pics/A cat..png"),
        ("./pics//", "pics/A cat..png"),
        (".", "A cat..png"),
        ("results.v2", "results.v2/A cat..png"),
        ("results.v2/", "results.v2/A cat..png"),
        ("gamma-0.5", "gamma-0.5/A cat..png"),
        ("v1.", "v1./A cat..png"),
        (".hidden", ".hidden/A cat..png"),
        ("ring.png/", "ring.png/A cat..png"),
        ("ring.png/.", "ring.png/A cat..png"),
        ("there.jpg", "there.jpg/A cat..png"),
        ("ring.png", "ring.png"),
        ("RING.PNG", "RING.PNG"),
        ("results.v2/ring.png", "results.v2/ring.png"),
    ],
)
def test_an_out_is_a_file_or_a_folder_as_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: str, file: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there.jpg").mkdir()
    assert picture_target(given_path(out), "A cat. ") == Path(file)


@pytest.mark.parametrize("out", ["ring.jpg", "ring.WEBP", "ring.tiff", "ring.svg", "notes.txt"])
def test_other_files_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=f"--out {out}: pictures are written as PNG"):
        picture_target(given_path(out), "Ring")


def test_several_pictures_go_to_a_folder_with_a_dot_in_its_name() -> None:
    assert picture_targets(given_path("v0.5"), ["a", "b"]) == [Path("v0.5/a.png"),
                                                               Path("v0.5/b.png")]
    with pytest.raises(InputError, match="need a folder, not a file"):
        picture_targets(given_path("v.png"), ["a", "b"])


def test_a_name_that_windows_refuses_is_noted(caplog: pytest.LogCaptureFixture) -> None:
    picture_target(given_path("pics"), "Who?")
    assert caplog.messages == [
        "--out pics: names that cannot be copied everywhere: 'Who?.png' (it contains '?')"]


@pytest.mark.parametrize("name", ["S/", "./S", "S//"])
def test_a_slash_is_no_part_of_a_splits_name(data: Path, name: str) -> None:
    assert read_split(data, name).name == "S"
    out = CliRunner().invoke(app, ["plan", "--data", f"{data}/", "--split", name, "--method",
                                   "styleid", "--styles", "4/"], catch_exceptions=False).stdout
    assert "3 pictures" in out


@pytest.mark.parametrize("asked", COMPOSED)
@pytest.mark.parametrize("there", COMPOSED)
def test_letters_are_one_whether_composed_or_not(data: Path, asked: str, there: str) -> None:
    (data / "S").rename(data / there)
    style = data / there / "00"
    (style / "images" / "ball.png").rename(style / "images" / f"{there}.png")
    style.rename(data / there / there)
    split = read_split(data, asked, [asked])
    assert split.name == there
    assert [style.id for style in split.styles] == [there]
    for choice in (asked, f"{asked}.png"):
        assert [path.stem for path in chosen_references(split.styles[0], choice, 0)] == [there]
    templates = data / "templates.json"
    templates.write_text(f'{{"{asked}": "{{prompt}}!", "4": "{{prompt}}?"}}')
    assert read_templates(None, templates, "{prompt}", [there, "04"]).own == {
        there: "{prompt}!", "04": "{prompt}?"}


@pytest.mark.parametrize("style", COMPOSED)
@pytest.mark.parametrize("there", COMPOSED)
def test_a_lora_is_named_by_its_style_composed_or_not(
    data: Path, style: str, there: str
) -> None:
    (data / "S" / "00").rename(data / "S" / style)
    layer = LowRank(np.ones((2, 4, 3, 3), np.float32), np.ones((32, 2, 1, 1), np.float32), 1.0)
    file = write_lora(data / "loras" / f"style_{there}", LoRAWeights({"unet": {"conv_in": layer}}))
    assert find_loras(data / "loras", read_split(data, "S", [style])) == {style: file}


def test_one_style_named_in_two_ways_has_one_template(tmp_path: Path) -> None:
    (tmp_path / "t.json").write_text('{"4": "{prompt}!", "04": "{prompt}?"}')
    with pytest.raises(InputError, match='key "04" is there twice'):
        read_templates(None, tmp_path / "t.json", "{prompt}", ["04"])


def test_styles_as_a_shell_completes_them() -> None:
    assert named_styles("--styles", "00/, 04/,") == ["00", "04"]
