"""Reading prompts: the `prompt.json` of a style, a list in a file, all prompts of a split."""

from __future__ import annotations

import codecs
import json
import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from jdiff_checker.errors import InputError
from jdiff_checker.files import read_regular
from jdiff_checker.inputs.folders import PROMPT_FILE, prompt_key, style_folders

_EXAMPLE = '{"0": "Ring", "1": "Hotel"}'
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_NUMBER = re.compile("[0-9]{1,9}")
_SUFFIX = ".png"
_LONGEST = 255
"""Most bytes a file name may have on the file systems in use."""


class _Members(list[tuple[str, Any]]):
    """Members of a JSON object in the order of the file, including repeated keys."""


def read_prompt_json(path: Path) -> tuple[str, ...]:
    """The prompts of a style's `prompt.json`, in the order of their numbers, as `jstyleid` does.

    The file holds an object of numbered prompts or a list, which may be the only member of an
    object, `prompts`. A prompt is a text, or an object whose member `prompt` is one. Outer white
    space is taken off.

    Raises:
        InputError: the file cannot be read or has another form, a number is there twice, a prompt
            cannot be the stem of a file, or two prompts would name one file.
    """
    value = _read_json(path)
    if isinstance(value, _Members) and [key for key, _ in value] == ["prompts"]:
        value = value[0][1]
    if isinstance(value, _Members):
        prompts = _numbered(path, value)
    elif isinstance(value, list):
        prompts = [_prompt(f"{path}: item {number}", item) for number, item in enumerate(value)]
    else:
        raise InputError(f"{path}: not prompts in a JSON object. Write them as {_EXAMPLE}.")
    if not prompts:
        raise InputError(f"{path}: no prompts. Add some: {_EXAMPLE}.")
    seen: dict[str, str] = {}
    for prompt in prompts:
        same = prompt_key(prompt)
        if same in seen:
            raise InputError(
                f"{path}: the prompts {_quoted(seen[same])} and {_quoted(prompt)} name one file. "
                "Change or take out one of them."
            )
        seen[same] = prompt
    return tuple(prompts)


def _numbered(path: Path, members: _Members) -> list[str]:
    by_number: dict[int, str] = {}
    for key, value in members:
        place = f"{path}: key {_quoted(key)}"
        if not _NUMBER.fullmatch(key):
            raise InputError(f"{place} is not a number. Number the prompts: {_EXAMPLE}.")
        if int(key) in by_number:
            raise InputError(f"{place} is there twice. Give each prompt its own number.")
        by_number[int(key)] = _prompt(place, value)
    return [by_number[number] for number in sorted(by_number)]


def _prompt(place: str, value: Any) -> str:
    """The prompt that a text or an object holds.

    Raises:
        InputError: it holds none, or one that cannot be the stem of a file.
    """
    if isinstance(value, _Members):
        found = [member for key, member in value if key == "prompt"]
        if len(found) != 1:
            how = 'holds "prompt" twice' if found else 'holds an object without "prompt"'
            raise InputError(f"{place} {how}. Write prompts as {_EXAMPLE}.")
        place, [value] = f'{place}, "prompt"', found
    if not isinstance(value, str):
        raise InputError(f"{place} holds {_kind(value)}, not a prompt in quotes.")
    prompt = value.strip()
    if problem := _naming_problem(prompt):
        raise InputError(
            f"{place}: {problem}, so that {_quoted(prompt)} cannot be a file name. Change the "
            "prompt."
        )
    return prompt


def _naming_problem(prompt: str) -> str | None:
    """Why no upload can have a file for the prompt."""
    if not prompt:
        return "it is empty"
    if prompt in {".", ".."}:
        return "it names a folder"
    if any(unicodedata.category(letter) == "Cc" for letter in prompt):
        return "it contains a control character"
    for separator in "/\\":
        if separator in prompt:
            return f"it contains {separator!r}, which separates folders"
    try:
        length = len(f"{prompt}{_SUFFIX}".encode())
    except UnicodeEncodeError:
        return "it contains half of a surrogate pair"
    if length > _LONGEST:
        return f"with {_SUFFIX!r} it has {length} bytes, and a file name at most {_LONGEST}"
    return None


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
        data = read_regular(path)
        # Shells on Windows write UTF-16, and editors there a byte order mark.
        return data.decode("utf-16" if data.startswith(_UTF_16) else "utf-8-sig")
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
    return json.dumps(text, ensure_ascii=not text.isprintable())


def _kind(value: Any) -> str:
    if isinstance(value, _Members):
        return "an object"
    if isinstance(value, list):
        return "a list"
    return json.dumps(value, ensure_ascii=False)
