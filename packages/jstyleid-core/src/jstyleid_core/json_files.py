"""The JSON files of a checkpoint, and what failed downloads leave in the place of its files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from pydantic_core import from_json

from jstyleid_core.errors import CheckpointError
from jstyleid_core.files import read_regular


def read_json(path: Path) -> Any:
    """Parse a JSON file of a checkpoint; a byte order mark is harmless.

    Raises:
        CheckpointError: the file is missing, cannot be read, or is no JSON.
    """
    data = read_bytes(path)
    try:
        return parse_json(data.decode("utf-8-sig"))
    except ValueError as error:  # UnicodeDecodeError, too
        raise CheckpointError(
            f"{path} is not valid JSON ({error}). Replace the file.") from error


def parse_json(text: str | bytes) -> Any:
    """The value of a JSON text that may come from anywhere.

    Python's own parser takes half a surrogate pair, which cannot be written again, and a depth that
    what works on the value then fails at.

    Raises:
        ValueError: it is no JSON, is nested more than 200 deep, or holds half a surrogate pair or a
            number of thousands of digits.
    """
    return from_json(text)


def read_bytes(path: Path) -> bytes:
    """The content of a small file of a checkpoint.

    Raises:
        CheckpointError: the file is missing, cannot be read, or is what a failed download left.
    """
    try:
        data = read_regular(path)
    except FileNotFoundError as error:
        raise CheckpointError(
            f"{path} is missing: the checkpoint is incomplete. Download it again."
        ) from error
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror or error}.") from error
    if what := failed_download(data):
        raise CheckpointError(f"{path} is {what}")
    return data


def failed_download(start: bytes) -> str | None:
    """What a failed download left in the place of a file, by its first bytes, and the fix."""
    if start.startswith(b"version https://git-lfs"):
        return "a pointer of Git LFS, not the file itself. Run: git lfs pull"
    if re.match(rb"\s*<(!doctype html|html|\?xml)", start[:200], re.IGNORECASE):
        return "a web page, as a failed download leaves one. Download the file again."
    return None
