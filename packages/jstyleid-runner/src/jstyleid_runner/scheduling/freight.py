"""What goes with an order to a machine that does not see the scheduler's files."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

from jstyleid_runner.scheduling.executor import Freight


@dataclass(frozen=True)
class Item:
    """A file on its way.

    Attributes:
        path: where the scheduler has it.
        digest: SHA-256 of its content.
        content: a reference to its bytes in the cluster's object store.
        kept: whether the machine keeps it for other orders.
    """

    path: Path
    digest: str
    content: Any
    kept: bool


@dataclass(frozen=True)
class Load:
    """An assignment on its way: what is to be done, and the files.

    Attributes:
        things: orders with their tasks' ids, or whatever else names paths.
        items: files that exist.
        folders: see `Freight`.
        held: those of `Freight`, with a reference to the content if another machine has it.
    """

    things: tuple[tuple[str, Any], ...]
    items: tuple[Item, ...]
    folders: tuple[Path, ...]
    held: tuple[tuple[Path, Any], ...]


def relocated(value: Any, place: Callable[[Path], Path]) -> Any:
    """A copy of a value in which every path, however deep in it, is where `place` says.

    Looked into are dataclasses and tuples, which is what orders are made of.
    """
    match value:
        case Path():
            return place(value)
        case tuple():
            return tuple(relocated(part, place) for part in value)
        case _ if is_dataclass(value) and not isinstance(value, type):
            parts = {field.name: getattr(value, field.name) for field in fields(value)}
            return replace(value, **{name: relocated(part, place) for name, part in parts.items()})
        case _:
            return value


def together(freights: Sequence[Freight]) -> Freight:
    """The files of several orders, each once."""
    return Freight(*(
        tuple(dict.fromkeys(path for freight in freights for path in getattr(freight, field.name)))
        for field in fields(Freight)))
