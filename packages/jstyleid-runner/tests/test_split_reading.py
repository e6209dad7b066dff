"""Reading splits: the order of things, and every message a wrong one gets."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from jstyleid_core.errors import InputError
from jstyleid_runner.storage.split import read_split
from prompt_cases import CASES, PromptCase

WriteStyle = Callable[[Path, str, list[str]], Path]


def problem(data: Path, split: str = "S", only: list[str] | None = None) -> str:
    with pytest.raises(InputError) as caught:
        read_split(data, split, only)
    return str(caught.value)


def write_prompts(data: Path, text: str) -> Path:
    path = data / "S" / "00" / "prompt.json"
    path.write_text(text)
    return path


def test_styles_and_references_are_sorted_and_prompts_in_numeric_order(data: Path) -> None:
    numbered = {str(number): f"P{number}" for number in (10, 9, 2, 0)}
    write_prompts(data, json.dumps(numbered))
    split = read_split(data, "S")
    assert [style.id for style in split.styles] == ["00", "04"]
    assert split.styles[0].prompts == ("P0", "P2", "P9", "P10")
    assert [path.name for path in split.styles[0].references] == ["apple.png", "ball.png"]


def test_hidden_and_other_files_are_no_references(data: Path) -> None:
    images = data / "S" / "00" / "images"
    (images / ".hidden.png").write_bytes(b"")
    (images / "notes.txt").write_text("not an image")
    (images / "folder.png").mkdir()
    (data / "S" / ".cache").mkdir()
    Image.new("RGB", (8, 8)).save(images / "Z.JPG", "JPEG")
    [style, _] = read_split(data, "S").styles
    assert [path.name for path in style.references] == ["Z.JPG", "apple.png", "ball.png"]


def test_what_archives_and_disks_leave_is_ignored_and_noted_once(
    data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    split = data / "S"
    for name in ("__MACOSX", "@eaDir", "lost+found", "notes"):
        (split / name).mkdir()
    (split / "__MACOSX" / "00").mkdir()
    for name in ("a.psd", "b.eps", "c.h5", "Thumbs.db", "d.png.crdownload"):
        (split / "00" / "images" / name).write_bytes(b"x")
    Image.new("RGB", (8, 8)).save(split / "00" / "images" / "e.jfif", "JPEG")
    for _ in range(2):
        [style, other] = read_split(data, "S").styles
    assert (style.id, other.id) == ("00", "04")
    assert [path.name for path in style.references] == ["apple.png", "ball.png", "e.jfif"]
    assert caplog.messages == [
        f"{split}: ignored, since they are no styles: @eaDir, __MACOSX, lost+found, notes",
        f"{split / '00' / 'images'}: ignored, since they are no pictures: Thumbs.db, a.psd, b.eps, "
        "c.h5, d.png.crdownload",
    ]


def test_captions_are_ignored_without_a_word(
    data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    images = data / "S" / "00" / "images"
    Image.new("RGB", (8, 8)).save(images / "caf\u00e9.png")
    for name in ("ball.txt", "apple.TXT", "cafe\u0301.txt"):
        (images / name).write_text("")  # empty, which only a training cares about
    [style, _] = read_split(data, "S").styles
    assert len(style.references) == 3
    assert caplog.messages == []
    (images / "bell.txt").write_text("misspelt")
    read_split(data, "S")
    assert caplog.messages == [f"{images}: ignored, since they are no pictures: bell.txt"]


def test_a_style_with_a_number_for_a_name_may_not_be_empty(data: Path) -> None:
    (data / "S" / "07").mkdir()
    assert f"{data / 'S' / '07'}: no images" in problem(data)


def test_only_the_chosen_styles_are_read(data: Path) -> None:
    write_prompts(data, "broken")
    assert [style.id for style in read_split(data, "S", ["04"]).styles] == ["04"]


def test_no_such_split_lists_those_there_are(data: Path, write_style: WriteStyle) -> None:
    write_style(data / "T", "00", ["Ring"])
    (data / "empty").mkdir()
    assert problem(data, "X") == f"--split X: no folder {data / 'X'}. There are S, T."


def test_no_splits_at_all(tmp_path: Path) -> None:
    assert problem(tmp_path, "X").endswith(f"There are no splits in {tmp_path}.")


def test_no_data_folder(tmp_path: Path) -> None:
    message = problem(tmp_path / "nowhere")
    assert message.startswith(f"--data {tmp_path / 'nowhere'}: no such folder.")


def test_a_split_without_styles(data: Path) -> None:
    (data / "E").mkdir()
    assert problem(data, "E").startswith(f"{data / 'E'}: no style folders.")


def test_unknown_styles_are_listed_with_those_there_are(data: Path) -> None:
    message = problem(data, only=["00", "7", "99"])
    assert message == f"{data / 'S'}: no style 7, 99. There are 00, 04."


def test_a_style_without_images(data: Path) -> None:
    for image in (data / "S" / "00" / "images").iterdir():
        image.unlink()
    assert problem(data).startswith(f"{data / 'S' / '00'}: no images. Put")


def test_a_style_without_prompts_file(data: Path) -> None:
    (data / "S" / "04" / "prompt.json").unlink()
    assert problem(data).startswith(f"{data / 'S' / '04'}: no prompt.json. Write one")


def test_all_problems_are_told_at_once(data: Path) -> None:
    (data / "S" / "07").mkdir()
    path = write_prompts(data, "3")
    lines = problem(data, only=["00", "04", "07", "9"]).splitlines()
    assert [line.split(": ")[0] for line in lines] == [
        str(data / "S"),
        str(path),
        str(data / "S" / "07"),
        str(data / "S" / "07"),
    ]


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_prompts_as_people_write_them(data: Path, case: PromptCase) -> None:
    path = data / "S" / "00" / "prompt.json"
    path.write_bytes(case.content)
    if case.refused is None:
        assert read_split(data, "S", ["00"]).styles[0].prompts == case.prompts
    else:
        message = problem(data)
        assert message.startswith(f"{path}: ")
        assert case.refused in message


def test_other_members_of_a_prompt_are_named(
    data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_prompts(data, '[{"prompt": "Ring", "seed": 3, "negative": "gold"}]')
    read_split(data, "S", ["00"])
    assert caplog.messages == [f"{path}: item 0: only the prompt is used, not seed, negative"]


def test_names_that_other_file_systems_refuse_are_noted_once(
    data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    refused = ["Who?", "CON", "aux.x", "com1", "a:b", "...and a cat"]
    fine = ["A cat.", "Ring", "console", "com10", "Café", "猫", "100%"]
    for style in ("00", "04"):
        (data / "S" / style / "prompt.json").write_text(json.dumps([*refused, *fine]))
    copy_style(data, "ink.")
    for _ in range(2):
        read_split(data, "S")
    [message] = caplog.messages
    assert message.startswith(
        f"{data / 'S'}: names that cannot be copied everywhere: 'ink.' (it ends with a dot or a "
        "space, which Windows takes away), 'Who?.png' (it contains '?'), 'CON.png' (it is the name "
        "of a device on Windows), 'aux.x.png' (")
    assert message.endswith("and 2 more")
    for name in fine:
        assert f"'{name}" not in message


@pytest.mark.skipif("JSTYLEID_SPLIT_DATA" not in os.environ, reason="JSTYLEID_SPLIT_DATA not set")
def test_the_real_split() -> None:
    data = Path(os.environ["JSTYLEID_SPLIT_DATA"])
    split = read_split(data, "B")
    assert [style.id for style in split.styles] == sorted(style.id for style in split.styles)
    for style in split.styles:
        assert len(style.prompts) == len(
            json.loads((data / "B" / style.id / "prompt.json").read_text())
        )
        assert style.references


def copy_style(data: Path, name: str) -> None:
    shutil.copytree(data / "S" / "00", data / "S" / name)


@pytest.mark.parametrize(("asked", "there"), [
    ("4", "04"), ("04", "04"), ("004", "04"), ("Nähe", "Na\u0308he"), ("Na\u0308he", "Nähe")])
def test_styles_are_named_as_people_write_them(data: Path, asked: str, there: str) -> None:
    if there != "04":
        copy_style(data, there)
    assert [style.id for style in read_split(data, "S", [asked]).styles] == [there]


def test_a_number_that_two_styles_have_names_neither(data: Path) -> None:
    copy_style(data, "4")
    assert [style.id for style in read_split(data, "S", ["04"]).styles] == ["04"]
    said = problem(data, only=["004"])
    assert said == f"{data / 'S'}: 004 may be 04 or 4. Give the whole name."


def test_a_style_folder_whose_name_is_no_utf_8(data: Path) -> None:
    os.rename(os.fsencode(data / "S" / "00"), os.fsencode(data / "S") + b"/\xb7\xe7")
    assert problem(data) == (
        f"{data / 'S'}: the name of the style b'\\xb7\\xe7' is no UTF-8, as in archives made "
        "elsewhere. Rename its folder.")
