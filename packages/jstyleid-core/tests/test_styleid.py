"""How StyleID behaves: its cost, batches, sizes, saved styles, and what it refuses."""

from __future__ import annotations

import dataclasses
import itertools
import json
import shutil
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from jstyleid_core import StableDiffusion, Style, StyleID, StyleIDSettings
from jstyleid_core.errors import InputError, NumbersError, OutputError, StaleStyleError
from jstyleid_core.interfaces import plain_attention, processors
from jstyleid_core.synthetic.looks import LOOKS
from jstyleid_core.synthetic.rendering import draw_plain
from jstyleid_core.synthetic.scene import random_scene
from reference_sets import distance

SIDE = 64
STEPS = 3
FEW = StyleIDSettings(steps=STEPS)


def draw_boat(side: int) -> Image.Image:
    return draw_plain(random_scene(np.random.default_rng(0), "boat"), side)


def draw_woodcut(side: int) -> Image.Image:
    rng = np.random.default_rng(1)
    return LOOKS["woodcut"](rng, random_scene(rng, "apple"), side)


@pytest.fixture(scope="module")
def content() -> Image.Image:
    """A drawing of the kind that the model knows."""
    return draw_boat(SIDE)


@pytest.fixture(scope="module")
def woodcut() -> Image.Image:
    """A picture in a look that the model has never seen."""
    return draw_woodcut(SIDE)


@pytest.fixture
def style(model: Any, woodcut: Image.Image) -> Style:
    return StyleID(model, FEW).invert_style(woodcut)


def x0(styleid: StyleID, contents: list[Image.Image], style: Style) -> np.ndarray:
    return deque(styleid.steps(contents, style), maxlen=1).pop().x0.numpy()


def test_evaluations_per_picture(
    model: Any, content: Image.Image, woodcut: Image.Image
) -> None:
    """n once per style; n for the content's inversion and n for the reverse per picture."""
    styleid, calls = StyleID(model, FEW), []
    before = model.evaluations
    style = styleid.invert_style(woodcut, on_step=lambda: calls.append(1))
    assert (model.evaluations - before, len(calls)) == (STEPS, STEPS)
    for _ in range(2):
        before = model.evaluations
        calls.clear()
        styleid.transfer([content], style, on_step=lambda: calls.append(1))
        assert (model.evaluations - before, len(calls)) == (2 * STEPS, 2 * STEPS)


def test_a_batch_gives_what_one_by_one_gives(
    model: Any, content: Image.Image, woodcut: Image.Image, style: Style
) -> None:
    styleid = StyleID(model, FEW)
    contents = [content, woodcut.rotate(90), content.rotate(180)]
    together = x0(styleid, contents, style)
    for i, one in enumerate(contents):
        assert distance(together[i : i + 1], x0(styleid, [one], style)) <= 1e-5


def test_content_and_style_of_other_shapes(
    model: Any, content: Image.Image, woodcut: Image.Image
) -> None:
    styleid = StyleID(model, FEW)
    wide = styleid.invert_style(woodcut.resize((128, 64)))
    [picture] = styleid.transfer([content.resize((64, 192))], wide)
    assert picture.size == (64, 192)


def test_inversion_and_reversal_give_the_content_back(model: Any) -> None:
    """Without injection and AdaIN, 50 steps up and down return what the VAE alone returns."""
    content = draw_boat(128)
    styleid = StyleID(model, StyleIDSettings(steps=50, injection=False, start_latents="none"))
    style = styleid.invert_style(draw_woodcut(128))
    [picture] = styleid.transfer([content], style)
    [by_vae] = model.decode(model.encode([content]))
    error = np.asarray(picture, float) - np.asarray(by_vae, float)
    psnr = 10 * np.log10(255**2 / max((error**2).mean(), 1e-9))
    print(f"PSNR of inversion and reversal against the VAE alone: {psnr:.1f} dB")
    assert psnr >= 28


def test_half_precision_features_change_little(
    model: Any, content: Image.Image, woodcut: Image.Image, style: Style
) -> None:
    half = StyleID(model, StyleIDSettings(steps=STEPS, feature_dtype="float16"))
    halved = half.invert_style(woodcut)
    stored = halved.features[1][7].key
    assert stored.dtype == "float16"
    assert distance(x0(half, [content], halved), x0(StyleID(model, FEW), [content], style)) <= 2e-3


def test_queries_are_let_go_once_used(
    model: Any, content: Image.Image, style: Style, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    original = StyleID._injected

    def watched(self: StyleID, queries: Any, styles: Any, mask: Any) -> Any:
        evaluate = original(self, queries, styles, mask)

        def counting(latents: Any, timestep: int) -> Any:
            out = evaluate(latents, timestep)
            seen.append(len(queries))
            return out

        return counting

    monkeypatch.setattr(StyleID, "_injected", watched)
    StyleID(model, FEW).transfer([content], style)
    assert seen == [2, 1, 0]


def test_processors_are_given_back(model: Any, content: Image.Image, style: Style) -> None:
    StyleID(model, FEW).transfer([content], style)
    attention = next(iter(model.networks.attentions().values()))
    assert all(a.processor is plain_attention for a in model.networks.attentions().values())
    with pytest.raises(RuntimeError), processors({attention: lambda *_: None}):
        raise RuntimeError
    assert attention.processor is plain_attention


def test_attentions_are_named_as_in_diffusers(model: Any) -> None:
    names = list(model.networks.attentions())
    assert len(names) == 2 * 16
    assert names[0] == "down_blocks.0.attentions.0.transformer_blocks.0.attn1"
    assert "mid_block.attentions.0.transformer_blocks.0.attn2" in names
    assert names[-1] == "up_blocks.3.attentions.2.transformer_blocks.0.attn2"


def test_a_saved_style_serves_as_the_fresh_one(
    model: Any, content: Image.Image, woodcut: Image.Image, style: Style, tmp_path: Path
) -> None:
    style.save(tmp_path / "style.safetensors")
    again = Style.load(tmp_path / "style.safetensors", model=model, settings=FEW, image=woodcut)
    styleid = StyleID(model, FEW)
    assert np.array_equal(x0(styleid, [content], again), x0(styleid, [content], style))


@pytest.mark.parametrize(
    ("settings", "field"),
    [({"steps": 4}, "steps"), ({"layers": (8, 9)}, "layers"),
     ({"feature_dtype": "float16"}, "dtype")],
)
def test_a_style_of_other_settings_is_refused(
    model: Any, style: Style, tmp_path: Path, settings: dict[str, Any], field: str
) -> None:
    file = tmp_path / "style.safetensors"
    style.save(file)
    other = StyleIDSettings(**{"steps": STEPS, **settings})
    with pytest.raises(StaleStyleError, match=f"{file} was recorded with {field}"):
        Style.load(file, model=model, settings=other)
    with pytest.raises(InputError, match="Invert the style again"):
        StyleID(model, other).transfer([Image.new("RGB", (64, 64))], style)


def test_a_style_belongs_to_the_backend_that_made_it(
    model: Any, style: Style, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "style.safetensors"
    style.save(file)
    made_by = model.backend
    monkeypatch.setattr(model.networks, "backend", "another", raising=False)
    with pytest.raises(StaleStyleError, match=f"with backend {made_by}, now it is another. Record"):
        Style.load(file, model=model, settings=FEW)


def test_a_style_file_that_names_no_backend_is_the_native_ones(
    model: Any, style: Style, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "style.safetensors"
    style.save(file)
    with safe_open(file, framework="numpy") as opened:
        kept = {key: value for key, value in opened.metadata().items() if key != "backend"}
    save_file(load_file(file), file, metadata=kept)
    monkeypatch.setattr(model.networks, "backend", "native", raising=False)
    assert Style.load(file, model=model, settings=FEW).image_hash == style.image_hash


def test_a_style_of_another_model_or_picture_is_refused(
    model: Any, models: Any, style: Style, content: Image.Image, tmp_path: Path
) -> None:
    file = tmp_path / "style.safetensors"
    style.save(file)
    with pytest.raises(StaleStyleError, match="recorded with model"):
        Style.load(file, model=models("golden-sd21-base"), settings=FEW)
    with pytest.raises(StaleStyleError, match="recorded with image"):
        Style.load(file, model=model, settings=FEW, image=content)


def test_the_fingerprint_sees_the_schedule(model: Any, tmp_path: Path) -> None:
    """Same weights, another kind of prediction: another model."""
    copy = shutil.copytree(model.checkpoint.path, tmp_path / "checkpoint")
    file = copy / "scheduler" / "scheduler_config.json"
    assert StableDiffusion.load(copy).fingerprint == model.fingerprint
    file.write_text(file.read_text().replace("v_prediction", "epsilon"))
    assert StableDiffusion.load(copy).fingerprint != model.fingerprint


def test_gamma_and_temperature_may_change_with_a_saved_style(
    model: Any, style: Style, tmp_path: Path
) -> None:
    style.save(tmp_path / "s.safetensors")
    other = StyleIDSettings(steps=STEPS, gamma=0.3, temperature=1.0, start_latents="none")
    again = Style.load(tmp_path / "s.safetensors", model=model, settings=other)
    assert again.recipe == style.recipe


def test_files_that_are_no_styles(model: Any, style: Style, tmp_path: Path) -> None:
    file = tmp_path / "style.safetensors"
    with pytest.raises(InputError, match="no such style file"):
        Style.load(file, model=model, settings=FEW)
    save_file({"x": np.zeros(3, np.float32)}, file)
    with pytest.raises(InputError, match="not a style file"):
        Style.load(file, model=model, settings=FEW)
    style.save(file)
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(InputError, match="not a whole style file"):
        Style.load(file, model=model, settings=FEW)
    style.save(file)
    tensors = load_file(file)
    del tensors["1.7.value"]
    with safe_open(file, framework="numpy") as opened:
        metadata = opened.metadata()
    save_file(tensors, file, metadata=metadata)
    with pytest.raises(InputError, match="not a whole style file"):
        Style.load(file, model=model, settings=FEW)


def test_a_damaged_style_is_named(model: Any, style: Style, tmp_path: Path) -> None:
    file = tmp_path / "style.safetensors"
    style.save(file)
    whole = file.read_bytes()
    for place in (-1, -100, len(whole) // 2, -len(whole) // 3):
        damaged = bytearray(whole)
        damaged[place] ^= 1
        file.write_bytes(damaged)
        with pytest.raises(InputError, match="its numbers are not those that were written"):
            Style.load(file, model=model, settings=FEW)
    with safe_open(file, framework="numpy") as opened:
        metadata = opened.metadata()
    for tensors in ({"latents": np.zeros(3)}, {"a.b.key": np.zeros(3), "a.b.value": np.zeros(3)},
                    {"key": np.zeros(3)}):
        for kept in (metadata, {k: v for k, v in metadata.items() if k != "sha256"}):
            if "latents" in tensors and "sha256" not in kept:
                continue  # as old files are: nothing is known of its numbers
            save_file(tensors, file, metadata=kept)
            with pytest.raises(InputError, match="not a whole style file"):
                Style.load(file, model=model, settings=FEW)


@pytest.mark.parametrize(
    ("at", "place"),
    [(1, "step 1 of 3 of inverting the style"), (3, "step 3 of 3 of inverting the style"),
     (4, "step 1 of 3 of inverting the content"), (5, "step 2 of 3 of inverting the content"),
     (7, "step 1 of 3 of stylising"), (9, "step 3 of 3 of stylising")],
)
def test_a_transfer_says_where_numbers_stopped_being_finite(
    model: Any, content: Image.Image, woodcut: Image.Image, monkeypatch: pytest.MonkeyPatch,
    at: int, place: str,
) -> None:
    predict, calls = model.networks.predict, itertools.count(1)
    monkeypatch.setattr(
        model.networks, "predict",
        lambda *inputs: predict(*inputs) * (np.inf if next(calls) == at else 1))
    styleid = StyleID(model, FEW)
    with pytest.raises(NumbersError, match=f"^{place} has led to numbers that are not finite"):
        styleid.transfer([content], styleid.invert_style(woodcut))


def test_a_style_that_cannot_be_written(style: Style, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="cannot write"):
        style.save(tmp_path / "file" / "style.safetensors")


@pytest.mark.parametrize(
    ("values", "message"),
    [({"gamma": 1.5}, "gamma = 1.5"), ({"gamma": -0.1}, "gamma = -0.1"),
     ({"temperature": 0}, "temperature = 0"), ({"layers": (2, 7)}, "among the layers 3 to 11"),
     ({"layers": ()}, "layers"), ({"steps": 0}, "steps = 0"), ({"adain_eps": 0}, "adain_eps"),
     ({"gama": 0.5}, "gama")],
)
def test_settings_out_of_range(values: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        StyleIDSettings.create(**values)


def test_settings_are_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        FEW.gamma = 0.1  # type: ignore[misc]


def test_contents_must_fit(model: Any, style: Style) -> None:
    styleid = StyleID(model, FEW)
    with pytest.raises(InputError, match="multiples of 64.*Use 64x128 or 128x128"):
        styleid.transfer([Image.new("RGB", (100, 128))], style)
    with pytest.raises(InputError, match="one size"):
        styleid.transfer([Image.new("RGB", (64, 64)), Image.new("RGB", (128, 64))], style)
    with pytest.raises(InputError, match="one size"):
        styleid.transfer([], style)


def test_metadata_ties_a_style_to_its_origin(style: Style, model: Any, tmp_path: Path) -> None:
    style.save(tmp_path / "style.safetensors")
    with safe_open(tmp_path / "style.safetensors", framework="numpy") as file:
        metadata = file.metadata()
    assert metadata["model"] == model.fingerprint
    assert json.loads(metadata["steps"]) == STEPS
    assert metadata["image"] == style.image_hash
    assert {f.name for f in dataclasses.fields(style.recipe)} <= metadata.keys()
