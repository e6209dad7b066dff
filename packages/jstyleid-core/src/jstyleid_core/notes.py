"""Notes for the user about what was read otherwise than written, each said once a process."""

from __future__ import annotations

import logging
import re
from functools import cache

log = logging.getLogger(__name__)

_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""All but tabs and ends of lines: they move a terminal's cursor, or turn the order of letters."""
_LONGEST_LINE, _KEPT = 2500, (1500, 800)


def shown(message: str) -> str:
    """A message as a terminal may show it: it may quote names and values of foreign files.

    Control characters are escaped, and of a line of thousands of characters the middle is left out.
    """
    plain = _CONTROLS.sub(lambda found: ascii(found[0])[1:-1], message)
    first, last = _KEPT
    return "\n".join(
        line if len(line) <= _LONGEST_LINE else f"{line[:first]} [...] {line[-last:]}"
        for line in plain.split("\n"))


@cache
def note_once(text: str) -> None:
    """Log a warning, the first time only."""
    log.warning("%s", shown(text))


def leave_notes_to_parent() -> None:
    """Log no notes in this process: the one that started it reads the same files and says them."""
    log.setLevel(logging.ERROR)
