"""Reading a style's `prompt.json`: an object of numbered prompts, each of which names a picture."""

import json
import re
from pathlib import Path
from typing import Any

from jstyleid_runner.file_names import naming_problem, picture_name, same_file_key

_NUMBER = re.compile("[0-9]{1,9}")


class SplitError(ValueError):
    """What is wrong with a part of a split; the text names the file, the place and the fix."""


class _Members(list[tuple[str, Any]]):
    """The members of one JSON object in the order of the file, those with one key included."""


def read_prompts(path: Path) -> tuple[str, ...]:
    """The prompts of the file at `path`, in the order of their numbers."""
    by_number: dict[int, str] = {}
    for key, prompt in _read_members(path):
        place = f"{path}: key {json.dumps(key)}"
        if not _NUMBER.fullmatch(key):
            raise SplitError(
                f'{place} is not a number. Number the prompts: {{"0": "Ring", "1": "Hotel"}}.'
            )
        if int(key) in by_number:
            raise SplitError(f"{place} is there twice. Give each prompt its own number.")
        if not isinstance(prompt, str):
            raise SplitError(f"{place} holds {json.dumps(prompt)}, not a prompt in quotes.")
        if problem := naming_problem(prompt):
            raise SplitError(
                f"{place}: {json.dumps(prompt)} cannot be a file name, because {problem}. "
                "Change the prompt."
            )
        by_number[int(key)] = prompt
    if not by_number:
        raise SplitError(f'{path}: no prompts. Add some: {{"0": "Ring", "1": "Hotel"}}.')
    prompts = tuple(by_number[number] for number in sorted(by_number))
    _check_distinct(path, prompts)
    return prompts


def _read_members(path: Path) -> _Members:
    try:
        # Editors on Windows put a byte order mark first, which JSON does not allow.
        text = path.read_text(encoding="utf-8-sig")
        # A dict would silently keep only the last of two members with one key.
        value = json.loads(text, object_pairs_hook=_Members)
    except json.JSONDecodeError as error:
        raise SplitError(
            f"{path}: broken JSON at line {error.lineno}, column {error.colno}: {error.msg}. "
            "Correct the file."
        ) from error
    except UnicodeDecodeError as error:
        raise SplitError(
            f"{path}: not UTF-8 text (byte {error.start}). Save the file as UTF-8."
        ) from error
    except (RecursionError, ValueError) as error:
        # Brackets nested too deeply, or a number too long to read.
        raise SplitError(f"{path}: unusable JSON: {error}. Correct the file.") from error
    except OSError as error:
        raise SplitError(
            f"{path}: cannot be read: {error.strerror}. Check the file and its permissions."
        ) from error
    if not isinstance(value, _Members):
        raise SplitError(f'{path}: not a JSON object. Write it as {{"0": "Ring", "1": "Hotel"}}.')
    return value


def _check_distinct(path: Path, prompts: tuple[str, ...]) -> None:
    seen: dict[str, str] = {}
    for prompt in prompts:
        other = seen.setdefault(same_file_key(prompt), prompt)
        if other is not prompt:
            raise SplitError(
                f"{path}: the prompts {json.dumps(other)} and {json.dumps(prompt)} both name the "
                f"file {picture_name(prompt)}. Change one of them."
            )
