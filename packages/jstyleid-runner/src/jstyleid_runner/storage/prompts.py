"""Files written by hand: a style's `prompt.json`, and the templates of `--templates`."""

import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jstyleid_core.errors import InputError
from jstyleid_core.files import decode_text, read_regular
from jstyleid_core.notes import note_once
from jstyleid_dreambooth.prompts import DRAWING_FIELDS, DRAWING_TEMPLATE, check_template
from jstyleid_runner.choices import WITHOUT_LORA, Method
from jstyleid_runner.errors import about
from jstyleid_runner.storage.layout import naming_problem, same_file_key, style_named


class _Members(list[tuple[str, Any]]):
    """The members of one JSON object in the order of the file, those with one key included."""


def _read_json(path: Path) -> Any:
    """The value in a file; objects are `_Members`.

    Raises:
        InputError: the file cannot be read, or is no JSON.
    """
    try:
        text = decode_text(read_regular(path))
        # A dict would silently keep only the last of two members with one key.
        return json.loads(text, object_pairs_hook=_Members)
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


_EXAMPLE = '{"0": "Ring", "1": "Hotel"}'
_NUMBER = re.compile("[0-9]{1,9}")


def read_prompts(path: Path) -> tuple[str, ...]:
    """The prompts of the file at `path`, in the order of their numbers, without outer white space.

    The file holds an object of numbered prompts or a list, which may be the only member of an
    object, `prompts`. A prompt is a text, or an object whose member `prompt` is one.

    Raises:
        InputError: the file is unusable; the text names it, the place and the fix.
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
        same = same_file_key(prompt)
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
        InputError: it holds none, or one that cannot be a file name.
    """
    if isinstance(value, _Members):
        found = [member for key, member in value if key == "prompt"]
        if len(found) != 1:
            how = 'holds "prompt" twice' if found else 'holds an object without "prompt"'
            raise InputError(f"{place} {how}. Write prompts as {_EXAMPLE}.")
        if others := [key for key, _ in value if key != "prompt"]:
            note_once(f"{place}: only the prompt is used, not {', '.join(others)}")
        place, [value] = f'{place}, "prompt"', found
    if not isinstance(value, str):
        raise InputError(f"{place} holds {_kind(value)}, not a prompt in quotes.")
    prompt = value.strip()
    if problem := naming_problem(prompt):
        raise InputError(
            f"{place}: {problem}, so that {_quoted(prompt)} cannot be a file name. Change the "
            "prompt."
        )
    return prompt


def _kind(value: Any) -> str:
    if isinstance(value, _Members):
        return "an object"
    return "a list" if isinstance(value, list) else json.dumps(value)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=not text.isprintable())


_DEFAULT = "default"
_TEMPLATES_EXAMPLE = '{"00": "{prompt} in style_00", "default": "{prompt} in style_{style}"}'


@dataclass(frozen=True)
class Templates:
    """The template of each style in `own`, and `default` for the others."""

    default: str
    own: dict[str, str]


def usual_template(method: Method) -> str:
    """The default template: with a LoRA it names the style."""
    return "{prompt}" if method in WITHOUT_LORA else DRAWING_TEMPLATE


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
    found = _read_json(file)
    if not isinstance(found, _Members):
        raise InputError(f"{file}: not a JSON object. Write it as {_TEMPLATES_EXAMPLE}.")
    for key, template in found:
        place = f"{file}: key {_quoted(key)}"
        style = key if key == _DEFAULT else style_named(key, styles)
        if style is None:
            raise InputError(
                f"{place} is no style of the split. There are {', '.join(styles)}, and "
                f'"{_DEFAULT}" for all others.'
            )
        if style in templates:
            raise InputError(f"{place} is there twice. Give each style one template.")
        if not isinstance(template, str):
            raise InputError(f"{place} holds {_kind(template)}, not a template in quotes.")
        templates[style] = check_template(template, DRAWING_FIELDS, place)
    return templates
