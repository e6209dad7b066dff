"""Prompt templates: `style_{style}` to train with, `{prompt} in style_{style}` to draw with."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from string import Formatter

from jstyleid_core.errors import InputError

TRAINING_FIELDS = ("style", "object")
DRAWING_FIELDS = ("prompt", "style")
DRAWING_TEMPLATE = "{prompt} in style_{style}"
"""Default template of contents."""

TRIGGER = "[trigger]"
"""What stands for the style's word in a caption."""

_COUNTER = re.compile(r"[\s_-]*\(?\d+\)?$")
_WORD_BREAK = re.compile(r"[\s_-]+")


def check_template(
    template: str, fields: Sequence[str], where: str, setting: str | None = None
) -> str:
    """Check that a template can be filled in, and return it.

    Args:
        template: text with `{field}` for what is filled in; `{{` stands for a brace.
        fields: names of fields that are allowed.
        where: the option, or the file and key, that the template comes from, for the message.
        setting: name of the setting that holds the template, for the error's `fields`.

    Raises:
        InputError: the template is empty, has unmatched braces, or names another field.
    """
    settings = [setting] if setting else []
    allowed = " and ".join(f"{{{field}}}" for field in fields)
    if not template.strip():
        raise InputError(f"{where}: the template is empty. Write one; it may name {allowed}.",
                         fields=settings)
    if any("\ud800" <= letter <= "\udfff" for letter in template):
        raise InputError(
            f"{where}: the template contains half of a surrogate pair. Write the whole letter.",
            fields=settings)
    try:
        parts = list(Formatter().parse(template))
    except ValueError as error:
        raise InputError(
            f"{where} {template!r}: {error}. Write a brace that is meant as such twice, as {{{{.",
            fields=settings,
        ) from error
    for _, field, form, conversion in parts:
        if field is not None and (field not in fields or form or conversion):
            raise InputError(
                f"{where} {template!r}: {{{field}}} is nothing it can name. It may name {allowed}.",
                fields=settings,
            )
    return template


def fill(template: str, **values: str) -> str:
    """The template with its fields filled in."""
    return template.format(**values)


def trigger_word(style: str) -> str:
    """The word that a style has in the usual prompts: `style_00`."""
    return f"style_{style}"


def object_of(image: Path) -> str:
    """The object in a sample image, from the file's name: `Jumping_fish-2.png` is "jumping fish".

    Raises:
        InputError: the name holds no word.
    """
    words = _WORD_BREAK.sub(" ", _COUNTER.sub("", image.stem)).strip().lower()
    if not any(character.isalpha() for character in words):
        raise InputError(
            f"{image}: its name says no object for the prompt's {{object}}. Rename the file to "
            "what it shows, as red_apple.png, or give a prompt without {object}."
        )
    return words
