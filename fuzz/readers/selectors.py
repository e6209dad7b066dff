"""Texts of command lines: layers, strengths, sizes, styles, templates, names of files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from fuzz.reader import Reader, ValueReader
from jstyleid_core.errors import InputError
from jstyleid_core.styleid.layers import DECODER_LAYERS, parse_layers
from jstyleid_core.styleid.strengths import parse_strength
from jstyleid_core.weights.checkpoint import CheckpointSource, find_downloaded
from jstyleid_dreambooth.prompts import DRAWING_FIELDS, check_template, fill, object_of
from jstyleid_runner.options.to_settings import layer_names, named_styles, parse_size
from jstyleid_runner.planning.parameters import to_parameters
from jstyleid_runner.storage.layout import (
    naming_problem,
    picture_target,
    refused_elsewhere,
    same_file_key,
    styles_named,
)
from jstyleid_runner.workflows.generate import read_loras

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

_NOWHERE = Path("/nowhere")


def _text_of(*pieces: str) -> SearchStrategy[str]:
    """Texts of these pieces, and any texts that a command line can hold."""
    from hypothesis import strategies as st

    letters = st.characters(
        exclude_categories=["Cs"], exclude_characters="\0", include_characters="\udcff"
    )
    anything = st.text(letters, max_size=30)
    return st.one_of(
        st.lists(st.sampled_from(pieces), max_size=10).map("".join),
        anything,
        st.lists(st.one_of(st.sampled_from(pieces), anything), max_size=5).map("".join),
    )


def _layers() -> SearchStrategy[Any]:
    return _text_of(
        "7", "-", "11", ",", " ", "3", "0", "12", "99999999999", "٣", "+", "_", "1_1", "9" * 5000
    )


def _read_layers(text: str) -> None:
    found = parse_layers(text)
    assert found == tuple(sorted(set(found)))
    assert set(found) <= set(DECODER_LAYERS)


def _strengths() -> SearchStrategy[Any]:
    from hypothesis import strategies as st

    return st.lists(
        _text_of(
            "0.5",
            "10-11:",
            "steps ",
            "0-5:",
            ":",
            "1",
            "7-9",
            ",",
            " ",
            "-",
            "1e999",
            "nan",
            "9999",
            "9" * 5000,
        ),
        max_size=4,
    )


def _sizes() -> SearchStrategy[Any]:
    return _text_of("512", "x", "X", "768", "0", "-1", " ", "99999", "٣", ".5")


def _read_size(text: str) -> None:
    assert all(0 < side <= 4096 for side in parse_size(text))


def _names() -> SearchStrategy[Any]:
    return _text_of(
        "00", "04", ",", "/", " ", "4", "é", "e\u0301", "³", "٣", "-", "..", "\0", "9" * 5000
    )


def _read_styles(text: str) -> None:
    for name in named_styles("--styles", text) or ():
        styles_named(name, ["00", "04", "4", "é", "³", "٣", "0" * 400])
    layer_names("--targets", text)


def _templates() -> SearchStrategy[Any]:
    return _text_of(
        "{prompt}",
        "{style}",
        "{",
        "}",
        "{{",
        "{0}",
        "{}",
        "{prompt.x}",
        "{prompt[0]}",
        "{prompt!r}",
        "{prompt:>9999999999}",
        "{object}",
        "x",
    )


def _fill(template: str) -> None:
    check_template(template, DRAWING_FIELDS, "--template")
    fill(template, prompt="Ring", style="00")


def _prompts() -> SearchStrategy[Any]:
    return _text_of(
        "Ring",
        ".",
        "..",
        "/",
        "\\",
        "\0",
        "\n",
        "é",
        "\ud800",
        "CON",
        " ",
        "a" * 300,
        "ß",
        "İ",
        "\u2028",
        ".x.abcdefgh.part",
        "\x1b[2J",
    )


def _use_prompt(text: str) -> None:
    problem = naming_problem(text)
    same_file_key(text)
    if problem is None:
        refused_elsewhere(text)
        text.encode()
        assert "/" not in text
        target = picture_target(Path("/nowhere/"), text)
        assert target.parent == _NOWHERE
        to_parameters(
            {
                "kind": "generated",
                "prompt": text,
                "negative": text,
                "seed": 1,
                "steps": 2,
                "guidance": 3.0,
                "size": [64, 64],
                "model": "x",
            },
            CheckpointSource("x"),
        )
    elif text.strip() == text:
        try:
            picture_target(Path("/nowhere/"), text)
        except InputError:
            return
        raise AssertionError("a picture without a name")


def _objects() -> SearchStrategy[Any]:
    return _text_of("ball", "-2", "_", " ", "(1)", "0" * 30, "é", ".", "\ud800")


def _read_object(text: str) -> None:
    assert object_of(Path("/nowhere") / f"{text.replace('/', '')}.png").strip()


def _weighted() -> SearchStrategy[Any]:
    return _text_of(
        "/nowhere/x.safetensors",
        ":",
        "0.8",
        "1e999",
        "nan",
        "-",
        "~",
        "~nobody",
        "/",
        "a" * 5000,
        "\udcff",
        "٣",
        "1_0",
    )


def _models() -> SearchStrategy[Any]:
    return _text_of(
        "/nowhere",
        "owner",
        "/",
        "name",
        "~",
        "~nobody",
        ".",
        "..",
        "-",
        "@",
        ":",
        "a" * 5000,
        "\udcff",
        " ",
    )


READERS: list[Reader] = [
    ValueReader("layers", _layers, _read_layers, (InputError,)),
    ValueReader(
        "strengths", _strengths, lambda texts: parse_strength("gamma", texts), (InputError,)
    ),
    ValueReader("sizes", _sizes, _read_size, (InputError,)),
    ValueReader("styles", _names, _read_styles, (InputError,)),
    ValueReader("template-texts", _templates, _fill, (InputError,)),
    ValueReader("prompt-names", _prompts, _use_prompt, (InputError,)),
    ValueReader("object-names", _objects, _read_object, (InputError,)),
    ValueReader("lora-weights", _weighted, lambda text: read_loras([text]), (InputError,)),
    ValueReader(
        "model-names", _models, lambda text: find_downloaded(CheckpointSource(text)), (InputError,)
    ),
]
