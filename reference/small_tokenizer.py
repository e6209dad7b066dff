"""Train the small checkpoints' CLIP-style vocabulary: byte-level BPE over ``words.txt``.

The vocabulary is laid out like CLIP's own: 256 bytes, the same 256 at the end of a word, one token
a merge, the two special tokens last.  Token 0 is therefore ``!``, as in the real one.
"""

from __future__ import annotations

import functools
import json
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from transformers import CLIPTokenizer

WORDS = Path(__file__).resolve().parent / "words.txt"
MERGES = 1000
START, END = "<|startoftext|>", "<|endoftext|>"
END_OF_WORD = "</w>"


def byte_alphabet() -> list[str]:
    """Return the 256 printable characters that stand for bytes, in the order of CLIP's ids."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = len(set(range(256)) - set(printable))
    return [chr(code) for code in printable] + [chr(256 + i) for i in range(others)]


@functools.cache
def train() -> tuple[tuple[str, str], ...]:
    """Return the merges of the small checkpoints' vocabulary."""
    return merges_of(WORDS.read_text(encoding="utf-8"), MERGES)


def merges_of(text: str, count: int) -> tuple[tuple[str, str], ...]:
    """Return the first merges, at most ``count``, of a byte-pair encoding of a text.

    The pair that occurs most often is merged, of several the one that sorts first.  (The trainer
    of the tokenizers library breaks such ties differently from run to run.)
    """
    clip = CLIPTokenizer().backend_tokenizer  # for its normalisation and its splitting into words
    normal = clip.normalizer.normalize_str(text)
    words = [list(word) for word, _ in clip.pre_tokenizer.pre_tokenize_str(normal)]
    words = [[*word[:-1], word[-1] + END_OF_WORD] for word in words]
    merges: list[tuple[str, str]] = []
    while len(merges) < count:
        counts = Counter(pair for word in words for pair in pairwise(word))
        if not counts:
            break  # every word is a token
        best = min(counts, key=lambda pair: (-counts[pair], pair))
        words = [merge(word, best) for word in words]
        merges.append(best)
    return tuple(merges)


def merge(word: list[str], pair: tuple[str, str]) -> list[str]:
    """Return ``word`` with each occurrence of ``pair`` made one token."""
    merged: list[str] = []
    for token in word:
        if merged and (merged[-1], token) == pair:
            merged[-1] += token
        else:
            merged.append(token)
    return merged


def vocabulary(merges: Sequence[tuple[str, str]]) -> dict[str, int]:
    """Return token -> id for the given merges, in CLIP's order."""
    alphabet = byte_alphabet()
    tokens = [
        *alphabet,
        *(character + END_OF_WORD for character in alphabet),
        *(left + right for left, right in merges),
        START,
        END,
    ]
    return {token: number for number, token in enumerate(tokens)}


def write_vocabulary(folder: Path, merges: Sequence[tuple[str, str]]) -> dict[str, int]:
    """Write ``vocab.json`` and ``merges.txt`` into ``folder`` and return the vocabulary."""
    folder.mkdir(parents=True, exist_ok=True)
    tokens = vocabulary(merges)
    (folder / "vocab.json").write_text(
        json.dumps(tokens, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    lines = ["#version: 0.2", *(f"{left} {right}" for left, right in merges)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return tokens


def write_settings(folder: Path, pad_token: str) -> None:
    """Write the two JSON files beside the vocabulary, as the published checkpoints have them.

    ``pad_token`` is "!" in Stable Diffusion 2.1.  There ``tokenizer_config.json`` says otherwise
    than ``special_tokens_map.json``, and the latter wins in transformers 4 and 5 alike; the
    contradiction is kept.
    """

    def special(content: str) -> dict[str, Any]:
        flags = {"lstrip": False, "normalized": True, "rstrip": False, "single_word": False}
        return {"content": content, **flags}

    names = {"bos_token": START, "eos_token": END, "unk_token": END}
    tokens = {name: special(content) for name, content in names.items()}
    settings = {
        "add_prefix_space": False,
        "do_lower_case": True,
        "errors": "replace",
        "model_max_length": 77,
        "pad_token": END,
        "tokenizer_class": "CLIPTokenizer",
        **{name: {"__type": "AddedToken", **token} for name, token in tokens.items()},
    }
    folder.mkdir(parents=True, exist_ok=True)
    for file_name, content in (
        ("special_tokens_map.json", {**tokens, "pad_token": pad_token}),
        ("tokenizer_config.json", settings),
    ):
        text = json.dumps(content, indent=2, sort_keys=True)
        (folder / file_name).write_text(text + "\n", encoding="utf-8")
