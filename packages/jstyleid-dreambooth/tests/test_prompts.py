"""Templates are checked when they are given, and objects come from file names."""

from __future__ import annotations

from pathlib import Path

import pytest

from jstyleid_core.errors import InputError
from jstyleid_dreambooth.prompts import (
    DRAWING_FIELDS,
    DRAWING_TEMPLATE,
    check_template,
    fill,
    object_of,
)


@pytest.mark.parametrize(("name", "shown"), [
    ("apple.png", "apple"), ("Cherry_blossom.png", "cherry blossom"),
    ("woman_walking_a_dog-2.jpg", "woman walking a dog"), ("Bell (3).png", "bell"),
    ("t-shirt.webp", "t shirt"), ("向日葵_1.png", "向日葵"),
])
def test_what_a_sample_shows(name: str, shown: str) -> None:
    assert object_of(Path(name)) == shown


@pytest.mark.parametrize("name", ["001.png", "-.png", "12_3.png"])
def test_a_name_without_a_word(name: str) -> None:
    with pytest.raises(InputError, match=rf"{name}: its name says no object .* as red_apple\.png"):
        object_of(Path("there") / name)


def test_filling_in() -> None:
    assert fill(DRAWING_TEMPLATE, prompt="Ring", style="04") == "Ring in style_04"
    assert fill("{{{style}}}", style="04") == "{04}"


@pytest.mark.parametrize(("template", "said"), [
    ("a {thing}", r"--template 'a \{thing\}': \{thing\} is nothing it can name. It may name "
                  r"\{prompt\} and \{style\}\."),
    ("{}", r"\{\} is nothing it can name"),
    ("{prompt!r}", r"\{prompt\} is nothing"),
    ("{prompt.__class__}", r"\{prompt.__class__\} is nothing"),
    ("{prompt:>400}", r"\{prompt\} is nothing"),
    ("a { b", r"expected '}'.*Write a brace that is meant as such twice"),
    ("}", r"Single '}' encountered"),
    (" ", r"--template: the template is empty"),
])
def test_templates_that_cannot_be_filled_in(template: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        check_template(template, DRAWING_FIELDS, "--template")
