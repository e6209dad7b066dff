"""The variants of StyleID: rules, references, strengths, start latents, inversions and masks."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from jstyleid_core import Style, StyleID, StyleIDSettings
from jstyleid_core.errors import InputError, StaleStyleError
from jstyleid_core.model.attention import Attention
from jstyleid_core.runtime.jittor import jt
from jstyleid_core.styleid.colours import match_colours, palette_of
from jstyleid_core.styleid.mask import Mask
from jstyleid_core.styleid.rules import Projections, rule_of
from jstyleid_core.styleid.start import adain, efdm, frequency, start_latents
from jstyleid_core.styleid.strengths import parse_strength
from jstyleid_core.synthetic.looks import LOOKS
from jstyleid_core.synthetic.rendering import draw_plain
from jstyleid_core.synthetic.scene import random_scene
from reference_sets import distance

Array = NDArray[np.float64]
STEPS = 3
HEADS = 2


def look(name: str, kind: str, seed: int, side: int = 64) -> Image.Image:
    rng = np.random.default_rng(seed)
    return LOOKS[name](rng, random_scene(rng, kind), side)


@pytest.fixture(scope="module")
def content() -> Image.Image:
    return draw_plain(random_scene(np.random.default_rng(0), "boat"), 64)


@pytest.fixture(scope="module")
def woodcut() -> Image.Image:
    return look("woodcut", "apple", 1)


@pytest.fixture(scope="module")
def pastel() -> Image.Image:
    return look(sorted(LOOKS)[0], "house", 2, 128)


def settings(**values: Any) -> StyleIDSettings:
    return StyleIDSettings.create(steps=STEPS, **values)


def x0(styleid: StyleID, content: Image.Image, *styles: Style, **how: Any) -> Any:
    return deque(styleid.steps([content], styles, **how), maxlen=1).pop().x0.numpy()


def numbers(*shape: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng([seed, *shape]).standard_normal(shape, np.float32)


# Rules, against the formulas in float64


def split(x: Array) -> Array:
    return x.reshape(*x.shape[:2], HEADS, -1).transpose(0, 2, 1, 3)


def joined(x: Array) -> Array:
    return x.transpose(0, 2, 1, 3).reshape(x.shape[0], x.shape[2], -1)


def in_float64(made: StyleIDSettings, own: Sequence[Array], content: Array,
               style: Sequence[Array]) -> Array:
    """The rules as `jstyleid_core.styleid.rules` writes them."""
    q = made.temperature * (made.gamma * content + (1 - made.gamma) * own[0])
    root = np.sqrt(q.shape[2] // HEADS)
    factor = 1.0 if made.rule == "styleid" else made.style_factor
    s = factor * split(q) @ split(style[0]).swapaxes(2, 3) / root
    c = split(q) @ split(own[1]).swapaxes(2, 3) / root
    if made.rule == "styleid":
        c, weights = c[..., :0], 1.0
    elif made.rule == "gated":
        lse = [np.log(np.exp(scores).sum(-1)) for scores in (s, c)]
        mean = np.clip(lse[0] - lse[1], -20, 20).mean(1)
        weights = (1 + (made.gate - 1) / (1 + np.exp(-mean)))[:, None, :, None]
    else:
        weights = 1.0
    scores = np.exp(np.concatenate([weights * s, c], -1))
    probabilities = scores / scores.sum(-1, keepdims=True)
    both = (q.shape[0], *split(style[1]).shape[1:])
    values = np.broadcast_to(split(style[1]), both)
    if made.rule != "styleid":
        values = np.concatenate([values, split(own[2])], 2)
    out = joined(probabilities @ values)
    if made.moments:
        spread = np.sqrt(np.maximum(joined(probabilities @ values**2) - out**2, 0))
        normal = (q - q.mean(1, keepdims=True)) / np.sqrt(q.var(1, keepdims=True) + 1e-5)
        out = out + made.moments * spread * normal
    return out


@pytest.mark.parametrize("values", [
    {}, {"rule": "joint"}, {"rule": "joint", "style_factor": 0.7, "moments": 0.2},
    {"rule": "gated"}, {"rule": "gated", "gate": 4, "style_factor": 1.5, "moments": 0.2},
], ids=str)
def test_rules_are_their_formulas(values: dict[str, Any]) -> None:
    made = settings(**values)
    own = [numbers(2, 40, 32, seed=i) for i in range(3)]
    asked, style = numbers(2, 40, 32, seed=3), [numbers(1, 70, 32, seed=i) for i in (4, 5)]
    got = rule_of(made, 7, 0)(
        Attention(32, None, HEADS), Projections(*map(jt.array, own)),
        Projections(query=jt.array(asked)), Projections(None, *map(jt.array, style)))
    want = in_float64(made, [x.astype(np.float64) for x in own], asked.astype(np.float64),
                      [x.astype(np.float64) for x in style])
    assert distance(got, want) <= 2e-6


def test_a_gate_of_one_is_joint_attention(
    model: Any, content: Image.Image, woodcut: Image.Image
) -> None:
    joint, gated = (StyleID(model, settings(rule=rule, gate=1)) for rule in ("joint", "gated"))
    style = joint.invert_style(woodcut)
    assert distance(x0(gated, content, style), x0(joint, content, style)) <= 1e-5


@pytest.mark.parametrize("rule", ["joint", "gated"])
def test_rules_differ_and_keep_the_batch_rule(
    model: Any, content: Image.Image, woodcut: Image.Image, rule: str
) -> None:
    styleid = StyleID(model, settings(rule=rule))
    style = styleid.invert_style(woodcut)
    contents = [content, content.rotate(90)]
    together = deque(styleid.steps(contents, style), maxlen=1).pop().x0.numpy()
    for i, one in enumerate(contents):
        assert distance(together[i:i + 1], x0(styleid, one, style)) <= 1e-5
    assert distance(x0(StyleID(model, settings()), content, style), together[:1]) > 1e-2


# Several references


def test_a_reference_given_twice_changes_nothing(
    model: Any, content: Image.Image, woodcut: Image.Image
) -> None:
    """A softmax over each key twice is that over each once; but for n - 1 in the deviation."""
    styleid = StyleID(model, settings(start_latents="efdm"))
    style = styleid.invert_style(woodcut)
    assert distance(x0(styleid, content, style, style), x0(styleid, content, style)) <= 1e-4


def test_references_of_several_sizes_in_any_order(
    model: Any, content: Image.Image, woodcut: Image.Image, pastel: Image.Image
) -> None:
    styleid = StyleID(model, settings())
    first, second = styleid.invert_style(woodcut), styleid.invert_style(pastel)
    both = x0(styleid, content, first, second)
    assert distance(both, x0(styleid, content, second, first)) <= 1e-5
    assert distance(both, x0(styleid, content, first)) > 1e-2
    assert distance(both, x0(styleid, content, second)) > 1e-2


def test_pooled_statistics_are_those_of_all_pixels() -> None:
    content = numbers(1, 4, 6, 8)
    styles = [numbers(1, 4, 5, 4, seed=1) * 2 + 1, numbers(1, 4, 3, 9, seed=2) - 1]
    started = start_latents(settings(), jt.array(content), [jt.array(s) for s in styles]).numpy()
    pixels = np.concatenate([style.reshape(4, -1) for style in styles], 1)
    assert np.allclose(started.mean((2, 3))[0], pixels.mean(1), atol=1e-5)
    assert np.allclose(started.std((2, 3), ddof=1)[0], pixels.std(1, ddof=1), rtol=2e-4)


def test_no_reference_is_refused(model: Any, content: Image.Image) -> None:
    with pytest.raises(InputError, match="no style is given"):
        StyleID(model, settings()).steps([content], [])


# Strengths by layer and step


def test_overrides_for_everything_are_the_value_itself(
    model: Any, content: Image.Image, woodcut: Image.Image
) -> None:
    _, everywhere = parse_strength("gamma", ["7-11:0.3"])
    _, always = parse_strength("temperature", ["steps 0-2:1.1"])
    plain = StyleID(model, settings(gamma=0.3, temperature=1.1))
    written = StyleID(model, settings(overrides=(*everywhere, *always)))
    style = plain.invert_style(woodcut)
    assert np.array_equal(x0(plain, content, style), x0(written, content, style))
    _, some = parse_strength("gamma", ["7-11:0.3", "10-11 steps 1-2:0.9"])
    assert distance(x0(StyleID(model, settings(overrides=tuple(some))), content, style),
                    x0(StyleID(model, settings(gamma=0.3)), content, style)) > 1e-3


def test_the_last_override_that_applies_counts() -> None:
    plain, overrides = parse_strength(
        "gamma", ["0.6", "10-11:0.5", "steps 0-1:1", "7, 9 steps 1:0.1"])
    made = settings(gamma=plain, overrides=tuple(overrides))
    found = {(layer, step): made.strengths(layer, step).gamma
             for layer in (7, 8, 10) for step in range(STEPS)}
    assert found == {(7, 0): 1, (7, 1): 0.1, (7, 2): 0.6, (8, 0): 1, (8, 1): 1, (8, 2): 0.6,
                     (10, 0): 1, (10, 1): 1, (10, 2): 0.5}


@pytest.mark.parametrize(("texts", "message"), [
    (["a"], "'a' is not a number"), (["0.1", "0.2"], "one number"),
    (["10-11:x"], "'x' is not a number"), (["2:0.1"], "the decoder has layers 3 to 11"),
    ([":0.1"], "not of a known form"), (["steps 3-1:0.1"], "run backwards"),
    (["steps a:0.1"], "not of a known form"), (["1:2:3"], "not of a known form"),
])
def test_strengths_that_are_refused(texts: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        parse_strength("gamma", texts)
    assert error.value.fields == ("gamma",)


@pytest.mark.parametrize(("text", "message"), [
    ("6:0.5", r"layers \[6\], which are not among"),
    ("steps 0-3:0.5", "there are the steps 0 to 2"),
    ("7:1.5", "gamma = 1.5: from 0 to 1"), ("7:nan", "gamma = nan"),
])
def test_overrides_that_are_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        settings(overrides=tuple(parse_strength("gamma", [text])[1]))


@pytest.mark.parametrize("values", [
    {}, {"start_latents": "none"}, {"start_latents": "efdm", "rule": "joint"},
    {"overrides": tuple(parse_strength("gamma", ["10-11 steps 1-2:0.9"])[1]), "gate": 3.0},
    {"inversion": "fixed-point:3", "seed": 4}, {"colour_match": 0.5},
], ids=str)
def test_settings_come_back_from_their_record(values: dict[str, Any]) -> None:
    made = settings(**values)
    recorded = made.model_dump(mode="json")
    assert StyleIDSettings.model_validate(recorded) == made
    older = {"gamma", "temperature", "layers", "steps", "injection", "adain", "adain_eps",
             "feature_dtype"}
    newer = {name for name in values if name != "start_latents" or values[name] == "efdm"}
    assert set(recorded) == (older | newer) - ({"adain"} if "start_latents" in newer else set())


# Colours of finished pictures


def test_colours_are_matched_also_with_a_saved_style(
    model: Any, content: Image.Image, woodcut: Image.Image, tmp_path: Path
) -> None:
    plain, matching = StyleID(model, settings()), StyleID(model, settings(colour_match=1.0))
    style = matching.invert_style(woodcut)
    style.save(tmp_path / "style.safetensors")
    saved = Style.load(tmp_path / "style.safetensors", model=model, settings=matching.settings)
    [before], [after], [again] = (plain.transfer([content], style),
                                  matching.transfer([content], style),
                                  matching.transfer([content], saved))
    assert after.tobytes() == match_colours(before, [palette_of(woodcut)], 1).tobytes()
    assert again.tobytes() == after.tobytes()


def test_a_style_file_without_colours_serves_where_none_are_matched(
    model: Any, woodcut: Image.Image, tmp_path: Path
) -> None:
    file = tmp_path / "style.safetensors"
    style = StyleID(model, settings()).invert_style(woodcut)
    replace(style, palette=None).save(file)
    saved = Style.load(file, model=model, settings=settings())
    assert saved.palette is None
    with pytest.raises(InputError, match="without the colours"):
        StyleID(model, settings(colour_match=0.5)).check_styles([style, saved])
    with pytest.raises(StaleStyleError, match="colour_match needs"):
        Style.load(file, model=model, settings=settings(colour_match=0.5))


# Start latents, against float64


def ranked(content: Array, style: Array, share: float) -> Array:
    """Exact matching where both have as many pixels, one channel after the other."""
    matched = np.empty_like(content)
    for b, c in np.ndindex(content.shape[:2]):
        order = content[b, c].reshape(-1).argsort()
        flat = np.empty(order.size)
        flat[order] = np.sort(style[0, c].reshape(-1))
        matched[b, c] = flat.reshape(content.shape[2:])
    return content + share * (matched - content)


def with_statistics(content: Array, style: Array, share: float = 1) -> Array:
    def of(x: Array) -> tuple[Array, Array]:
        return x.mean((2, 3), keepdims=True), x.std((2, 3), keepdims=True, ddof=1)

    (mean_c, std_c), (mean_s, std_s) = of(content), of(style)
    mean, std = share * mean_s + (1 - share) * mean_c, share * std_s + (1 - share) * std_c
    return (content - mean_c) / (std_c + 1e-4) * std + mean


def in_frequencies(content: Array) -> Array:
    """The low pass as a sum over the discrete Fourier transform's matrices."""
    height, width = content.shape[2:]

    def waves(size: int) -> tuple[Array, Array]:
        index = np.arange(size)
        folded = np.where(index < (size + 1) // 2, index, index - size) * 2 / size
        return np.exp(-2j * np.pi * np.outer(index, index) / size), folded

    (rows, fy), (columns, fx) = waves(height), waves(width)
    spectrum = rows @ content @ columns.T
    low = np.exp(-(fy[:, None] ** 2 + fx[None] ** 2) / 0.18)
    spectrum = (1 - low) * spectrum + 0.7 * low * spectrum
    kept = (rows.conj() @ spectrum @ columns.conj().T).real / (height * width)
    noise = np.random.default_rng(5).standard_normal(content.shape[1:])
    return kept + 0.3 * content.std((2, 3), keepdims=True, ddof=1) * noise


@pytest.mark.parametrize("kind", ["adain", "content-adain", "efdm", "eae", "frequency", "none"])
def test_start_latents_are_their_formulas(kind: str) -> None:
    content, style = numbers(2, 4, 6, 7), numbers(1, 4, 6, 7, seed=1) * 1.4 + 0.3
    z, s = content.astype(np.float64), style.astype(np.float64)
    want = {
        "adain": lambda: with_statistics(z, s),
        "content-adain": lambda: with_statistics(z, s, 0.6),
        "efdm": lambda: ranked(z, s, 1),
        "eae": lambda: ranked(with_statistics(ranked(z, s, 0.6), s), s, 0.3),
        "frequency": lambda: in_frequencies(z),
        "none": lambda: z,
    }[kind]()
    made = settings(start_latents=kind, seed=5)
    got = start_latents(made, jt.array(content), [jt.array(style)])
    assert distance(got, want) <= 2e-6
    alone = start_latents(made, jt.array(content[1:]), [jt.array(style)])
    assert distance(alone, got.numpy()[1:]) <= 1e-6


def test_exact_matching_with_other_numbers_of_pixels() -> None:
    content, style = numbers(1, 4, 16, 16), numbers(1, 4, 24, 24, seed=1) * 3 - 1
    got = np.sort(efdm(jt.array(content), jt.array(style)).numpy().reshape(4, -1))
    wanted = np.quantile(style.reshape(4, -1), (np.arange(256) + 0.5) / 256, axis=1,
                         method="hazen").T
    assert distance(got, wanted) <= 1e-6


def test_start_latents_of_constant_channels_are_finite() -> None:
    flat = jt.array(np.full((1, 4, 4, 4), 0.5, np.float32))
    for made in (adain(flat, flat, 1e-4), efdm(flat, flat), frequency(flat, 0)):
        assert np.isfinite(made.numpy()).all()


# Inversions


def test_fixed_point_inversion_comes_back_closer(model: Any, content: Image.Image) -> None:
    """Drawn again without injection, K evaluations a step lose less of the content."""
    errors = {}
    for inversion, evaluations in (("ddim", 10), ("fixed-point:1", 10), ("fixed-point:4", 40)):
        made = StyleIDSettings(steps=10, injection=False, start_latents="none",
                               inversion=inversion)
        styleid = StyleID(model, made)
        assert made.inversion_evaluations == evaluations
        before = model.evaluations
        style = styleid.invert_style(content)
        assert model.evaluations - before == evaluations
        errors[inversion] = distance(x0(styleid, content, style),
                                     model.encode([content]).numpy())
    print(errors)
    assert errors["fixed-point:1"] == errors["ddim"]
    assert errors["fixed-point:4"] < 0.7 * errors["ddim"]


def test_a_noised_style_is_evaluated_at_each_timestep(
    model: Any, content: Image.Image, woodcut: Image.Image
) -> None:
    styleid = StyleID(model, StyleIDSettings(steps=6, inversion="noised", seed=3))
    before = model.evaluations
    style = styleid.invert_style(woodcut)
    assert model.evaluations - before == 6
    noise = np.random.default_rng(3).standard_normal((1, 4, 8, 8), np.float32)
    latents = model.encode([woodcut]).numpy()
    for timestep in model.schedule.timesteps(6):
        bar = model.schedule.alpha_bar(timestep)
        noised = jt.array((bar**0.5 * latents + (1 - bar) ** 0.5 * noise).astype(np.float32))
        _, seen = styleid.record(
            noised, timestep, model.empty_prompt, ("key", "value"))
        for layer, projections in seen.items():
            kept = style.features[timestep][layer]
            assert distance(kept.key, projections.key) <= 1e-5
            assert distance(kept.value, projections.value) <= 1e-5
    assert distance(style.latents, noised) <= 1e-6
    assert np.isfinite(x0(styleid, content, style)).all()


def test_a_saved_style_knows_its_inversion(
    model: Any, woodcut: Image.Image, tmp_path: Path
) -> None:
    made = settings(inversion="noised", seed=1)
    StyleID(model, made).invert_style(woodcut).save(tmp_path / "s.safetensors")
    Style.load(tmp_path / "s.safetensors", model=model, settings=made, image=woodcut)
    for other in (settings(), settings(inversion="noised", seed=2)):
        with pytest.raises(StaleStyleError, match="inversion"):
            Style.load(tmp_path / "s.safetensors", model=model, settings=other)


@pytest.mark.parametrize("inversion", ["DDIM", "fixed-point", "fixed-point:0", "fixed-point:21"])
def test_unknown_inversions(inversion: str) -> None:
    with pytest.raises(InputError, match="fixed-point:K with K from 1 to 20"):
        settings(inversion=inversion)


# Masks


def test_a_white_mask_is_none_and_a_black_one_no_style(
    model: Any, content: Image.Image, woodcut: Image.Image
) -> None:
    styleid = StyleID(model, settings())
    style = styleid.invert_style(woodcut)
    white, black = (Mask(np.full((64, 64), value, np.float32)) for value in (1, 0))
    assert np.array_equal(x0(styleid, content, style, mask=white), x0(styleid, content, style))
    kept = x0(styleid, content, style, mask=black)
    assert distance(kept, model.encode([content]).numpy()) <= 0.05


def test_a_mask_keeps_the_content_outside(
    model: Any, content: Image.Image, woodcut: Image.Image
) -> None:
    """Half of the picture; the decoder mixes a few pixels at the edge."""
    styleid = StyleID(model, settings())
    style = styleid.invert_style(woodcut)
    weights = np.zeros((64, 64), np.float32)
    weights[:, :32] = 1
    [masked], [styled] = (styleid.transfer([content], style, mask=mask)
                          for mask in (Mask(weights), None))
    [drawn] = model.decode(model.encode([content]))
    made, whole, plain = (np.asarray(picture, float) for picture in (masked, styled, drawn))
    outside, inside = np.s_[:, 48:], np.s_[:, :24]
    assert np.abs(made - plain)[outside].mean() < np.abs(whole - plain)[outside].mean() / 10
    assert np.abs(made - plain)[inside].mean() > np.abs(whole - plain)[inside].mean() / 2


def test_masks_are_means_over_the_pixels_of_a_token() -> None:
    image = Image.new("L", (64, 32))
    image.paste(255, (0, 0, 12, 32))
    mask = Mask.of(image)
    assert mask.size == (64, 32)
    assert np.allclose(mask.means(8), [[1, 0.5, 0, 0, 0, 0, 0, 0]] * 4)
    assert np.allclose(mask.means(16), [[0.75, 0, 0, 0]] * 2)


def test_a_mask_of_another_size_is_refused(
    model: Any, content: Image.Image, woodcut: Image.Image
) -> None:
    styleid = StyleID(model, settings())
    with pytest.raises(InputError, match="mask"):
        styleid.steps([content], styleid.invert_style(woodcut),
                      mask=Mask(np.zeros((32, 64), np.float32)))
