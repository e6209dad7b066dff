"""The embedded model's tokenizer: each word of its captions is one token."""

from __future__ import annotations

from pathlib import Path

from transformers import CLIPTokenizer

from captions import FORMS
from jstyleid_core.synthetic.objects import KINDS
from jstyleid_core.synthetic.scene import NAMED
from small_tokenizer import merges_of, write_settings, write_vocabulary


def write_tokenizer(folder: Path) -> dict[str, int]:
    """Write the tokenizer's files as SD 2.1 has them; returns token -> id."""
    words = [*KINDS, *NAMED, *"".join(FORMS).replace("{", " {").split(), "an", "in", "style"]
    tokens = write_vocabulary(folder, merges_of(" ".join(sorted(set(words))), 1000))
    write_settings(folder, pad_token="!")
    return tokens


def load_tokenizer(folder: Path) -> CLIPTokenizer:
    return CLIPTokenizer.from_pretrained(folder)
