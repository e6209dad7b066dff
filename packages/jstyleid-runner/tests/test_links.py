"""Links planted in an output folder: no command writes, empties or removes what they lead to."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from jstyleid_core.errors import InputError
from jstyleid_runner.scheduling.ledger import Ledger
from jstyleid_runner.scheduling.task import Stage, Task
from jstyleid_runner.storage.layout import LoRAFolder, OutFolder, WorkFolder
from jstyleid_runner.storage.links import refuse_links
from jstyleid_runner.storage.lock import folder_lock

Invoke = Callable[..., tuple[int, str]]

FOLDERS = [".jstyleid", ".jstyleid/contents", ".jstyleid/contents/00", ".jstyleid/styles",
           ".jstyleid/loras", ".jstyleid/loras/00", ".jstyleid/loras/00/checkpoints",
           ".jstyleid/class_images", ".jstyleid/sheets", "00"]
FILES = [".jstyleid/run.lock", ".jstyleid/run.log", ".jstyleid/jittor.log",
         ".jstyleid/ledger.sqlite", ".jstyleid/ledger.sqlite-wal", ".jstyleid/ledger.sqlite-shm",
         ".jstyleid/ledger.sqlite-journal", ".jstyleid/run.json", ".jstyleid/timeline.html",
         ".jstyleid/styles/00.safetensors", ".jstyleid/contents/00/Ring.png",
         ".jstyleid/sheets/00.png"]
IN_PLACE = FILES[:7]


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A folder with a file, which must stay what it is."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "Ring.png").write_bytes(b"mine")
    return folder


@pytest.fixture
def out(tmp_path: Path) -> OutFolder:
    """A folder that looks like a run's."""
    folder = OutFolder(tmp_path / "out")
    for name in FOLDERS:
        (folder.root / name).mkdir(parents=True)
    for name in FILES:
        if not name.endswith(("wal", "shm", "journal")):
            (folder.root / name).touch()
    return folder


def plant(folder: WorkFolder, name: str, target: Path) -> Path:
    """Put a link in the place of a file or folder."""
    place = folder.root / name
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)
    place.unlink(missing_ok=True)
    place.symlink_to(target)
    return place


@pytest.mark.parametrize("name", FOLDERS)
@pytest.mark.parametrize("command", ["clean", "retry", "run"])
def test_a_folder_that_is_a_link(
    name: str, command: str, out: OutFolder, elsewhere: Path, invoke: Invoke, data: Path
) -> None:
    place = plant(out, name, elsewhere)
    words = {"clean": ["clean", str(out.root), "--yes", "--contents", "--loras", "--class-images"],
             "retry": ["retry", str(out.root)],
             "run": ["run", "--split", "S", "--out", str(out.root)]}[command]
    code, said = invoke(*words)
    assert code == 2
    if name != ".jstyleid" or command == "run":  # else there is no run to be seen
        assert f"{place} is a link to {elsewhere}" in said
    assert [path.name for path in elsewhere.iterdir()] == ["Ring.png"]
    assert (elsewhere / "Ring.png").read_bytes() == b"mine"


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_a_link(name: str, out: OutFolder, elsewhere: Path) -> None:
    place = plant(out, name, elsewhere / "Ring.png")
    with pytest.raises(InputError, match="is a link to") as caught, folder_lock(out):
        pytest.fail("it is worked in")
    assert str(place) in str(caught.value)
    assert (elsewhere / "Ring.png").read_bytes() == b"mine"


@pytest.mark.parametrize("name", IN_PLACE)
def test_a_hard_link(name: str, out: OutFolder, elsewhere: Path) -> None:
    place = out.root / name
    place.unlink(missing_ok=True)
    os.link(elsewhere / "Ring.png", place)
    with pytest.raises(InputError, match="is a hard link"), folder_lock(out):
        pytest.fail("it is worked in")
    assert (elsewhere / "Ring.png").read_bytes() == b"mine"


def test_a_pipe_does_not_hold_a_command(out: OutFolder) -> None:
    out.log.unlink()
    os.mkfifo(out.log)
    with pytest.raises(InputError, match="is no ordinary file"), folder_lock(out):
        pytest.fail("it is worked in")


def test_a_link_in_a_folder_of_loras(tmp_path: Path, elsewhere: Path) -> None:
    folder = LoRAFolder(tmp_path / "loras")
    folder.prepare()
    plant(folder, "style_00", elsewhere)
    with pytest.raises(InputError, match="is a link to"), folder_lock(folder):
        pytest.fail("it is worked in")


@pytest.mark.parametrize("name", ["data", "data/demo", "data/demo/00", "data/demo/00/images",
                                  "styleid", "dreambooth/.jstyleid"])
@pytest.mark.usefixtures("no_jittor")
def test_a_folder_of_the_demo_that_is_a_link(
    name: str, tmp_path: Path, elsewhere: Path, invoke: Invoke
) -> None:
    place = tmp_path / "demo" / name
    place.parent.mkdir(parents=True)
    place.symlink_to(elsewhere)
    code, said = invoke("demo")
    assert code == 2
    assert f"{Path('demo') / name} is a link to {elsewhere}" in said
    assert [path.name for path in elsewhere.iterdir()] == ["Ring.png"]


@pytest.mark.parametrize("name", FILES[:8])
@pytest.mark.parametrize("target", ["a text", "nothing", "a ledger", "no file"])
@pytest.mark.parametrize("words", [["status"], ["status", "--json"], ["retry"], ["clean", "--yes"]])
def test_looking_at_a_run_writes_to_nothing_outside(
    name: str, target: str, words: list[str], tmp_path: Path, elsewhere: Path, invoke: Invoke
) -> None:
    folder, tasks = OutFolder(tmp_path / "out"), [Task("a", "00", Stage.DRAW, (), 5)]
    folder.hidden.mkdir(parents=True)
    for path in (folder.ledger, *([elsewhere / "file"] if target == "a ledger" else [])):
        with Ledger(path) as ledger:
            ledger.plan(tasks)
    if target in ("a text", "nothing"):
        (elsewhere / "file").write_text("mine\n" * 500 * (target == "a text"))
    plant(folder, name, elsewhere / "file")

    def state() -> list[tuple[str, int, bytes]]:
        return [(path.name, path.stat().st_mtime_ns, path.read_bytes())
                for path in sorted(elsewhere.iterdir())]

    before = state()
    code, said = invoke(words[0], str(folder.root), *words[1:])
    assert code in (0, 2)
    assert "unexpected" not in said
    assert state() == before


def test_many_files_are_listed_and_not_looked_at(
    out: OutFolder, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in (out.root / "00", out.hidden / "contents" / "00"):
        for number in range(500):
            (folder / f"{number}.png").touch()
    asked: list[str] = []
    monkeypatch.setattr(os, "lstat", lambda path, look=os.lstat: asked.append(path) or look(path))
    refuse_links(out.root, out.hidden)
    there = {str(out.root / name) for name in IN_PLACE if (out.root / name).exists()}
    assert set(asked) == there
    assert len(asked) == len(there)
    place = plant(out, ".jstyleid/contents/00/499.png", elsewhere / "Ring.png")
    with pytest.raises(InputError, match="is a link to") as caught:
        refuse_links(out.root, out.hidden)
    assert str(place) in str(caught.value)


def test_the_working_directory_itself(
    out: OutFolder, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(out, ".jstyleid/run.json", elsewhere / "Ring.png")
    monkeypatch.chdir(out.root)
    with pytest.raises(InputError, match="is a link to"), folder_lock(OutFolder(Path())):
        pytest.fail("it is worked in")


def test_links_that_harm_nobody(out: OutFolder, elsewhere: Path, tmp_path: Path) -> None:
    plant(out, "00/Ring.png", elsewhere / "Ring.png")  # a picture is replaced, not written to
    plant(out, "broken", tmp_path / "nowhere")
    plant(out, "loop", out.root / "loop")
    (tmp_path / "named").symlink_to(out.root)
    with folder_lock(OutFolder(tmp_path / "named")):
        pass
    assert (elsewhere / "Ring.png").read_bytes() == b"mine"
