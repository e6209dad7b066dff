"""StyleID's settings do to pictures what the paper says: the embedded model, means of pairs.

`embedded_model/behaviour.py` makes the pictures and measures them; its README has all figures and
where this small model says something else than the paper. Here are 24 of its 48 pairs; `tox -e
model` runs this file with all of them.
"""

from __future__ import annotations

import os
from functools import cache
from typing import Any

import pytest

from behaviour import SETTINGS, Figures, Pairs, figures, mean, measure, pairs

CONTENTS = int(os.environ.get("JSTYLEID_TEST_CONTENTS", "4"))


@pytest.fixture(scope="module")
def found() -> dict[str, Pairs]:
    return pairs(CONTENTS)


@pytest.fixture(scope="module")
def overall(found: dict[str, Pairs], model: Any) -> Any:
    """Means over all pairs, by the name of the settings; each measured once."""

    @cache
    def of(name: str) -> Figures:
        measured = measure(model, SETTINGS[name], found)
        return mean([one for look in measured.values() for one in look])

    return of


def test_every_style_lends_its_colours(model: Any) -> None:
    """In the paper's 50 steps; in 20 pointillism does not, and in few pairs chance decides."""
    every = pairs()
    assert sum(len(of.contents) for of in every.values()) >= 40
    measured = measure(model, SETTINGS["50 steps"], every)
    for look, of in every.items():
        unstyled, styled = mean(figures(of.contents, of)), mean(measured[look])
        print(f"{look}: colour {unstyled.colour:.3f} -> {styled.colour:.3f}")
        assert styled.colour > unstyled.colour, look


def test_less_gamma_brings_the_style_nearer_and_the_content_further(overall: Any) -> None:
    """Section 4.1, equation 5."""
    default, strong = overall("defaults"), overall("gamma 0.3")
    assert default.colour < strong.colour
    assert default.texture > strong.texture
    assert default.structure > strong.structure
    assert default.recognised > strong.recognised


def test_without_adain_the_colours_stay_away(overall: Any) -> None:
    """Section 4.3, equation 7."""
    assert overall("no AdaIN").colour < 0.75 * overall("defaults").colour


def test_without_injection_the_texture_stays_away(
    overall: Any, found: dict[str, Pairs]
) -> None:
    """Section 4.1: with AdaIN alone a part of the way is gone."""
    unstyled = mean([one for of in found.values() for one in figures(of.contents, of)])
    injected, alone = overall("defaults").texture, overall("no injection").texture
    assert injected < alone < unstyled.texture


def test_a_higher_temperature_keeps_more_of_the_content(overall: Any) -> None:
    """What equation 6 does here: a sharper attention takes less of the style's texture."""
    soft, sharp = overall("temperature 1"), overall("defaults")
    assert soft.structure < sharp.structure
    assert soft.texture < sharp.texture
