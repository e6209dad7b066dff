"""`--model FILE`, `--vae`, `--tokenizer` and `--prediction`."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner

import original_layout
from jstyleid_core import runtime
from jstyleid_core.weights.checkpoint import CheckpointSource
from jstyleid_runner.cli import app
from jstyleid_runner.reports.progress import LineDisplay
from jstyleid_runner.storage.records import quick_stamp
from jstyleid_runner.workflows.model import ModelSource
from original_layout import SMALL, write_file
from small_checkpoint import CHECKPOINTS

Invoke = Callable[..., tuple[int, str]]


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small checkpoint in one file, an autoencoder, a vocabulary."""
    made = tmp_path_factory.mktemp("files")
    write_file(made / "model.safetensors", original_layout.checkpoint(SMALL["sd21"]))
    write_file(made / "vae.safetensors", original_layout.vae(SMALL["sd21"]), seed=1)
    shutil.copytree(CHECKPOINTS / "tokenizer", made / "words")
    return made


@pytest.fixture
def work(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same, linked in the working folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(runtime, "redirect_native_output", lambda path: None)
    for path in folder.iterdir():
        (tmp_path / path.name).symlink_to(path)
    return tmp_path


def call(*words: str) -> Any:
    return CliRunner().invoke(app, list(words))


MODEL = ("--model", "model.safetensors", "--tokenizer", "words")
SMALL_PICTURE = ("--size", "64", "--steps", "2", "--device", "cpu")


def recorded(path: str) -> dict[str, Any]:
    with Image.open(path) as image:
        found: dict[str, Any] = json.loads(image.info["jstyleid"])
    return found


def test_a_picture_of_a_single_file(work: Path) -> None:
    """The autoencoder and the prediction change the picture, and it says so."""
    pictures = []
    for name, more in (("a", ()), ("b", ("--vae", "vae.safetensors")),
                       ("c", ("--prediction", "epsilon"))):
        result = call("generate", "Ring", "-o", f"{name}.png", *MODEL, *SMALL_PICTURE, *more)
        assert result.exit_code == 0, result.stderr
        pictures.append(Path(f"{name}.png").read_bytes())
        with Image.open(f"{name}.png") as image:
            pictures[-1] = image.tobytes()
    assert len(set(pictures)) == 3
    common = {"model": "model.safetensors", "tokenizer": "words"}
    for name, others in (("a", {}), ("b", {"vae": "vae.safetensors"}),
                         ("c", {"prediction": "epsilon"})):
        found = recorded(f"{name}.png")
        assert {key: found[key] for key in ("model", "vae", "tokenizer", "prediction")
                if key in found} == common | others


def test_a_run_knows_its_file(work: Path, split_data: Path) -> None:
    line = ["run", "--split", "S", "--data", str(split_data), "--method", "styleid", "--styles",
            "00", "--prompts", "1", "--content-steps", "1", *SMALL_PICTURE, *MODEL]
    first = call(*line)
    assert first.exit_code == 0, first.stderr
    picture = next(Path("out/00").glob("*.png"))
    made = picture.stat().st_mtime_ns
    again = call(*line)
    assert (again.exit_code, picture.stat().st_mtime_ns) == (0, made)
    for more, now in ((("--prediction", "epsilon"), "tokenizer words, prediction epsilon now"),
                      (("--vae", "vae.safetensors"), "vae vae.safetensors, tokenizer words now")):
        other = call(*line, *more)
        assert other.exit_code == 2
        text = " ".join(other.stderr.replace("│", " ").split())
        assert "model: model.safetensors, tokenizer words there" in text
        assert now in text
    record = json.loads(Path("out/.jstyleid/run.json").read_text())
    assert record["model"]["source"] == "model.safetensors, tokenizer words"


def stamp(**given: Any) -> str | None:
    return ModelSource(CheckpointSource("model.safetensors", **given), "cpu",
                       LineDisplay()).stamp()


def test_the_stamp_covers_all_that_was_named(work: Path) -> None:
    stamps = [stamp(), stamp(vae="vae.safetensors"), stamp(tokenizer="words"),
              stamp(prediction="epsilon"), stamp(prediction="v_prediction")]
    assert len(set(stamps)) == len(stamps)
    assert stamp() == quick_stamp([work / "model.safetensors"])
    vae = work / "vae.safetensors"
    content = vae.read_bytes()
    vae.unlink()
    vae.write_bytes(content)
    assert stamp(vae="vae.safetensors") != stamps[1]
    assert stamp() == stamps[0]


@pytest.mark.parametrize(("words", "message"), [
    (("--vae", "nowhere"), "--vae nowhere: no such file or folder"),
    (("--tokenizer", "nowhere"), "--tokenizer nowhere: no such folder"),
    (("--tokenizer", "vae.safetensors"), "--tokenizer vae.safetensors: no such folder"),
    (("--prediction", "flow"), "'flow' is not one of 'epsilon', 'v_prediction'"),
    (("--model", "vae.safetensors"), "vae.safetensors holds an autoencoder alone"),
    (("--vae", "words"), "words/config.json is missing"),
])
@pytest.mark.usefixtures("work", "data")
def test_what_cannot_be_used_is_said_before_jittor_starts(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], message: str
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("Jittor was started")

    monkeypatch.setattr(runtime, "start", refuse)
    for command in (("generate", "Ring", "-o", "x.png"),
                    ("run", "--split", "S", "--method", "styleid")):
        code, stderr = invoke(*command, *MODEL, *words)
        assert code == 2
        assert message in stderr


def test_a_pickle_is_refused_with_the_command_that_converts_it(
    work: Path, invoke: Invoke
) -> None:
    (work / "old.ckpt").write_bytes(b"PK\x03\x04 and the rest")
    code, stderr = invoke("generate", "Ring", "-o", "x.png", "--model", "old.ckpt")
    assert code == 2
    assert "old.ckpt is a pickle, which can run code and is not read" in stderr
    assert "torch.load('old.ckpt'" in stderr
    assert "'old.safetensors'" in stderr


def test_the_variable_may_name_a_file(
    work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JSTYLEID_MODEL", "model.safetensors")
    result = call("generate", "Ring", "-o", "x.png", "--tokenizer", "words", *SMALL_PICTURE)
    assert result.exit_code == 0, result.stderr
    assert recorded("x.png")["model"] == "model.safetensors"
