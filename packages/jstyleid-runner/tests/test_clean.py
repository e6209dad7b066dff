"""`jstyleid clean` removes what it was told to, and never a picture."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from jstyleid_runner.cli import app
from jstyleid_runner.storage.layout import OutFolder
from jstyleid_runner.storage.lock import folder_lock

Invoke = Callable[..., tuple[int, str]]

STAY = {
    "00/Ring.png", "00/.hidden.part", "00/.mine.partial", "00/notes.part.txt", "gallery.html",
    ".jstyleid/ledger.sqlite", ".jstyleid/run.json", ".jstyleid/sheets/00.png",
    ".jstyleid/loras/00/pytorch_lora_weights.safetensors", ".jstyleid/loras/00/README.md",
    ".jstyleid/run.lock",
    "00/deep/.Ring.abcd_123.part.png",
}
ALWAYS = {
    "00/.Ring.abcd_123.part.png", ".jstyleid/.run.0a1b2c3d.part.json",
    ".gallery.aaaaaaaa.part.html",
    ".jstyleid/contents/00/.Ring.abcd_123.part.png", ".jstyleid/styles/00.safetensors",
}
CHOSEN = {
    "--contents": ".jstyleid/contents/00/Ring.png",
    "--loras": ".jstyleid/loras/00/checkpoints/100.safetensors",
    "--class-images": ".jstyleid/class_images/ab/0.png",
}


@pytest.fixture(autouse=True)
def out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run's folder with a file of 1,000 bytes of everything."""
    monkeypatch.chdir(tmp_path)
    for name in (*STAY, *ALWAYS, *CHOSEN.values()):
        path = tmp_path / "out" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(1000))
    return tmp_path / "out"


def there(out: Path) -> set[str]:
    return {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()}


def cleaned(*words: str, answer: str | None = None) -> str:
    result = CliRunner().invoke(app, ["clean", "out", *words], input=answer, catch_exceptions=False)
    assert result.exit_code == 0, result.stderr
    return result.stdout


def test_what_is_always_removed(out: Path) -> None:
    assert cleaned("--yes") == """\
   3.9 KiB  files a stopped run was writing (4 files): to be removed
    1000 B  inverted styles (1 file): to be removed
    1000 B  pictures before they were stylised (1 file): stays without --contents
    1000 B  checkpoints of trainings (1 file): stays without --loras
    1000 B  class images (1 file): stays without --class-images
removed 4.9 KiB
"""
    assert there(out) == STAY | set(CHOSEN.values())
    assert cleaned("--yes").splitlines()[0] == (
        "       0 B  files a stopped run was writing (0 files): none")
    assert cleaned().splitlines()[-1] == "nothing to remove"


@pytest.mark.parametrize("option", list(CHOSEN))
def test_what_is_removed_when_asked_for(out: Path, option: str) -> None:
    cleaned(option, "--yes")
    assert there(out) == STAY | set(CHOSEN.values()) - {CHOSEN[option]}


def test_everything_together(out: Path) -> None:
    assert cleaned(*CHOSEN, "--yes").endswith("removed 7.8 KiB\n")
    assert there(out) == STAY


@pytest.mark.parametrize(("answer", "removed"), [("y\n", True), ("n\n", False), ("\n", False)])
def test_asking(out: Path, answer: str, removed: bool) -> None:
    before = there(out)
    text = cleaned(answer=answer)
    assert "remove 5 files? [y/N] " in text
    assert ("nothing was removed" in text) != removed
    assert (there(out) == before) != removed


def test_nobody_to_ask(out: Path, invoke: Invoke) -> None:
    before = there(out)
    assert invoke("clean", "out") == (
        2, "error: nobody is there to be asked. Give --yes to remove them.")
    assert there(out) == before


def test_not_while_a_run_is_at_work(out: Path, invoke: Invoke) -> None:
    with folder_lock(OutFolder(out)):
        before = there(out)
        code, stderr = invoke("clean", "out", "--yes", *CHOSEN)
    assert code == 2
    assert f"another run, process {os.getpid()}, is at work there" in stderr
    assert there(out) == before


def test_not_in_any_folder(tmp_path: Path, invoke: Invoke) -> None:
    (tmp_path / "other" / ".jstyleid" / "styles").mkdir(parents=True)
    code, stderr = invoke("clean", "other", "--yes")
    assert code == 2
    assert "other/.jstyleid: no run there. Give the folder of a run, as --out named it." in stderr


def test_what_cannot_be_removed(
    out: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, missing_ok: bool = False) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "unlink", refuse)
    code, stderr = invoke("clean", "out", "--yes")
    assert code == 2
    assert stderr.startswith("error: cannot remove out/.gallery.aaaaaaaa.part.html: Permission ")
