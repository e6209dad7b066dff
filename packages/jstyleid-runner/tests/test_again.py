"""`jstyleid again` with the embedded model: pictures made again from what they record."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from jstyleid_core import runtime
from jstyleid_core.image_files import open_image, save_png
from jstyleid_core.weights.checkpoint import find_checkpoint, fingerprint
from jstyleid_dreambooth import LoRAWeights, LowRank, write_lora
from jstyleid_runner.cli import app
from jstyleid_runner.planning.provenance import read_facts, read_provenance

MODEL = ("--model", "embedded", "--device", "cpu")
SMALL = (*MODEL, "--size", "64", "--steps", "2")
FINGERPRINT = fingerprint(find_checkpoint("embedded"))
LAYER = "mid_block.attentions.0.transformer_blocks.0.attn1.to_q"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "redirect_native_output", lambda path: None)
    monkeypatch.chdir(tmp_path)
    for number, name in enumerate(("content", "red", "ink")):
        Image.effect_mandelbrot((90 + number, 80), (-2, -1, 1, 1), 20 + number).save(f"{name}.png")
    mask = Image.new("L", (90, 80))
    mask.paste(255, (0, 0, 40, 80))
    mask.save("mask.png")


def call(*words: object) -> Any:
    return CliRunner().invoke(app, [str(word) for word in words])


def made(*words: object) -> Path:
    done = call(*words)
    assert done.exit_code == 0, done.output
    return Path(done.stdout.splitlines()[0])


def lora(name: str, seed: int = 0) -> Path:
    numbers = np.random.default_rng(seed).standard_normal
    width = 96
    layer = LowRank(numbers((2, width)).astype(np.float32), numbers((width, 2)).astype(np.float32),
                    2)
    return write_lora(name, LoRAWeights({"unet": {LAYER: layer}}))


def same(picture: Path, *words: object) -> None:
    """Made again it is the same file."""
    done = call("again", picture, "-o", "again.png", "--device", "cpu", *words)
    assert done.exit_code == 0, done.output
    assert done.stdout == "again.png\n"
    assert f"the same file as {picture}, to the byte" in done.stderr
    assert Path("again.png").read_bytes() == picture.read_bytes()


def refused(*words: object) -> str:
    done = call("again", "-o", "refused.png", *words)
    assert done.exit_code == 2, done.output
    assert not Path("refused.png").exists()
    return str(done.stderr)


def test_a_transfer() -> None:
    picture = made("transfer", "content.png", "red.png", "-o", "new/o.png", *SMALL, "--seed", 4,
                   "--gamma", "0.6", "--gamma", "9-10:0.5", "--rule", "joint",
                   "--mask", "mask.png", "--inversion", "noised")
    inputs = read_facts(picture)["inputs"]
    assert inputs["model"] == {"source": "embedded", "fingerprint": FINGERPRINT}
    assert inputs["content"]["path"] == "content.png"
    assert [file["path"] for file in inputs["styles"]] == ["red.png"]
    same(picture)
    # Given as they are, options change nothing.
    same(picture, "--gamma", "0.6", "--gamma", "9-10:0.5", "--seed", 4)


def test_styles_together_and_a_default_name() -> None:
    picture = made("transfer", "content.png", "red.png", "ink.png", "--together", "-o", "o.png",
                   *SMALL)
    same(picture)
    done = call("again", picture, "--device", "cpu")
    assert (done.exit_code, done.stdout) == (0, "o-again.png\n")
    assert "--out o.png: is the picture itself." in refused(picture, "-o", "./o.png")


def test_options_change_what_they_say() -> None:
    picture = made("transfer", "content.png", "red.png", "-o", "o.png", *SMALL, "--layers", "7,9")
    wanted = made("transfer", "content.png", "red.png", "-o", "p.png", *SMALL, "--layers", "7,9",
                  "--gamma", "0.2")
    done = call("again", picture, "-o", "again.png", "--gamma", "0.2", "--device", "cpu")
    assert done.exit_code == 0, done.output
    assert "pixels differ from o.png by up to " in done.stderr
    assert Path("again.png").read_bytes() == wanted.read_bytes()


def test_a_drawing_with_loras() -> None:
    one, two = lora("one.safetensors"), lora("two.safetensors", 1)
    picture = made("generate", "a boat: red", "-o", "o.png", *SMALL, "--seed", 7, "--guidance",
                   "3.5", "--negative", "grey", "--lora", f"{one}:0.5", "--lora", two)
    recorded = read_facts(picture)["inputs"]["loras"]
    assert [(file["path"], file.get("weight", 1)) for file in recorded] == [
        ("one.safetensors", 0.5), ("two.safetensors", 1)]
    same(picture)
    wanted = made("generate", "a boat: red", "-o", "p.png", *SMALL, "--seed", 8, "--guidance",
                  "3.5", "--negative", "grey", "--lora", f"{one}:0.5", "--lora", f"{two}:0.25")
    done = call("again", picture, "-o", "again.png", "--seed", 8, "--lora", one, "--lora",
                f"{two}:0.25", "--device", "cpu")
    assert done.exit_code == 0, done.output
    assert Path("again.png").read_bytes() == wanted.read_bytes()


@pytest.fixture
def run(write_style: Callable[..., Path]) -> Callable[..., None]:
    """A function that makes a run in `out`."""
    write_style(Path("data/S"), "00", ("Ring", "Hotel"))

    def make(*words: object) -> None:
        stylised = () if "dreambooth" in words else ("--steps", 2)
        of_content = () if {"direct", "--content-trajectory"} & set(words) else (
            "--content-steps", 2)
        made("run", "--split", "S", *MODEL, "--size", 64, *of_content, *stylised, *words)

    return make


def test_pictures_of_a_run_that_trains(run: Callable[..., None]) -> None:
    run("--train-steps", 2, "--rank", 1, "--reference", "all", "--start", "mean", "--strength", 0.9)
    picture = Path("out/00/Ring.png")
    inputs = read_facts(picture)["inputs"]
    assert [file["path"] for file in inputs["styles"]] == [
        "data/S/00/images/apple.png", "data/S/00/images/ball.png"]
    assert inputs["loras"][0]["path"] == ".jstyleid/loras/00/pytorch_lora_weights.safetensors"
    assert "inputs" not in read_provenance(picture)
    same(picture)
    same(Path("out/.jstyleid/contents/00/Hotel.png"))
    # Away from the run's folder the LoRA has to be named.
    shutil.copy(picture, "alone.png")
    assert ("pytorch_lora_weights.safetensors: no such LoRA, with which alone.png was made. Give "
            "its path with --lora.") in refused("alone.png")
    trained = Path("out/.jstyleid/loras/00/pytorch_lora_weights.safetensors")
    same(Path("alone.png"), "--lora", trained)
    other = lora("other.safetensors")
    done = call("again", "alone.png", "-o", "again.png", "--lora", other, "--gamma", "0.3",
                "--device", "cpu")
    assert done.exit_code == 0, done.output
    facts = read_facts(Path("again.png"))
    assert facts["content"]["lora"]["name"] == "other.safetensors"
    assert facts["inputs"]["loras"][0]["path"] == "other.safetensors"
    assert facts["styleid"]["gamma"] == 0.3
    same(Path("alone.png"), "--lora", trained)


def test_a_folder_that_moved_is_still_known(run: Callable[..., None]) -> None:
    run("--method", "styleid", "--prompts", 1)
    Path("data").rename("elsewhere")
    before = Path("out/00/Ring.png").read_bytes()
    done = call("run", "--split", "S", *SMALL, "--content-steps", 2, "--method", "styleid",
                "--prompts", 1, "--data", "elsewhere")
    assert "1 there already; 0 UNet evaluations to do" in done.stderr
    assert Path("out/00/Ring.png").read_bytes() == before
    assert "data/S/00/images/apple.png: no such file" in refused("out/00/Ring.png")
    same_pixels = call("again", "out/00/Ring.png", "-o", "again.png", "--device", "cpu", "--style",
                       "elsewhere/S/00/images/apple.png")
    assert "the same pixels as out/00/Ring.png; what is recorded differs: inputs" in (
        same_pixels.stderr)


@pytest.mark.parametrize("words", [
    ("--method", "direct", "--negative-query"), ("--method", "styleid", "--content-trajectory")])
def test_pictures_that_are_stylised_while_they_are_drawn(
    run: Callable[..., None], words: tuple[str, ...]
) -> None:
    run(*words, "--prompts", 1)
    same(Path("out/00/Ring.png"))
    assert "--content-steps: out/00/Ring.png is of kind stylised" in refused(
        "out/00/Ring.png", "--content-steps", 3)
    before = Path("out/00/Ring.png").read_bytes()
    run(*words, "--prompts", 1, "--steps", 3, "--out", "three")
    done = call("again", "out/00/Ring.png", "-o", "again.png", "--steps", 3, "--device", "cpu")
    assert done.exit_code == 0, done.output
    assert Path("again.png").read_bytes() == Path("three/00/Ring.png").read_bytes() != before


def test_pictures_of_a_run_with_given_loras(run: Callable[..., None]) -> None:
    lora("style.safetensors")
    run("--method", "dreambooth", "--lora", "style.safetensors", "--prompts", 1)
    same(Path("out/00/Ring.png"))


def test_what_is_missing_or_differs_is_named(caplog: pytest.LogCaptureFixture) -> None:
    picture = made("transfer", "content.png", "red.png", "-o", "o.png", *SMALL)
    Path("red.png").rename("moved.png")
    assert refused(picture) == (
        "error: red.png: no such file, where o.png was made with it. Give its path with --style.\n")
    done = call("again", picture, "-o", "p.png", "--style", "moved.png", "--device", "cpu")
    assert "the same pixels as o.png; what is recorded differs: inputs, style\n" in done.stderr
    shutil.copy("ink.png", "red.png")
    assert "red.png: not the file that o.png was made with, which had the SHA-256 " in refused(
        picture)
    done = call("again", picture, "-o", "p.png", "--style", "red.png", "--device", "cpu")
    assert done.exit_code == 0, done.output
    assert "--style red.png: another file than o.png was made with" in caplog.text
    shutil.move("moved.png", "red.png")
    assert "no such file" in refused(picture, "--content", "none.png")
    assert ("--guidance, --lora: o.png is of kind transfer, which has no such setting. Leave "
            "this out.") in refused(picture, "--guidance", 2, "--lora", "x")


def changed(picture: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """A copy of a picture with other facts."""
    facts = dict(read_facts(picture))
    change(facts)
    save_png(open_image(picture), "changed.png", {"jstyleid": json.dumps(facts)})
    return Path("changed.png")


def test_other_checkpoints_and_damaged_facts(caplog: pytest.LogCaptureFixture) -> None:
    picture = made("generate", "a boat", "-o", "o.png", *SMALL)

    def model(**values: str) -> Callable[[dict[str, Any]], object]:
        return lambda facts: facts["inputs"]["model"].update(values)

    for change, message in (
        (model(fingerprint="00"), "embedded: not the checkpoint that changed.png was made with"),
        (model(source="somebody/model"), "its checkpoint somebody/model is not on this machine"),
        (lambda facts: facts.pop("inputs"), "did not record where the inputs were"),
        (lambda facts: facts.update(kind="class"), "a picture of kind 'class'"),
        (lambda facts: facts.update(steps="many"), "its settings are damaged: steps: "),
        (lambda facts: facts.update(inputs=[]), "its settings are damaged: "),
        (lambda facts: facts["inputs"].update(content=3), "its settings are damaged: content"),
    ):
        assert message in refused(changed(picture, change), "--device", "cpu")
    assert "carries no settings of jstyleid" in refused("content.png")
    assert "none.png: no such picture" in refused("none.png")
    Path("noise.png").write_bytes(b"noise")
    assert "noise.png" in refused("noise.png")
    done = call("again", changed(picture, model(fingerprint="00")), "-o", "p.png", *MODEL)
    assert done.exit_code == 0, done.output
    assert "embedded: another checkpoint than changed.png was made with" in caplog.text
