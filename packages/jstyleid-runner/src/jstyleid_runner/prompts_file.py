"""Reading a style's `prompt.json`: an object of numbered prompts, each of which names a picture."""

import json
import re
from pathlib import Path

from jstyleid_core.errors import InputError
from jstyleid_runner.file_names import naming_problem, picture_name, same_file_key
from jstyleid_runner.json_object import read_object

_EXAMPLE = '{"0": "Ring", "1": "Hotel"}'
_NUMBER = re.compile("[0-9]{1,9}")


def read_prompts(path: Path) -> tuple[str, ...]:
    """The prompts of the file at `path`, in the order of their numbers.

    Raises:
        InputError: the file is unusable; the text names it, the place and the fix.
    """
    by_number: dict[int, str] = {}
    for key, prompt in read_object(path, _EXAMPLE):
        place = f"{path}: key {json.dumps(key)}"
        if not _NUMBER.fullmatch(key):
            raise InputError(f"{place} is not a number. Number the prompts: {_EXAMPLE}.")
        if int(key) in by_number:
            raise InputError(f"{place} is there twice. Give each prompt its own number.")
        if not isinstance(prompt, str):
            raise InputError(f"{place} holds {json.dumps(prompt)}, not a prompt in quotes.")
        if problem := naming_problem(prompt):
            raise InputError(
                f"{place}: {json.dumps(prompt)} cannot be a file name, because {problem}. "
                "Change the prompt."
            )
        by_number[int(key)] = prompt
    if not by_number:
        raise InputError(f"{path}: no prompts. Add some: {_EXAMPLE}.")
    prompts = tuple(by_number[number] for number in sorted(by_number))
    _check_distinct(path, prompts)
    return prompts


def _check_distinct(path: Path, prompts: tuple[str, ...]) -> None:
    seen: dict[str, str] = {}
    for prompt in prompts:
        other = seen.setdefault(same_file_key(prompt), prompt)
        if other is not prompt:
            raise InputError(
                f"{path}: the prompts {json.dumps(other)} and {json.dumps(prompt)} both name the "
                f"file {picture_name(prompt)}. Change one of them."
            )
