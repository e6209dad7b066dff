"""Reading a file that people write by hand: one JSON object, and what is wrong with it."""

import json
from pathlib import Path
from typing import Any

from jstyleid_core.errors import InputError


class _Members(list[tuple[str, Any]]):
    """The members of one JSON object in the order of the file, those with one key included."""


def read_object(path: Path, example: str) -> list[tuple[str, Any]]:
    """The members of the object in the file at `path`; a key may be there twice.

    Args:
        path: of the file.
        example: what such an object looks like, for the message.

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
