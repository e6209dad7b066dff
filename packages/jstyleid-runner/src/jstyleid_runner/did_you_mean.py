"""A suggestion for a name that nothing has."""

from collections.abc import Collection
from difflib import get_close_matches


def did_you_mean(name: str, names: Collection[str]) -> str:
    """A sentence with a space before it, or nothing where no name is near."""
    found = get_close_matches(name, names, n=1)
    return f" Did you mean {found[0]}?" if found else ""
