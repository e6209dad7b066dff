"""The real CLIP vocabulary, from the file that the package ``open_clip_torch`` ships.

Only that file is read: the package can be installed without its dependencies.
"""

from __future__ import annotations

import gzip
from importlib.metadata import files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from transformers import CLIPTokenizer

from prompt_strings import prompts
from small_tokenizer import write_settings, write_vocabulary

PACKAGE = "open_clip_torch"
FILE = "bpe_simple_vocab_16e6.txt.gz"
MERGES = 49408 - 2 * 256 - 2  # CLIP's size less bytes and special tokens; the file lists more


def merges() -> list[tuple[str, str]]:
    """Return CLIP's 48,894 merges in order."""
    path = next(file for file in files(PACKAGE) or () if file.name == FILE)
    lines = gzip.decompress(Path(str(path.locate())).read_bytes()).decode().splitlines()
    pairs = [line.split() for line in lines[1 : 1 + MERGES]]
    return [(left, right) for left, right in pairs]


def write_tokenizer(folder: Path, pad_token: str) -> None:
    """Write a tokenizer folder as Stable Diffusion's checkpoints have it, 49,408 entries."""
    write_vocabulary(folder, merges())
    write_settings(folder, pad_token)


def token_ids(folder: Path, seed: int) -> NDArray[np.int32]:
    """Return the ids (1000, 77) of ``prompts(seed)`` with the tokenizer in ``folder``."""
    tokenizer = CLIPTokenizer.from_pretrained(folder)
    texts = prompts(seed)
    ids = tokenizer(texts, padding="max_length", max_length=77, truncation=True).input_ids
    return np.array(ids, dtype=np.int32)
