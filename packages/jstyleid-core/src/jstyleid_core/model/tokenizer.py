"""CLIP's tokenizer, by the `tokenizers` library, from a checkpoint's vocabulary files."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field, StrictStr, TypeAdapter, ValidationError
from tokenizers import (
    AddedToken,
    Encoding,
    Regex,
    Tokenizer,
    normalizers,
    pre_tokenizers,
    processors,
)
from tokenizers.models import BPE

from jstyleid_core.errors import CheckpointError
from jstyleid_core.json_files import read_bytes, read_json
from jstyleid_core.notes import note_once
from jstyleid_core.validation import problems_of

V = TypeVar("V")

_WORDS = (r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d"
          r"|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+")
_SPECIAL = {"bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>",
            "pad_token": "<|endoftext|>"}
_SHOWN, _KEPT = 5, 60
"""Prompts that a note lists, and the characters it shows of what is not cut off."""
_NOTED: set[str] = set()
"""Prompts whose cut words have been noted."""
_Id = Annotated[int, Field(ge=0, lt=2**31)]
_Word = Annotated[str, Field(strict=True, min_length=1)]


class _Token(BaseModel):
    """A token as the files describe it; None stands for what the library does by itself."""

    content: _Word
    single_word: bool | None = None
    lstrip: bool | None = None
    rstrip: bool | None = None
    normalized: bool | None = None

    @property
    def added(self) -> AddedToken:
        """The token for the library."""
        return AddedToken(**self.model_dump(exclude_none=True))


class _TokenizerConfig(BaseModel):
    """`tokenizer_config.json` and `special_tokens_map.json`, as far as they are read."""

    bos_token: _Token | _Word | None = None
    eos_token: _Token | _Word | None = None
    pad_token: _Token | _Word | None = None
    added_tokens_decoder: dict[_Id, _Token] | None = None


_IDS: TypeAdapter[dict[str, int]] = TypeAdapter(
    dict[StrictStr, Annotated[int, Field(strict=True, ge=0, lt=2**31)]])


class CLIPTokenizer:
    """Tokenizer from prompts to `length` token ids each: start, words, end, padding."""

    def __init__(
        self, folder: Path, length: int = 77, *, rows: int | None = None,
        pad_token: str | None = None,
    ) -> None:
        """Read the tokenizer's files from `folder`.

        Both layouts are read: `vocab.json` with `merges.txt`, which all published checkpoints
        have, and the single `tokenizer.json` that transformers 5 saves.

        Args:
            folder: folder of the files.
            length: number of ids of a prompt.
            rows: number of tokens that the text encoder has embeddings of.
            pad_token: token to pad with; by default the one that the files name.

        Raises:
            CheckpointError: a file is missing or broken, or the text encoder has no embedding of
                a token.
        """
        special = _special_tokens(folder, pad_token)
        if (folder / "vocab.json").is_file() or not (folder / "tokenizer.json").is_file():
            tokenizer = _from_vocabulary(folder, special)
        else:
            tokenizer = _from_one_file(folder / "tokenizer.json")
        ids = tokenizer.get_vocab()
        # What surrounds every prompt may have ids of its own in `tokenizer.json`.
        around = tokenizer.encode("")
        ids |= dict(zip(around.tokens, around.ids, strict=True))
        token, last = max(ids.items(), key=lambda item: item[1], default=("", -1))
        if rows is not None and last >= rows:
            raise CheckpointError(
                f"{folder}: the token {token!r} has the id {last}, but the text encoder has "
                f"embeddings of {rows} tokens only. Give the tokenizer that belongs to it.")
        pad = special["pad_token"].content
        pad_id = tokenizer.token_to_id(pad)
        if pad_id is None:
            raise CheckpointError(f"{folder}: the tokenizer lacks the token {pad!r}, with which "
                                  "prompts are padded. Replace the tokenizer's files.")
        tokenizer.enable_truncation(length)
        tokenizer.enable_padding(length=length, pad_id=pad_id, pad_token=pad)
        self._tokenizer, self._length = tokenizer, length

    def __call__(self, prompts: Sequence[str]) -> NDArray[Any]:
        """Token ids (B, length) int32; words beyond the length are cut off, which the log says."""
        encoded = self._tokenizer.encode_batch(list(prompts))
        self._note_cut([(prompt, one) for prompt, one in zip(prompts, encoded, strict=True)
                        if one.overflowing and prompt not in _NOTED])
        return np.array([one.ids for one in encoded], np.int32)

    def _note_cut(self, found: Sequence[tuple[str, Encoding]]) -> None:
        """Note the words that are cut off, once for each prompt."""
        _NOTED.update(prompt for prompt, _ in found)
        lines = []
        for prompt, encoded in found[:_SHOWN]:
            rest = encoded.overflowing[0]
            start = rest.offsets[rest.special_tokens_mask.index(0)][0]
            kept, cut = (" ".join(text.split()) for text in (prompt[:start], prompt[start:]))
            lines.append(f"  {kept if len(kept) <= _KEPT else '...' + kept[-_KEPT:]} | {cut}")
        if found:
            more = [f"  and {len(found) - _SHOWN} more"] if len(found) > _SHOWN else []
            count = "1 prompt" if len(found) == 1 else f"{len(found)} prompts"
            note_once("\n".join([
                f"{count} of more than {self._length} tokens: what stands after | is cut off and "
                "draws nothing. Shorten the prompt or its template.", *lines, *more]))

    @property
    def learned(self) -> dict[str, int]:
        """The ids of the tokens that were added to the vocabulary and learned."""
        return {token.content: number
                for number, token in self._tokenizer.get_added_tokens_decoder().items()
                if not token.special}


def _from_one_file(path: Path) -> Tokenizer:
    described = _read_object(path)
    model = described.get("model")
    if isinstance(model, dict) and model.get("continuing_subword_prefix"):
        raise CheckpointError(f"{path}: its continuing_subword_prefix is set, which CLIP's is not. "
                              "Replace the file.")
    if isinstance(model, dict) and isinstance(model.get("merges"), list):
        # Pairs since tokenizers 0.20; every version reads the older spelling, "a b".
        model["merges"] = [
            " ".join(merge) if isinstance(merge, list) and all(
                isinstance(part, str) for part in merge) else merge
            for merge in model["merges"]]
        if isinstance(model.get("vocab"), dict):
            _check_merges(path, model["vocab"],
                          [merge.split(" ") for merge in model["merges"] if isinstance(merge, str)])
    try:
        tokenizer = Tokenizer.from_str(json.dumps(described))
        unknown = tokenizer.model.unk_token
        if unknown is not None and unknown not in tokenizer.get_vocab(with_added_tokens=False):
            raise ValueError(f"it lacks its token for unknown letters, {unknown!r}")
    except BaseException as error:  # the library raises no narrower one
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise  # a panic of its Rust code is no Exception
        raise CheckpointError(f"{path} is not a tokenizer ({error}). Replace the file.") from error
    return tokenizer


def _from_vocabulary(folder: Path, special: dict[str, AddedToken]) -> Tokenizer:
    vocabulary = _validated(_IDS, folder / "vocab.json")
    learned = _learned_tokens(folder, vocabulary)
    # In the vocabulary they have the id of their embedding; no merge leads to them.
    vocabulary |= {token.content: number for number, token in learned.items()}
    for token in special.values():
        if token.content not in vocabulary:
            raise CheckpointError(
                f"{folder / 'vocab.json'} lacks the special token {token.content!r}")
    start, end = special["bos_token"].content, special["eos_token"].content
    merges = _read_merges(folder / "merges.txt")
    _check_merges(folder / "merges.txt", vocabulary, merges)
    try:
        model = BPE(vocab=vocabulary, merges=merges, unk_token=end, end_of_word_suffix="</w>",
                    continuing_subword_prefix="", fuse_unk=False)
    except Exception as error:  # the library raises no narrower one
        raise CheckpointError(f"{folder}: merges.txt does not belong to vocab.json ({error}). "
                              "Replace the tokenizer's files.") from error
    tokenizer = Tokenizer(model)
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
    tokenizer.add_tokens([token for token in learned.values() if token.content not in last])
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{start} $A {end}",
        special_tokens=[(start, vocabulary[start]), (end, vocabulary[end])])
    return tokenizer


def _described(folder: Path) -> _TokenizerConfig:
    found = _TokenizerConfig()
    # The older file wins; newer versions of transformers write only the other.
    for file in ("tokenizer_config.json", "special_tokens_map.json"):
        if (folder / file).is_file():
            more: _TokenizerConfig = _validated(TypeAdapter(_TokenizerConfig), folder / file)
            found = found.model_copy(update={name: getattr(more, name)
                                             for name in more.model_fields_set})
    return found


def _learned_tokens(folder: Path, vocabulary: Mapping[str, int]) -> dict[int, AddedToken]:
    """The tokens beyond the vocabulary, as textual inversion adds them, by their ids.

    transformers has written them to `added_tokens.json`, later to `tokenizer_config.json`, too.
    """
    found: dict[int, _Token] = {}
    if (folder / "added_tokens.json").is_file():
        added = _validated(_IDS, folder / "added_tokens.json")
        found = {number: _Token(content=content) for content, number in added.items() if content}
    found |= _described(folder).added_tokens_decoder or {}
    taken = {number: content for content, number in vocabulary.items()}
    learned: dict[int, AddedToken] = {}
    for number, token in found.items():
        content = token.content
        if taken.get(number, content) != content or vocabulary.get(content, number) != number:
            raise CheckpointError(
                f"{folder}: the added token {content!r} has the id {number}, which is not its id "
                "in vocab.json or is another token's. Replace the tokenizer's files.")
        if number not in taken:
            learned[number] = token.added
    return learned


def _special_tokens(folder: Path, pad_token: str | None) -> dict[str, AddedToken]:
    """The tokens of `_SPECIAL`, in its order, as the checkpoint's files describe them."""
    found = _described(folder)
    if pad_token:
        found = found.model_copy(update={"pad_token": pad_token})
    tokens: dict[str, AddedToken] = {}
    for name, usual in _SPECIAL.items():
        described = getattr(found, name) or usual
        if isinstance(described, _Token):
            normalized = described.normalized is not False
            tokens[name] = AddedToken(described.content, normalized=normalized)
        else:
            tokens[name] = AddedToken(described, normalized=False)
    return tokens


def _validated(kind: TypeAdapter[V], path: Path) -> V:
    """The content of a file.

    Raises:
        CheckpointError: it is of another form.
    """
    try:
        return kind.validate_python(_read_object(path))
    except ValidationError as error:
        first = problems_of(error)[0]
        raise CheckpointError(f"{path}: {first.field} = {first.value!r} cannot be used "
                              f"({first.reason}). Replace the file.") from error


def _check_merges(
    path: Path, vocabulary: Mapping[str, Any], merges: Sequence[Sequence[str]]
) -> None:
    """Refuse merges that lead to no word of the vocabulary, over some of which the library panics.

    Raises:
        CheckpointError: there is one.
    """
    for merge in merges:
        if "".join(merge) not in vocabulary:
            raise CheckpointError(f"{path}: the merge {' '.join(merge)!r} leads to no word of the "
                                  "vocabulary. Replace the tokenizer's files.")


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
