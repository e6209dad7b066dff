"""The report that a fault of the program leaves, and nothing secret in it."""

import json
import os
import sys
import tempfile
from pathlib import Path

import pytest
import typer

from jdiff_checker import fault_report
from jdiff_checker.commands.common import guarded
from jdiff_checker.fault_report import plain


@guarded
def crash() -> None:
    raise KeyError(os.environ["HF_TOKEN"])


@pytest.fixture
def at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home of a user with a name and a token, where temporary files are written to."""
    home = tmp_path / "alice"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("HF_TOKEN", "correct-horse")
    monkeypatch.setattr(tempfile, "tempdir", str(home))
    monkeypatch.setattr(sys, "argv", ["jdiff-check", "--gt", f"{home}/split", "--weights",
                                      f"{home}/a/b/c/d/weights"])
    return home


def test_the_report(at_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit):
        crash()
    [report] = at_home.iterdir()
    assert capsys.readouterr().err.endswith(f"is in {report}\n")
    text = report.read_text()
    assert text.startswith("command: jdiff-check --gt ")
    assert "/d/weights\n" in text
    found, _ = json.JSONDecoder().raw_decode(text.split("environment: ", 1)[1])
    assert {"python", "system", "torch", "numpy"} <= found["versions"].keys()
    assert isinstance(found["processors"], int)
    assert isinstance(found["free memory"], int)
    assert "torch" in found
    assert "Traceback" in text
    assert "KeyError: '***'" in text
    assert "alice" not in text


def test_what_cannot_be_found_out(at_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails() -> int:
        raise OSError("no /proc")

    monkeypatch.setattr(fault_report, "free_memory", fails)
    with pytest.raises(typer.Exit):
        crash()
    [report] = at_home.iterdir()
    assert '"free memory": "unknown, OSError: no /proc"' in report.read_text()


def test_no_place_for_the_report(
    at_home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(at_home / "gone"))
    with pytest.raises(typer.Exit):
        crash()
    said = capsys.readouterr().err
    assert "cannot be written: No such file or directory\nTraceback" in said


@pytest.mark.parametrize(("text", "expected"), [
    ("File \"/usr/lib/python3.11/site-packages/a/b.py\"", "File \".../site-packages/a/b.py\""),
    ("http://u:p@h/x", "http://***h/x"), ("https://hub/a/b/c/d/e/f", "https://hub/a/b/c/d/e/f"),
    ("ghp_0123456789abcdef0123", "***"), ("?token=abc&x=1", "?token=***&x=1"),
])
def test_long_paths_and_passwords(text: str, expected: str) -> None:
    assert plain(text) == expected
