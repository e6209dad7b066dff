"""CLIP's tokenizer, by the `tokenizers` library, from a checkpoint's vocabulary files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import AddedToken, Regex, Tokenizer, normalizers, pre_tokenizers, processors
from tokenizers.models import BPE

from jstyleid_core.errors import CheckpointError
from jstyleid_core.json_files import read_bytes, read_json

_WORDS = (r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d"
          r"|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+")
_SPECIAL = {"bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>",
            "pad_token": "<|endoftext|>"}


class CLIPTokenizer:
    """Tokenizer from prompts to `length` token ids each: start, words, end, padding."""

    def __init__(self, folder: Path, length: int = 77) -> None:
        """Read the tokenizer's files from `folder`.

        Both layouts are read: `vocab.json` with `merges.txt`, which all published checkpoints
        have, and the single `tokenizer.json` that transformers 5 saves.

        Raises:
            CheckpointError: a file is missing or broken.
        """
        special = _special_tokens(folder)
        if (folder / "vocab.json").is_file() or not (folder / "tokenizer.json").is_file():
            tokenizer = _from_vocabulary(folder, special)
        else:
            tokenizer = _from_one_file(folder / "tokenizer.json")
        pad = special["pad_token"].content
        tokenizer.enable_truncation(length)
        tokenizer.enable_padding(length=length, pad_id=tokenizer.token_to_id(pad), pad_token=pad)
        self._tokenizer = tokenizer

    def __call__(self, prompts: Sequence[str]) -> NDArray[Any]:
        """Token ids (B, length) int32; words beyond the length are cut off."""
        return np.array([e.ids for e in self._tokenizer.encode_batch(list(prompts))], np.int32)


def _from_one_file(path: Path) -> Tokenizer:
    described = _read_object(path)
    model = described.get("model")
    if isinstance(model, dict) and isinstance(model.get("merges"), list):
        # Pairs since tokenizers 0.20; every version reads the older spelling, "a b".
        model["merges"] = [" ".join(merge) if isinstance(merge, list) else merge
                           for merge in model["merges"]]
    try:
        return Tokenizer.from_str(json.dumps(described))
    except Exception as error:  # the library raises no narrower one
        raise CheckpointError(f"{path} is not a tokenizer ({error}). Replace the file.") from error


def _from_vocabulary(folder: Path, special: dict[str, AddedToken]) -> Tokenizer:
    vocabulary = _read_object(folder / "vocab.json")
    for token in special.values():
        if token.content not in vocabulary:
            raise CheckpointError(
                f"{folder / 'vocab.json'} lacks the special token {token.content!r}")
    start, end = special["bos_token"].content, special["eos_token"].content
    tokenizer = Tokenizer(BPE(
        vocab=vocabulary, merges=_read_merges(folder / "merges.txt"), unk_token=end,
        end_of_word_suffix="</w>", continuing_subword_prefix="", fuse_unk=False,
    ))
    tokenizer.normalizer = normalizers.Sequence([
        normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(_WORDS), behavior="removed", invert=True),
        pre_tokenizers.ByteLevel(add_prefix_space=False),
    ])
    # The padding too: SD 2.1 pads with "!", so that a "!" in a prompt is that token, not a word.
    # Of two descriptions of one token the later holds; not all versions of the library do that.
    last = {token.content: token for token in special.values()}
    tokenizer.add_special_tokens(list(last.values()))
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{start} $A {end}",
        special_tokens=[(start, vocabulary[start]), (end, vocabulary[end])])
    return tokenizer


def _special_tokens(folder: Path) -> dict[str, AddedToken]:
    """The tokens of `_SPECIAL`, in its order, as the checkpoint's files describe them."""
    found: dict[str, Any] = {}
    # The older file wins; newer versions of transformers write only the other.
    for file in ("tokenizer_config.json", "special_tokens_map.json"):
        if (folder / file).is_file():
            found |= _read_object(folder / file)
    tokens: dict[str, AddedToken] = {}
    for name, usual in _SPECIAL.items():
        described = found.get(name) or usual
        if isinstance(described, dict):
            content, normalized = described["content"], described.get("normalized", True)
        else:
            content, normalized = described, False
        tokens[name] = AddedToken(content, normalized=normalized)
    return tokens


def _read_object(path: Path) -> dict[str, Any]:
    content = read_json(path)
    if not isinstance(content, dict):
        raise CheckpointError(f"{path} must hold a JSON object. Replace the file.")
    return content


def _read_merges(path: Path) -> list[tuple[str, str]]:
    data = read_bytes(path)
    try:
        lines = data.decode("utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise CheckpointError(f"{path} is not UTF-8 ({error}). Replace the file.") from error
    merges = []
    for number, line in enumerate(lines, start=1):
        if not line.strip() or (number == 1 and line.startswith("#version")):
            continue
        pair = line.split()
        if len(pair) != 2:
            raise CheckpointError(f"{path}, line {number}: expected two tokens, found {line!r}")
        merges.append((pair[0], pair[1]))
    return merges
