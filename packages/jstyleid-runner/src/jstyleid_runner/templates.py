"""What contents are drawn with: one template for all styles, and a file with those of some."""

import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from jstyleid_core.errors import InputError
from jstyleid_dreambooth.prompts import DRAWING_FIELDS, DRAWING_TEMPLATE, check_template
from jstyleid_runner.json_object import read_object
from jstyleid_runner.settings import Method

_DEFAULT = "default"
_EXAMPLE = '{"00": "{prompt} in style_00", "default": "{prompt} in style_{style}"}'


@dataclass(frozen=True)
class Templates:
    """The template of each style in `own`, and `default` for the others."""

    default: str
    own: dict[str, str]


def usual_template(method: Method) -> str:
    """What is drawn for a prompt where nothing else is said: with a LoRA, the style is named."""
    return "{prompt}" if method == "styleid" else DRAWING_TEMPLATE


def read_templates(
    template: str | None, file: Path | None, usual: str, styles: Collection[str]
) -> Templates:
    """The templates that `--template` and `--templates` give.

    Args:
        template: of every style.
        file: a JSON object of templates by style; `default` is for the others.
        usual: the template where nothing is given.
        styles: the split's; the file may name no other.

    Raises:
        InputError: the file or a template is unusable, or the two contradict each other.
    """
    if template is not None:
        check_template(template, DRAWING_FIELDS, "--template")
    own = _read_file(file, styles) if file else {}
    default = own.pop(_DEFAULT, None)
    if template is not None and default is not None:
        raise InputError(
            f'{file}: key "{_DEFAULT}" and --template {template!r} contradict each other. Leave '
            "one of them out."
        )
    return Templates(template or default or usual, own)


def _read_file(file: Path, styles: Collection[str]) -> dict[str, str]:
    templates: dict[str, str] = {}
    for key, template in read_object(file, _EXAMPLE):
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
