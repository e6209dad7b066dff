"""Reading prompts: the `prompt.json` of a style, a list in a file, all prompts of a split."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from jdiff_checker.errors import InputError
from jdiff_checker.inputs.folders import PROMPT_FILE, style_folders

_EXAMPLE = '{"0": "Ring", "1": "Hotel"}'


class _Members(list[tuple[str, Any]]):
    """Members of a JSON object in the order of the file, including repeated keys."""


def prompt_key(text: str) -> str:
    """Key that is equal for a prompt and the matching file stems.

    The key ignores case, outer spaces, and whether an accent is a separate character (as in file
    names from a Mac).
    """
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text.strip()).casefold())


def read_prompt_json(path: Path) -> tuple[str, ...]:
    """The prompts of a style's `prompt.json`, verbatim and in the order of the file.

    Raises:
        InputError: the file cannot be read, is not an object of strings, is empty, has a key twice,
            a blank prompt, or two prompts that differ in case only.
    """
    members = _read_json(path)
    if not isinstance(members, _Members):
        raise InputError(f"{path}: not a JSON object. Write it as {_EXAMPLE}.")
    if not members:
        raise InputError(f"{path}: no prompts. Add some: {_EXAMPLE}.")
    keys: set[str] = set()
    prompts: dict[str, str] = {}
    for key, prompt in members:
        place = f"{path}: key {_quoted(key)}"
        if key in keys:
            raise InputError(f"{place} is there twice. Give each prompt its own number.")
        keys.add(key)
        if not isinstance(prompt, str):
            raise InputError(f"{place} holds {_kind(prompt)}, not a prompt in quotes.")
        if not prompt.strip():
            raise InputError(f"{place} holds an empty prompt. Fill it in or take it out.")
        same = prompt_key(prompt)
        if same in prompts:
            raise InputError(
                f"{place}: {_quoted(prompt)} is there already as {_quoted(prompts[same])}. "
                "Change or take out one of them."
            )
        prompts[same] = prompt
    return tuple(prompts.values())


def read_prompt_list(path: Path) -> tuple[str, ...]:
    """A list of prompts for CLIP-R: one per line, or a JSON list in a file named `.json`.

    Lower-cased, outer spaces and blank ones taken out, each once, in the order of the file.

    Raises:
        InputError: the file cannot be read, has another form, or holds no prompt.
    """
    texts: Iterable[str]
    if path.suffix.lower() == ".json":
        value = _read_json(path)
        if not isinstance(value, list) or isinstance(value, _Members):
            raise InputError(f'{path}: not a JSON list. Write it as ["ring", "hotel"].')
        for number, item in enumerate(value):
            if not isinstance(item, str):
                raise InputError(f"{path}: item {number} is {_kind(item)}, not a prompt in quotes.")
        texts = value
    else:
        texts = _read_text(path).split("\n")
    prompts = _lowered(texts)
    if not prompts:
        raise InputError(f"{path}: no prompts. Write one a line.")
    return prompts


def prompts_of_split(gt: Path) -> tuple[str, ...]:
    """Every prompt of the split's styles, lower-cased, each once, in order of first appearance.

    A style without a `prompt.json` adds none.

    Raises:
        InputError: the folder cannot be read, a `prompt.json` is malformed, or there is none.
    """
    files = [style / PROMPT_FILE for style in style_folders(gt)]
    prompts = _lowered(
        prompt for path in files if path.is_file() for prompt in read_prompt_json(path)
    )
    if not prompts:
        raise InputError(
            f"{gt}: no style has a {PROMPT_FILE}. Give the folder of the split, as data/B, or a "
            "list of prompts of your own."
        )
    return prompts


def _lowered(texts: Iterable[str]) -> tuple[str, ...]:
    # A dict keeps the order of first appearance.
    return tuple(dict.fromkeys(text.strip().lower() for text in texts if text.strip()))


def _read_text(path: Path) -> str:
    try:
        # Editors on Windows put a byte order mark first.
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}: not UTF-8 text (byte {error.start}). Save the file as UTF-8."
        ) from error
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read: {error.strerror or error}. Check the file and its "
            "permissions."
        ) from error


def _read_json(path: Path) -> Any:
    text = _read_text(path)
    try:
        # A dict would silently keep only the last of two members with one key.
        return json.loads(text, object_pairs_hook=_Members)
    except json.JSONDecodeError as error:
        raise InputError(
            f"{path}: broken JSON at line {error.lineno}, column {error.colno}: {error.msg}. "
            "Correct the file."
        ) from error
    except (RecursionError, ValueError) as error:
        # Brackets nested too deeply, or a number too long to read.
        raise InputError(f"{path}: unusable JSON: {error}. Correct the file.") from error


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _kind(value: Any) -> str:
    if isinstance(value, _Members):
        return "an object"
    if isinstance(value, list):
        return "a list"
    return json.dumps(value, ensure_ascii=False)
