"""Training and drawing with LoRAs by the real model, on a small checkpoint."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from jstyleid_core import StableDiffusion, StyleID, runtime
from jstyleid_core.image_files import open_image
from jstyleid_core.images import fit, mean_image
from jstyleid_core.pipeline import InitialLatents
from jstyleid_dreambooth import LoRAs, read_lora
from jstyleid_runner.cli import app
from jstyleid_runner.planning.provenance import read_provenance
from jstyleid_runner.reports.progress import LineDisplay
from jstyleid_runner.settings import RunSettings
from jstyleid_runner.workflows.execution import RunRequest
from jstyleid_runner.workflows.run import run_split
from jstyleid_runner.workflows.session import RunCounts
from reference_sets import GOLDEN_LORA

LORA = GOLDEN_LORA / "jittor.safetensors"
SECONDS = 600
SIZE = (64, 64)


@pytest.fixture(scope="module")
def checkpoint(lora_checkpoint: Path) -> Path:
    return lora_checkpoint


def pixels(path: Path) -> bytes:
    return open_image(path).tobytes()


def pictures(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.glob("*/*.png")}


def test_contents_are_drawn_with_the_lora_and_stylised_without(
    tmp_path: Path, checkpoint: Path, split_data: Path, call: Callable[..., Any]
) -> None:
    options = ["--styles", "04", "--content-steps", 2]
    transfers = ["--steps", 2, "--out"]
    assert call("run", *options, "--lora", LORA, *transfers, "with").exit_code == 0
    plain = call(
        "run",
        *options,
        "--method",
        "styleid",
        "--template",
        "{prompt} in style_{style}",
        *transfers,
        "without",
    )
    assert plain.exit_code == 0, plain.output
    drawn = call("run", *options, "--method", "dreambooth", "--lora", LORA, "--out", "drawn")
    assert drawn.exit_code == 0, drawn.output

    with_lora, without = (Path(n, ".jstyleid/contents/04/Ring.png") for n in ("with", "without"))
    assert pixels(with_lora) != pixels(without)
    assert pixels(Path("drawn/04/Ring.png")) == pixels(with_lora)
    facts, others = read_provenance(with_lora), read_provenance(without)
    assert facts["lora"]["name"] == LORA.name
    assert {**facts, "lora": None} == others

    # Plain StyleID on a model that has never seen a LoRA.
    settings = RunSettings.create(split="S", method="styleid", styleid={"steps": 2}).styleid
    assert settings
    styleid = StyleID(StableDiffusion.load(checkpoint), settings)
    reference = open_image(split_data / "S" / "04" / "images" / "apple.png")
    style = styleid.invert_style(fit(reference, SIZE))
    [picture] = styleid.transfer([open_image(with_lora)], style)
    assert picture.tobytes() == pixels(Path("with/04/Ring.png"))


def test_generate_a_split_is_the_method_dreambooth(
    tmp_path: Path, checkpoint: Path, split_data: Path, call: Callable[..., Any]
) -> None:
    options = [
        "--lora",
        LORA,
        "--negative",
        "blurry",
        "--start",
        "mean",
        "--strength",
        0.6,
        "--seed",
        5,
    ]
    drawn = call("generate", "--steps", 3, *options, "--out", "drawn")
    assert drawn.exit_code == 0, drawn.output
    # After the table of what was done.
    assert drawn.stdout.splitlines()[-2:] == [
        "4 of 4 pictures are in drawn; look at drawn/gallery.html",
        f"score them: jdiff-check --upload drawn --gt {split_data / 'S'}",
    ]
    run = ["run", "--method", "dreambooth", "--content-steps", 3, *options, "--out"]
    same = call(*run, "same")
    assert same.exit_code == 0, same.output
    assert pictures(Path("drawn")) == pictures(Path("same"))
    assert "4 there already" in call(*run, "drawn").stderr

    facts = read_provenance(Path("drawn/00/Ring.png"))
    model = StableDiffusion.load(checkpoint)
    LoRAs.of(model).add("style", read_lora(LORA))
    samples = sorted((split_data / "S" / "00" / "images").iterdir())
    mean = mean_image([fit(open_image(sample), SIZE) for sample in samples])
    [picture] = model.generate(
        ["Ring in style_00"],
        [facts["content"]["seed"]],
        steps=3,
        negative_prompt="blurry",
        size=SIZE,
        start=InitialLatents(model.encode([mean]), 0.6),
    )
    assert picture.tobytes() == pixels(Path("drawn/00/Ring.png"))


@pytest.mark.parametrize("method", ["dreambooth", "styleid-dreambooth"])
@pytest.mark.parametrize("strength", [1.0, 0.5])
def test_unet_evaluations(
    inline_model: Any,
    make_request: Callable[..., RunRequest],
    display: LineDisplay,
    method: str,
    strength: float,
) -> None:
    transfers = {"styleid": None, "reference": None} if method == "dreambooth" else {}
    request = make_request(
        prompts=2,
        method=method,
        loras={"00": LORA, "04": LORA},
        start="mean",
        strength=strength,
        content_steps=2,
        **transfers,
    )
    run_split(request, inline_model, display, RunCounts())
    assert inline_model.engine.model.evaluations == request.plan.evaluations


def test_a_lora_of_another_architecture(tmp_path: Path, call: Callable[..., Any]) -> None:
    from jstyleid_dreambooth import LoRAWeights, LowRank, write_lora

    layer = LowRank(np.zeros((4, 1280), np.float32), np.zeros((1280, 4), np.float32), 4)
    path = "mid_block.attentions.0.transformer_blocks.0.attn1.to_q"
    write_lora(tmp_path / "loras/00", read_lora(LORA))
    wrong = write_lora(tmp_path / "loras/04", LoRAWeights({"unet": {path: layer}}))
    result = call("generate", "--lora", "loras", "--steps", 1, "--out", "out")
    assert result.exit_code == 2
    assert f"error: {wrong.relative_to(tmp_path)} is for another architecture" in result.stderr
    assert (
        f"unet.{path}: A [4, 1280] and B [1280, 4] are for a weight [1280, 1280]" in result.stderr
    )
    assert pictures(Path("out")) == {}


@pytest.mark.skipif("JSTYLEID_SPLIT_DATA" not in os.environ, reason="JSTYLEID_SPLIT_DATA not set")
def test_the_real_split_and_the_real_lora(
    tmp_path: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime, "redirect_native_output", lambda path: None)
    data = Path(os.environ["JSTYLEID_SPLIT_DATA"])
    common = ["--split", "B", "--data", data, "--styles", "00", "--prompts", 1, "--size", 64,
              "--model", checkpoint, "--out", tmp_path]  # fmt: skip

    def call(*words: object) -> Any:
        return CliRunner().invoke(app, [str(word) for word in (*words, *common)])

    refused = call("run", "--lora", data / "lora")
    assert refused.exit_code == 2
    assert "96 of its 96 layers do not fit" in refused.stderr
    assert "A [4, 320] and B [320, 4] are for a weight [320, 320]" in refused.stderr
    trained = call("run", "--train-steps", 1, "--content-steps", 1, "--steps", 1, "--force")
    assert trained.exit_code == 0, trained.output
    [(name, _)] = pictures(tmp_path).items()
    with Image.open(tmp_path / name) as picture:
        recipe = json.loads(picture.info["jstyleid"])["content"]["lora"]
    assert set(recipe["samples"]["00"]) == {"apple.png", "ball.png", "glasses.png"}
