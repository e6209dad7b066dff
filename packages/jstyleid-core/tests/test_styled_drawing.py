"""Pictures that are stylised while they are drawn, or from the recording of their drawing."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from jstyleid_core import Style, StyleID, StyleIDSettings
from jstyleid_core.errors import InputError, StaleStyleError
from jstyleid_core.styleid.drawing import Prompts, StyledDrawing
from jstyleid_core.synthetic.looks import LOOKS
from jstyleid_core.synthetic.scene import random_scene
from reference_sets import distance

STEPS = 4
PROMPTS = Prompts(("a boat", "a house"), (3, 4), 5, "blurry", (64, 64))
ONE = replace(PROMPTS, texts=("a house",), seeds=(4,))


@pytest.fixture(scope="module")
def woodcut() -> Image.Image:
    rng = np.random.default_rng(1)
    return LOOKS["woodcut"](rng, random_scene(rng, "apple"), 64)


def drawing(model: Any, **values: Any) -> StyledDrawing:
    return StyledDrawing(StyleID(model, StyleIDSettings.create(steps=STEPS, **values)))


def pixels(pictures: list[Image.Image]) -> Any:
    return np.stack([np.asarray(picture, np.int16) for picture in pictures])


@pytest.mark.parametrize(("scale", "each"), [(5, 2 * STEPS), (1, STEPS)])
def test_evaluations_of_one_pass(
    model: Any, woodcut: Image.Image, scale: float, each: int
) -> None:
    drawn = drawing(model)
    style, steps = drawn.styleid.invert_style(woodcut), []
    before = model.evaluations
    drawn.draw(replace(PROMPTS, guidance_scale=scale), [style], lambda: steps.append(1))
    assert (model.evaluations - before, len(steps)) == (2 * each, STEPS)


def test_evaluations_of_a_trajectory(model: Any, woodcut: Image.Image) -> None:
    """The drawing, and n for stylising: the n of an inversion fall away."""
    drawn = drawing(model)
    style, steps = drawn.styleid.invert_style(woodcut), []
    before = model.evaluations
    trajectory = drawn.record(PROMPTS, lambda: steps.append(1))
    assert (model.evaluations - before, len(steps)) == (2 * 2 * STEPS, STEPS)
    before = model.evaluations
    drawn.transfer(trajectory, [style], lambda: steps.append(1))
    assert (model.evaluations - before, len(steps)) == (2 * STEPS, 2 * STEPS)
    assert trajectory.queries == {}


def test_pictures_do_not_depend_on_their_batch(model: Any, woodcut: Image.Image) -> None:
    drawn = drawing(model, negative_query=True)
    style = drawn.styleid.invert_style(woodcut)
    together, alone = (pixels(drawn.draw(each, [style])) for each in (PROMPTS, ONE))
    assert np.abs(together[1:] - alone).max() <= 1
    together, alone = (pixels(drawn.transfer(drawn.record(each), [style]))
                       for each in (PROMPTS, ONE))
    assert np.abs(together[1:] - alone).max() <= 1


def test_without_injection_it_is_plain_drawing(model: Any, woodcut: Image.Image) -> None:
    drawn = drawing(model, injection=False, start_latents="none")
    style = drawn.styleid.invert_style(woodcut)
    plain = model.generate(PROMPTS.texts, PROMPTS.seeds, steps=STEPS, size=(64, 64),
                           guidance_scale=5, negative_prompt="blurry")
    assert np.array_equal(pixels(drawn.draw(PROMPTS, [style])), pixels(plain))
    styled = drawing(model)
    other = pixels(styled.draw(PROMPTS, [styled.styleid.invert_style(woodcut)]))
    assert np.abs(other - pixels(plain)).mean() > 10


def test_a_trajectory_leads_back_exactly(model: Any, woodcut: Image.Image) -> None:
    """Drawn by the empty prompt alone, as stylising does, a content comes out as it was drawn."""
    drawn = drawing(model, injection=False, start_latents="none")
    plain = replace(PROMPTS, texts=("", ""), guidance_scale=1)
    style = drawn.styleid.invert_style(woodcut)
    trajectory = drawn.record(plain)
    last = deque(model.sample(plain.texts, plain.seeds, steps=STEPS, guidance_scale=1,
                              size=(64, 64)), maxlen=1).pop()
    again = deque(drawn.styleid.reversal(trajectory.noise, trajectory.queries, [style]),
                  maxlen=1).pop()
    assert distance(again.x0, last.x0) <= 1e-5


def test_the_queries_are_those_of_the_prompt(model: Any) -> None:
    """Of the positive half of the guidance, as an evaluation of the prompt alone gives them."""
    drawn = drawing(model)
    trajectory = drawn.record(PROMPTS)
    noisiest = max(model.schedule.timesteps(STEPS))
    _, seen = drawn.styleid.record(trajectory.noise, noisiest, model.embed(PROMPTS.texts),
                                   ("query",))
    for layer, found in seen.items():
        assert distance(trajectory.queries[noisiest][layer].query, found.query) <= 1e-5


def test_negative_queries_change_the_picture(
    model: Any, woodcut: Image.Image, tmp_path: Path
) -> None:
    plain, negative = drawing(model), drawing(model, negative_query=True)
    style = negative.styleid.invert_style(woodcut)
    style.save(tmp_path / "style.safetensors")
    again = Style.load(tmp_path / "style.safetensors", model=model, settings=negative.settings,
                       image=woodcut)
    made = pixels(negative.draw(ONE, [again]))
    assert np.array_equal(made, pixels(negative.draw(ONE, [style])))
    assert np.abs(made - pixels(plain.draw(ONE, [plain.styleid.invert_style(woodcut)]))).mean() > 1
    with pytest.raises(StaleStyleError, match="queries true, now it is false"):
        Style.load(tmp_path / "style.safetensors", model=model, settings=plain.settings)
    wide = negative.styleid.invert_style(woodcut.resize((128, 64)))
    with pytest.raises(InputError, match="negative_query needs a reference of the pictures' size"):
        negative.draw(ONE, [wide])


def test_a_style_of_other_settings_is_refused(model: Any, woodcut: Image.Image) -> None:
    style = drawing(model).styleid.invert_style(woodcut)
    for made in (lambda d: d.draw(ONE, [style]), lambda d: d.transfer(d.record(ONE), [style])):
        with pytest.raises(InputError, match="Invert the style again"):
            made(drawing(model, negative_query=True))
