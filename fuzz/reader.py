"""What is fuzzed: readers of files, and readers of values."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

Errors: TypeAlias = tuple[type[Exception], ...]
Mutate: TypeAlias = Callable[[Random, bytes, Sequence[bytes]], bytes]
"""An input from a seed; the third argument are all seeds, to take parts of others."""


@dataclass(frozen=True)
class FileReader:
    """A reader of a file.

    Attributes:
        name: its name on the command line.
        file: where an input is put, relative to a folder of its own.
        seeds: makes files that are right.
        read: reads the file at a path.
        errors: what it may raise.
        mutate: makes inputs of seeds.
        beside: other files that it needs in that folder.
    """

    name: str
    file: str
    seeds: Callable[[], Sequence[bytes]]
    read: Callable[[Path], object]
    errors: Errors
    mutate: Mutate
    beside: Callable[[], Mapping[str, bytes]] = field(default=dict)


@dataclass(frozen=True)
class ValueReader:
    """A reader of a text or another value.

    Attributes:
        name: its name on the command line.
        values: makes the strategy of hypothesis that draws values.
        read: reads a value.
        errors: what it may raise.
    """

    name: str
    values: Callable[[], SearchStrategy[Any]]
    read: Callable[[Any], object]
    errors: Errors


Reader: TypeAlias = FileReader | ValueReader
