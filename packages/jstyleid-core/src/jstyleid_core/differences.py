"""Differences between two sets of settings, for messages."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def differences(there: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """One line for each difference, `name: old there, new now`; nested names are `outer.inner`."""
    return [f"{name}: {_shown(old)} there, {_shown(new)} now"
            for name, old, new in differing_values(there, now)]


def differing_values(
    there: Mapping[str, Any], now: Mapping[str, Any]
) -> list[tuple[str, Any, Any]]:
    """Name, old and new value of each difference, by name; None for a value that is not there."""
    old, new = dict(_flat(there)), dict(_flat(now))
    return [(name, old.get(name), new.get(name)) for name in sorted(old.keys() | new.keys())
            if old.get(name) != new.get(name)]


def _flat(settings: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    pairs: list[tuple[str, Any]] = []
    for name, value in settings.items():
        if isinstance(value, Mapping):
            pairs += _flat(value, f"{prefix}{name}.")
        else:
            pairs.append((prefix + name, value))
    return pairs


def _shown(value: Any) -> str:
    return "nothing" if value is None else json.dumps(value)
