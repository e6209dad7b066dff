"""What `transfer` and `generate` write, with a model that paints the mean of its inputs."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sd_parsers import ParserManager
from typer.testing import CliRunner

from jstyleid_core import StyleIDSettings
from jstyleid_core.styleid.strengths import Strengths
from jstyleid_dreambooth import LoRAWeights, LowRank, write_lora
from jstyleid_runner.cli import app
from painting_model import FakeStyleID, paint

LAYER = LowRank(np.ones((1, 2), np.float32), np.ones((2, 1), np.float32), 1)


@pytest.fixture(autouse=True)
def fakes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paint(monkeypatch)
    monkeypatch.setattr(FakeStyleID, "inverted", 0)
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (200, 100), (0, 0, 0)).save("content.png")
    Image.new("RGB", (64, 64), (200, 0, 0)).save("red.png")
    Path("more").mkdir()
    Image.new("RGB", (64, 64), (0, 200, 0)).save("more/red.png")


def call(arguments: str) -> Any:
    return CliRunner().invoke(app, arguments.split())


def colour(path: str) -> object:
    with Image.open(path) as image:
        return image.size, image.convert("RGB").getpixel((5, 5))


def facts(path: str) -> dict[str, object]:
    with Image.open(path) as image:
        found: dict[str, object] = json.loads(image.info["jstyleid"])
    return found


def test_one_style_to_a_file() -> None:
    result = call("transfer content.png red.png -o new/o.png --size 128x64 --seed 9 --gamma 0.3")
    assert (result.exit_code, result.stdout) == (0, "new/o.png\n")
    assert colour("new/o.png") == ((128, 64), (100, 0, 0))
    recorded = facts("new/o.png")
    assert recorded["styleid"]["gamma"] == 0.3  # type: ignore[index]
    assert (recorded["content"], recorded["style"], recorded["seed"]) == (
        "content.png",
        "red.png",
        9,
    )
    assert sorted(path.name for path in Path("new").iterdir()) == ["o.png"]


def test_one_style_to_a_folder() -> None:
    assert call("transfer content.png red.png -o folder --size 64").exit_code == 0
    assert [path.name for path in Path("folder").iterdir()] == ["content-red.png"]


def test_several_styles_with_one_name() -> None:
    result = call("transfer content.png red.png more/red.png -o out --size 64")
    assert result.stdout.split() == ["out/red.png", "out/red-2.png", "out/contact-sheet.png"]
    assert colour("out/red.png") == ((64, 64), (100, 0, 0))
    assert colour("out/red-2.png") == ((64, 64), (0, 100, 0))
    assert FakeStyleID.inverted == 2


def test_a_style_named_as_the_contact_sheet() -> None:
    Image.new("RGB", (64, 64), (0, 0, 200)).save("contact-sheet.png")
    result = call("transfer content.png contact-sheet.png red.png -o out --size 64")
    assert result.stdout.split() == [
        "out/contact-sheet-2.png",
        "out/red.png",
        "out/contact-sheet.png",
    ]


def test_styles_together() -> None:
    result = call("transfer content.png red.png more/red.png -o out/ --size 64 --together")
    assert (result.exit_code, result.stdout) == (0, "out/content-red+1.png\n")
    assert "1 pictures; 80 UNet evaluations to do" in result.stderr
    assert colour("out/content-red+1.png") == ((64, 64), (50, 50, 0))
    assert facts("out/content-red+1.png")["styles"] == ["red.png", "red.png"]
    with Image.open("out/content-red+1.png") as image:
        assert 'StyleID reference: "red.png, red.png"' in image.info["parameters"]


def test_a_mask() -> None:
    mask = Image.new("L", (400, 200))
    mask.paste(255, (0, 0, 150, 200))
    mask.save("mask.png")
    result = call("transfer content.png red.png -o o.png --size 64 --mask mask.png")
    assert result.exit_code == 0, result.stderr
    assert colour("o.png") == ((64, 64), (100, 0, 0))
    with Image.open("o.png") as image:
        assert image.getpixel((60, 5)) == (0, 0, 0)
    assert facts("o.png")["mask"] == "mask.png"


def test_a_mask_of_another_aspect() -> None:
    result = call("transfer content.png red.png -o o.png --size 64 --mask red.png")
    assert result.exit_code == 2
    assert result.stderr == (
        "error: --mask red.png: 64 x 64 pixels, but content.png has 200 x 100. Give a mask of the "
        "same aspect.\n")


def test_strengths_by_layer_and_step() -> None:
    result = CliRunner().invoke(app, [
        "transfer", "content.png", "red.png", "-o", "o.png", "--size", "64", "--gamma", "0.6",
        "--gamma", "10-11:0.5", "--gamma", "steps 0-5:1", "--temperature", "7 steps 2:2"])
    assert result.exit_code == 0, result.stderr
    styleid = StyleIDSettings.model_validate(facts("o.png")["styleid"])
    assert styleid.strengths(7, 2) == Strengths(1, 2, 1.2)
    assert styleid.strengths(10, 6) == Strengths(0.5, 1.5, 1.2)
    assert styleid.strengths(9, 6) == Strengths(0.6, 1.5, 1.2)
    with Image.open("o.png") as image:
        assert ('StyleID overrides: "gamma 10-11:0.5; gamma steps 0-5:1; temperature 7 steps 2-2:2"'
                in image.info["parameters"])


@pytest.mark.parametrize(("words", "message"), [
    ("--gamma 0.1 --gamma 0.2", "--gamma 0.1 and 0.2: one number for all layers and steps, not 2"),
    ("--gamma 12:0.1", "--gamma '12:0.1': layers '12': [12] unknown"),
    ("--gamma steps3-50:0.1", "gamma for the steps 3 to 50; there are the steps 0 to 19"),
    ("--style-factor 2", "--style-factor: not used by --rule styleid. Give --rule joint or gated"),
    ("--rule joint --gate 2", "--gate: not used by --rule joint. Give --rule gated"),
    ("--inversion fast", "inversion = 'fast': Input should be ddim, noised or fixed-point:K"),
    ("--rule gated --gate 0", "gate = 0.0: Input should be greater than or equal to 1"),
])
def test_settings_that_are_refused(words: str, message: str) -> None:
    result = call(f"transfer content.png red.png -o o.png --size 64 {words}")
    assert result.exit_code == 2
    assert message in result.stderr


def test_a_sweep_of_one_transfer() -> None:
    result = call("transfer content.png red.png -o out --size 64 --sweep gamma=0.3,0.5 "
                  "--sweep rule=styleid,joint")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.split() == [
        *(f"out/content-red-gamma-{gamma}_rule-{rule}.png"
          for gamma in ("0.3", "0.5") for rule in ("styleid", "joint")), "out/contact-sheet.png"]
    assert FakeStyleID.inverted == 1
    assert "4 pictures; 180 UNet evaluations to do" in result.stderr
    made = facts("out/content-red-gamma-0.5_rule-joint.png")["styleid"]
    assert (made["gamma"], made["rule"]) == (0.5, "joint")  # type: ignore[index]


@pytest.mark.parametrize("words", ["-o o.png", "-o out --save-style s.safetensors"])
def test_a_sweep_needs_a_folder(words: str) -> None:
    result = call(f"transfer content.png red.png {words} --size 64 --sweep gamma=0.3,0.5")
    assert result.exit_code == 2
    assert "--out must be a folder, and no style is saved" in result.stderr


@pytest.mark.parametrize(("words", "layers", "steps", "gamma"), [
    ("--preset paper", list(range(6, 12)), 50, 0.75),
    ("--preset paper --steps 3", list(range(6, 12)), 3, 0.75),
    ("--preset strong", list(range(7, 12)), 20, 0.3),
    ("--preset strong --gamma 0.5", list(range(7, 12)), 20, 0.5),
    ("--preset reference", list(range(7, 12)), 20, 0.75),
])
def test_presets(words: str, layers: list[int], steps: int, gamma: float) -> None:
    assert call(f"transfer content.png red.png -o o.png --size 64 {words}").exit_code == 0
    made: Any = facts("o.png")["styleid"]
    assert (made["layers"], made["steps"], made["gamma"]) == (layers, steps, gamma)


@pytest.mark.parametrize(("words", "seed"), [
    ("", 0), ("--inversion noised", 9), ("--start-latents frequency", 9),
    ("--inversion fixed-point:2", 0)])
def test_a_seed_is_recorded_where_numbers_are_drawn(words: str, seed: int) -> None:
    assert call(f"transfer content.png red.png -o o.png --size 64 --seed 9 {words}").exit_code == 0
    assert StyleIDSettings.model_validate(facts("o.png")["styleid"]).seed == seed


def test_a_style_is_kept_and_used_again() -> None:
    assert call("transfer content.png red.png -o o.png --size 64 --save-style s.safetensors")
    kept = call("transfer content.png red.png -o p.png --size 64 --load-style s.safetensors")
    assert kept.exit_code == 0
    assert "1 pictures; 40 UNet evaluations to do" in kept.stderr
    assert FakeStyleID.inverted == 1
    assert colour("p.png") == colour("o.png")


def test_generate() -> None:
    result = call("generate Ring -o o.png --size 128 --seed 77 --negative blurry")
    assert (result.exit_code, result.stdout) == (0, "o.png\n")
    assert colour("o.png") == ((128, 128), (77, 77, 77))
    recorded = facts("o.png")
    assert (recorded["prompt"], recorded["negative"], recorded["seed"]) == ("Ring", "blurry", 77)


def test_other_tools_read_the_settings_of_a_drawing() -> None:
    write_lora("a, b.safetensors", LoRAWeights({"unet": {"conv_in": LAYER}}))
    prompt = "Ring: red, gold\nby a lake, 雪"
    arguments = ["generate", prompt, "-o", "o.png", "--size", "128x64", "--seed", "7",
                 "--negative", "blurry, dark", "--guidance", "5", "--steps", "3",
                 "--lora", "a, b.safetensors:0.8", "--model", "embedded"]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    digest = hashlib.sha256(Path("a, b.safetensors").read_bytes()).hexdigest()
    with Image.open("o.png") as image:
        text = image.info["parameters"]
    assert text.splitlines() == [
        "Ring: red, gold", "by a lake, 雪", "Negative prompt: blurry, dark",
        "Steps: 3, Sampler: DDIM, CFG scale: 5, Seed: 7, Size: 128x64, Model: embedded, "
        f'Lora hashes: "a, b: {digest[:10]}", Lora weights: "a, b: 0.8"',
    ]
    read = ParserManager().parse("o.png")
    assert read is not None
    [sampler] = read.samplers
    assert (read.full_prompt, read.full_negative_prompt) == (prompt, "blurry, dark")
    assert (sampler.name, sampler.model.name) == ("DDIM", "embedded")
    assert sampler.parameters == {"steps": "3", "cfg_scale": "5", "seed": "7"}
    assert read.metadata["Size"] == "128x64"


def test_other_tools_read_the_settings_of_a_transfer() -> None:
    arguments = "transfer content.png red.png -o o.png --size 64 --gamma 0.3 --layers 7,9 --seed 4"
    assert call(f"{arguments} --vae own/vae.safetensors --model a/b").exit_code == 0
    with Image.open("o.png") as image:
        text = image.info["parameters"]
    assert text == (
        "\nSteps: 20, Sampler: DDIM, CFG scale: 1, Seed: 4, Size: 64x64, Model: a/b, VAE: vae, "
        "StyleID reference: red.png, StyleID gamma: 0.3, StyleID temperature: 1.5, "
        'StyleID layers: "7,9", StyleID steps: 20, StyleID injection: True, '
        "StyleID adain eps: 0.0001, StyleID feature dtype: auto, StyleID adain: True")
    read = ParserManager().parse("o.png")
    assert read is not None
    assert (read.full_prompt, read.samplers[0].name) == ("", "DDIM")
    assert read.metadata["StyleID gamma"] == "0.3"


def test_a_text_that_no_png_can_hold() -> None:
    """Bytes of a command line that are not UTF-8 come as halves of characters."""
    result = CliRunner().invoke(app, ["generate", "Ring \udce9", "-o", "o.png", "--size", "64"])
    assert result.exit_code == 0
    with Image.open("o.png") as image:
        assert image.info["parameters"].startswith("Ring ?\nSteps: 25")


def test_generate_into_a_folder() -> None:
    Path("folder").mkdir()
    assert call("generate Ring -o folder --size 64").exit_code == 0
    assert Path("folder/Ring.png").is_file()


def test_progress_is_on_stderr() -> None:
    result = call("generate Ring -o o.png --size 64 --steps 3")
    assert "1 pictures; 6 UNet evaluations to do" in result.stderr
    assert "[1/1] o.png" in result.stderr
