"""Inputs that were findings, made by code, each with the answer that is right now."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from fuzz.reader import FileReader, Reader
from fuzz.running import Finding, check, check_value, folder_of


@dataclass(frozen=True)
class Found:
    """An input that was a finding.

    Attributes:
        reader: name of the reader.
        data: makes the file's bytes, or the value.
        says: a part of the message; None for an input that is read.
    """

    reader: str
    data: Callable[[], Any]
    says: str | None


def replay(found: Found, readers: Sequence[Reader]) -> Finding | str | None:
    """What its reader does with an input now."""
    [reader] = [each for each in readers if each.name == found.reader]
    if isinstance(reader, FileReader):
        with folder_of(reader) as place:
            return check(reader, place, found.data())
    return check_value(reader, found.data())
