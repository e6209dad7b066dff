"""Files written by hand: a style's `prompt.json`, and the templates of `--templates`."""

import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jstyleid_core.errors import InputError
from jstyleid_dreambooth.prompts import DRAWING_FIELDS, DRAWING_TEMPLATE, check_template
from jstyleid_runner.choices import Method
from jstyleid_runner.errors import about
from jstyleid_runner.storage.layout import naming_problem, picture_name, same_file_key


class _Members(list[tuple[str, Any]]):
    """The members of one JSON object in the order of the file, those with one key included."""


def read_object(path: Path, example: str) -> list[tuple[str, Any]]:
    """The members of the object in the file at `path`; a key may be there twice.

    Args:
        path: path of the file.
        example: example of such an object, for the message.

    Raises:
        InputError: the file cannot be read or holds something else.
    """
    try:
        # Editors on Windows put a byte order mark first, which JSON does not allow.
        text = path.read_text(encoding="utf-8-sig")
        # A dict would silently keep only the last of two members with one key.
        value = json.loads(text, object_pairs_hook=_Members)
    except json.JSONDecodeError as error:
        raise InputError(
            f"{path}: broken JSON at line {error.lineno}, column {error.colno}: {error.msg}. "
            "Correct the file."
        ) from error
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}: not UTF-8 text (byte {error.start}). Save the file as UTF-8."
        ) from error
    except (RecursionError, ValueError) as error:
        # Brackets nested too deeply, or a number too long to read.
        raise InputError(f"{path}: unusable JSON: {error}. Correct the file.") from error
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read: {error.strerror}. Check the file and its permissions."
        ) from error
    if not isinstance(value, _Members):
        raise InputError(f"{path}: not a JSON object. Write it as {example}.")
    return value


_PROMPTS_EXAMPLE = '{"0": "Ring", "1": "Hotel"}'
_NUMBER = re.compile("[0-9]{1,9}")


def read_prompts(path: Path) -> tuple[str, ...]:
    """The prompts of the file at `path`, in the order of their numbers.

    Raises:
        InputError: the file is unusable; the text names it, the place and the fix.
    """
    by_number: dict[int, str] = {}
    for key, prompt in read_object(path, _PROMPTS_EXAMPLE):
        place = f"{path}: key {json.dumps(key)}"
        if not _NUMBER.fullmatch(key):
            raise InputError(f"{place} is not a number. Number the prompts: {_PROMPTS_EXAMPLE}.")
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
        raise InputError(f"{path}: no prompts. Add some: {_PROMPTS_EXAMPLE}.")
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


_DEFAULT = "default"
_TEMPLATES_EXAMPLE = '{"00": "{prompt} in style_00", "default": "{prompt} in style_{style}"}'


@dataclass(frozen=True)
class Templates:
    """The template of each style in `own`, and `default` for the others."""

    default: str
    own: dict[str, str]


def usual_template(method: Method) -> str:
    """The default template: with a LoRA it names the style."""
    return "{prompt}" if method == "styleid" else DRAWING_TEMPLATE


def read_templates(
    template: str | None, file: Path | None, usual: str, styles: Collection[str]
) -> Templates:
    """The templates that `--template` and `--templates` give.

    Args:
        template: template of every style.
        file: a JSON object of templates by style; `default` is for the others.
        usual: the template where nothing is given.
        styles: the split's; the file may name no other.

    Raises:
        InputError: the file or a template is unusable, or the two contradict each other.
    """
    if template is not None:
        with about("template"):
            check_template(template, DRAWING_FIELDS, "--template")
    own = _read_templates(file, styles) if file else {}
    default = own.pop(_DEFAULT, None)
    if template is not None and default is not None:
        raise InputError(
            f'{file}: key "{_DEFAULT}" and --template {template!r} contradict each other. Leave '
            "one of them out.",
            fields=["template"],
        )
    return Templates(template or default or usual, own)


def _read_templates(file: Path, styles: Collection[str]) -> dict[str, str]:
    templates: dict[str, str] = {}
    for key, template in read_object(file, _TEMPLATES_EXAMPLE):
        place = f"{file}: key {json.dumps(key)}"
        if key != _DEFAULT and key not in styles:
            raise InputError(
                f"{place} is no style of the split. There are {', '.join(styles)}, and "
                f'"{_DEFAULT}" for all others.'
            )
        if key in templates:
            raise InputError(f"{place} is there twice. Give each style one template.")
        if not isinstance(template, str):
            raise InputError(f"{place} holds {json.dumps(template)}, not a template in quotes.")
        templates[key] = check_template(template, DRAWING_FIELDS, place)
    return templates
