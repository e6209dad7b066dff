"""Choosing layers by name pattern."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from jstyleid_core.errors import InputError

_SHOWN = 3


def choose(paths: Iterable[str], patterns: Sequence[str]) -> list[str]:
    """The paths that one of the patterns names, in their own order.

    Args:
        paths: module paths in diffusers' names.
        patterns: see `LoRASettings`; `to_q` names every `….to_q`, `*` stands for anything.

    Raises:
        InputError: a pattern names no layer.
    """
    paths = list(paths)
    used: set[str] = set()
    chosen = []
    for path in paths:
        matching = [pattern for pattern in patterns if _matches(path, pattern)]
        used.update(matching)
        if matching:
            chosen.append(path)
    for pattern in patterns:
        if pattern not in used:
            raise InputError(
                f"LoRA target {pattern!r} names no layer of the network. Its linear and "
                f"convolution layers have names such as {', '.join(paths[:_SHOWN])}."
            )
    return chosen


def _matches(path: str, pattern: str) -> bool:
    return fnmatchcase(path, pattern) or fnmatchcase(path, f"*.{pattern}")
