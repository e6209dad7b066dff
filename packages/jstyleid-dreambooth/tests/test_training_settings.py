"""Settings, presets and what the steps of a training are computed from: no network here."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from jstyleid_core.errors import InputError, spell_settings
from jstyleid_dreambooth.training.dataset import bucket_size, crops
from jstyleid_dreambooth.training.job import (
    StyleImages,
    TrainingJob,
    objects_of,
    recipe_changes,
    recipe_digest,
)
from jstyleid_dreambooth.training.optimizer import LossScale, learning_rate
from jstyleid_dreambooth.training.presets import PRESETS
from jstyleid_dreambooth.training.prior import class_prompts
from jstyleid_dreambooth.training.settings import PriorSettings, TrainingSettings
from reference_sets import GOLDEN_VALUES


def test_the_baseline_is_the_recipe_of_the_challenge() -> None:
    settings = TrainingSettings.create(PRESETS["baseline"])
    assert settings == TrainingSettings()
    assert (settings.steps, settings.rank, settings.batch, settings.prior) == (500, 4, 1, None)
    assert (settings.learning_rate, settings.weight_decay, settings.epsilon) == (1e-4, 1e-2, 1e-8)
    assert settings.prompt == "style_{style}"
    assert settings.evaluations == 500 * 3


def test_the_tuned_preset() -> None:
    settings = TrainingSettings.create(PRESETS["tuned"])
    assert (settings.steps, settings.rank, settings.enlarge) == (800, 32, 1.04)
    assert settings.prior == PriorSettings(weight=1.0, images=300)
    assert settings.up_rate_ratio > 1
    assert settings.evaluations == 800 * 2 * 4


@pytest.mark.parametrize(("values", "said"), [
    ({"caption_dropout": 1.1}, "caption_dropout 1.1: Input should be less than or equal to 1"),
    ({"steps": 5, "warmup_steps": 5}, "warmup_steps 5: the training has 5 steps. Give fewer"),
    ({"steps": 0}, "steps 0: Input should be greater than 0"),
    ({"learning_rate": math.inf}, "learning_rate inf: Input should be a finite number"),
    ({"prior": {"weight": -1}}, "prior.weight -1: Input should be greater than 0"),
    ({"prompt": "{x}"}, r"prompt '\{x\}': \{x\} is nothing it can name"),
    ({"prior": {"prompt": "{style}"}}, r"prior.prompt '\{style\}'"),
    ({"rnk": 4}, "rnk 4: Extra inputs are not permitted"),
])
def test_values_that_are_not_allowed(values: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        TrainingSettings.create(values)
    assert caught.value.fields == (said.split()[0],)


def test_a_command_line_names_the_settings_its_own_way() -> None:
    spell_settings(lambda name: f"<{name}>")
    with pytest.raises(InputError, match="<prior.weight> -1: Input should be greater than 0"):
        TrainingSettings.create({"prior": {"weight": -1}})


def test_learning_rates_are_those_of_diffusers() -> None:
    """`reference/schedule_references.py` has made the rates."""
    cases = json.loads((GOLDEN_VALUES / "training" / "schedules.json").read_text())
    assert {case["schedule"] for case in cases} == {"constant", "linear", "cosine"}
    for case in cases:
        expected = case.pop("rates")
        settings = TrainingSettings.create(case)
        rates = [learning_rate(step, settings) for step in range(1, settings.steps + 1)]
        assert rates == pytest.approx(expected, rel=1e-14, abs=1e-18), case


def test_the_loss_scale_halves_on_overflow_and_grows_again() -> None:
    scale = LossScale(value=8.0)
    assert scale.too_large(1.0, math.inf)
    assert scale.value == 4
    assert not scale.too_large(math.nan, math.nan)  # the loss itself is wrong
    for _ in range(199):
        assert not scale.too_large(1.0, 1.0)
    assert (scale.value, scale.calm) == (8, 0)


def gradient_picture(width: int, height: int) -> Image.Image:
    across, down = np.meshgrid(np.arange(width), np.arange(height))
    return Image.fromarray(np.stack([across, down, across * 0], axis=2).astype(np.uint8))


def test_crops_keep_proportions_and_differ() -> None:
    found = crops(gradient_picture(150, 100), (64, 64), enlarge=1.0, count=8, seed=(0,))
    assert len(found) == 8
    assert {picture.size for picture in found} == {(64, 64)}
    assert len({picture.tobytes() for picture in found}) == 8
    for picture in found:
        pixels = np.asarray(picture).astype(float)
        # As many source pixels across as down: nothing is squashed.
        across = pixels[32, -1, 0] - pixels[32, 0, 0]
        down = pixels[-1, 32, 1] - pixels[0, 32, 1]
        assert abs(across - down) <= 2
    again = crops(gradient_picture(150, 100), (64, 64), enlarge=1.0, count=8, seed=(0,))
    assert [p.tobytes() for p in again] == [p.tobytes() for p in found]


@pytest.mark.parametrize(("picture", "bucket"), [
    ((512, 512), (512, 512)), ((1000, 960), (512, 512)), ((400, 300), (512, 384)),
    ((300, 400), (384, 512)), ((3000, 2000), (576, 384)), ((1920, 1080), (576, 320)),
    ((1250, 1000), (576, 448)), ((100, 10000), (64, 4096)),
])
def test_buckets(picture: tuple[int, int], bucket: tuple[int, int]) -> None:
    assert bucket_size(picture, (512, 512), 64) == bucket


def test_buckets_lose_little() -> None:
    cuts, pixels = [], []
    for number in range(241):
        picture = round(1000 * 2.4 ** (number / 240)), 1000
        width, height = bucket_size(picture, (512, 512), 64)
        assert width * height <= 512 * 512
        assert width % 64 == height % 64 == 0
        aspect = picture[0] / picture[1]
        cuts.append(1 - min(width / height / aspect, aspect * height / width))
        pixels.append(width * height / 512**2)
    assert max(cuts) < 0.071
    assert np.mean(cuts) < 0.025
    assert np.mean(pixels) > 0.85


def test_a_picture_that_fits_is_not_touched() -> None:
    picture = gradient_picture(64, 64)
    [only] = crops(picture, (64, 64), enlarge=1.0, count=16, seed=(0,))
    assert only.tobytes() == picture.tobytes()
    enlarged = crops(picture, (64, 64), enlarge=1.04, count=100, seed=(0,))
    assert len(enlarged) == 16  # 67 pixels: four places on each axis


def job(tmp_path: Path, names: tuple[str, ...] = ("red_apple.png", "ball.png"),
        **settings: Any) -> TrainingJob:
    images = []
    for name in names:
        path = tmp_path / name
        gradient_picture(64, 64).save(path)
        images.append(path)
    return TrainingJob((StyleImages("00", tuple(images)),), TrainingSettings.create(settings),
                       tmp_path / "out", tmp_path / "class")


def test_examples_and_names(tmp_path: Path) -> None:
    tuned = job(tmp_path, prompt="an image of {object} in style_{style}")
    assert [prompt for _, prompt in tuned.examples()] == [
        "an image of red apple in style_00", "an image of ball in style_00"]
    plain = job(tmp_path, ("1.png",))
    assert [prompt for _, prompt in plain.examples()] == ["style_00"]
    packed = TrainingJob((*plain.styles, StyleImages("03", ())), plain.settings, tmp_path, tmp_path)
    assert (plain.name, packed.name) == ("00", "pack-00-03")


def test_captions_take_the_place_of_the_prompt(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    names = ("red_apple.png", "1.png", "ball.png", "cup.png", "2.png")
    plain = job(tmp_path, names, prompt="a {object} in style_{style}")
    usual = plain.recipe("model")
    files = {
        "1.txt": b"\xef\xbb\xbfa {red} boat\r\n on water,  [trigger]\n",
        "2.TXT": "\ufeffein Käfer in style_00, [trigger]".encode("utf-16-le"),
        "ball.txt": b" \n",
        "cup.txt": b"a cup",
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    images = plain.styles[0].images
    for _ in range(2):
        captioned = replace(plain, styles=(StyleImages.read("00", images),))
    # 1.png and 2.png name no object, and need none.
    assert [prompt for _, prompt in captioned.examples()] == [
        "a red apple in style_00", "a {red} boat on water, style_00", "a ball in style_00", "a cup",
        "ein Käfer in style_00, style_00"]
    assert caplog.messages == [
        f"{tmp_path / 'ball.txt'}: the caption is empty; the usual prompt is used",
        f"{tmp_path}: captions with neither [trigger] nor style_00, the word that pictures of this "
        "style are usually drawn with: cup.txt"]
    assert recipe_changes(usual, captioned.recipe("model")) == [
        'captions.00.1.png: nothing there, "a {red} boat on water, style_00" now',
        'captions.00.2.png: nothing there, "ein K\\u00e4fer in style_00, style_00" now',
        'captions.00.cup.png: nothing there, "a cup" now']
    (tmp_path / "cup.txt").write_bytes(b"caf\xe9")
    with pytest.raises(InputError, match=r"cup\.txt: not UTF-8 text \(byte 3\)\. Save the file"):
        StyleImages.read("00", images)


def test_recipes_without_newer_settings_are_those_of_before() -> None:
    assert "caption_dropout" not in TrainingSettings().model_dump()
    assert TrainingSettings(caption_dropout=0.1).model_dump()["caption_dropout"] == 0.1


def test_objects_and_class_prompts(tmp_path: Path) -> None:
    objects = objects_of({"00": (Path("b.png"), Path("a_1.png")), "01": (Path("A.jpg"),)})
    assert objects == ("a", "b")
    prior = PriorSettings(images=3)
    assert class_prompts(prior, objects) == ["an image of a", "an image of b", "an image of a"]
    assert class_prompts(PriorSettings(images=2, prompt="an image"), ()) == ["an image"] * 2
    with pytest.raises(InputError, match=r"prior.prompt 'an image of \{object\}': there are no"):
        class_prompts(prior, ())


def test_a_recipe_is_the_pictures_and_the_settings(tmp_path: Path) -> None:
    first = job(tmp_path).recipe("model")
    assert recipe_digest(first) == recipe_digest(job(tmp_path).recipe("model"))
    assert recipe_changes(first, job(tmp_path, steps=900).recipe("model")) == []
    assert recipe_changes(first, job(tmp_path, rank=8).recipe("model")) == [
        "settings.rank: 4 there, 8 now"]
    cosine = {"schedule": "cosine"}
    assert recipe_changes(job(tmp_path, **cosine).recipe("m"),
                     job(tmp_path, steps=900, **cosine).recipe("m")) == [
        "settings.steps: 500 there, 900 now"]
    changed = job(tmp_path)
    gradient_picture(65, 64).save(tmp_path / "ball.png")
    [difference] = recipe_changes(first, changed.recipe("model"))
    assert difference.startswith("samples.00.ball.png: ")


def test_crops_of_a_picture_of_one_column_cost_nothing() -> None:
    with pytest.raises(InputError, match="1 x 4000000 pixels is too narrow for crops of 64 x 64"):
        crops(Image.new("RGB", (1, 4_000_000)), (64, 64), enlarge=1.0, count=1, seed=(0,))
