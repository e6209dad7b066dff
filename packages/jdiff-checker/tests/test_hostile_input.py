"""Files that never end, terminals that cannot show a letter, full disks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from jdiff_checker.errors import InputError
from jdiff_checker.result import read_result


@pytest.fixture
def split(tmp_path: Path) -> Path:
    """A split of one style and prompt, and its upload."""
    for place in ("S/00/images", "up/00"):
        (tmp_path / place).mkdir(parents=True)
    Image.new("RGB", (64, 64), (200, 30, 50)).save(tmp_path / "S/00/images/a.png")
    Image.new("RGB", (64, 64), (30, 200, 50)).save(tmp_path / "up/00/Ring.png")
    (tmp_path / "S/00/prompt.json").write_text('{"0": "Ring"}')
    return tmp_path


def check(folder: Path, *words: str, to: str = "", **environment: str) -> tuple[int, str, str]:
    """The program in a process of its own: exit code, output and messages."""
    line = [sys.executable, "-m", "jdiff_checker", *words]
    ran = subprocess.run(["sh", "-c", f'"$@" {to}', "sh", *line], cwd=folder, check=False,
                         capture_output=True, timeout=600, env=os.environ | environment)
    return ran.returncode, ran.stdout.decode(), ran.stderr.decode()


SCORE = ("--upload", "up", "--gt", "S", "--metrics", "hist")


def test_a_terminal_that_shows_ascii_only(split: Path) -> None:
    environment = {"PYTHONUTF8": "0", "LC_ALL": "C", "PYTHONIOENCODING": "ascii"}
    code, output, said = check(split, *SCORE, **environment)
    assert code == 0, said
    assert "?" in output
    assert output.isascii()


@pytest.mark.parametrize("words", [SCORE, ("--help",)])
def test_a_full_standard_output(split: Path, words: tuple[str, ...]) -> None:
    code, _, said = check(split, *words, to="> /dev/full")
    assert code == 1
    assert said.strip().endswith("error: cannot write the output: No space left on device")
    assert "Traceback" not in said


def test_a_pipe_among_the_pictures(split: Path) -> None:
    (split / "up/00/Ring.png").unlink()
    os.mkfifo(split / "up/00/Ring.png")
    code, output, said = check(split, *SCORE)
    assert code == 2
    assert "Ring.png" in output + said


@pytest.mark.parametrize("content", ["[" * 100_000, '{"x": ' + "9" * 5000 + "}"])
def test_a_result_of_many_brackets_or_digits(tmp_path: Path, content: str) -> None:
    (tmp_path / "result.json").write_text(content)
    with pytest.raises(InputError, match="not readable as JSON"):
        read_result(tmp_path / "result.json")


def test_a_pipe_in_place_of_a_result(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "result.json")
    with pytest.raises(InputError, match="it is no ordinary file"):
        read_result(tmp_path / "result.json")
