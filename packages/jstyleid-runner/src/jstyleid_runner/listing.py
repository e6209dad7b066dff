"""Lists in messages."""

from collections.abc import Sequence


def listed(lines: Sequence[str], most: int) -> str:
    """The first lines, indented, and how many more there are."""
    shown = [f"  {line}" for line in lines[:most]]
    if len(lines) > most:
        shown.append(f"  and {len(lines) - most} more")
    return "\n".join(shown)
