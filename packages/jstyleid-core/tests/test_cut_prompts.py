"""Prompts of more tokens than the text encoder reads: which words are cut off is said."""

import unicodedata

import pytest

from jstyleid_core.model.tokenizer import CLIPTokenizer
from jstyleid_core.weights.checkpoint import EMBEDDED_MODEL, CheckpointSource, tokenizer_here

WORDS = " ".join(f"cat {number} dog" for number in range(40))
LONG = {
    "words": f"{WORDS} in style_07",
    "no spaces": "猫" * 80 + "in style_07",
    "composed": "Café näh " * 30,
    "taken apart": unicodedata.normalize("NFD", "Café näh " * 30),
    "white space": f"  dog {WORDS.replace(' ', '   ')}\n in style_08 ",
    "capitals": f"{WORDS.upper()} İN STYLE",
}


@pytest.fixture
def tokenizer() -> CLIPTokenizer:
    found = tokenizer_here(CheckpointSource(EMBEDDED_MODEL))
    assert found
    return found


@pytest.mark.parametrize("name", LONG)
def test_what_is_cut_off_is_said(
    tokenizer: CLIPTokenizer, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    [ids] = tokenizer([LONG[name]])
    [message] = caplog.messages
    assert message.startswith("1 prompt of more than 77 tokens: ")
    shown, _, cut = message.splitlines()[1].strip().rpartition(" | ")
    whole = " ".join(LONG[name].split())
    assert cut
    assert whole.endswith(cut)
    kept = whole.removesuffix(cut)
    assert kept.strip().endswith(shown.removeprefix("..."))
    # Exactly that: without it the ids are the same, but for those of a word that is cut through.
    whole_words = kept.endswith(" ")
    assert (tokenizer([kept])[0] == ids)[:None if whole_words else 66].all()
    if whole_words:
        assert len(caplog.messages) == 1
        tokenizer([kept + cut[0]])
        assert caplog.messages[1].endswith(f" | {cut[0]}")


def test_it_is_said_once_for_all_prompts(
    tokenizer: CLIPTokenizer, caplog: pytest.LogCaptureFixture
) -> None:
    prompts = [f"{number} {WORDS} in style_{number:02}" for number in range(7)]
    tokenizer(["short", *prompts])
    tokenizer(prompts)
    [message] = caplog.messages
    assert message.startswith("7 prompts of more than 77 tokens: ")
    lines = message.splitlines()
    assert [line.endswith(f" in style_0{number}") for number, line in enumerate(lines[1:6])] == (
        [True] * 5)
    assert lines[6] == "  and 2 more"


def test_the_longest_prompt_is_whole(
    tokenizer: CLIPTokenizer, caplog: pytest.LogCaptureFixture
) -> None:
    tokenizer(["! " * 75])
    assert caplog.messages == []
    tokenizer(["! " * 76])
    assert len(caplog.messages) == 1
