"""Notes for the user about what was read otherwise than written, each said once a process."""

from __future__ import annotations

import logging
from functools import cache

log = logging.getLogger(__name__)


@cache
def note_once(text: str) -> None:
    """Log a warning, the first time only."""
    log.warning("%s", text)


def leave_notes_to_parent() -> None:
    """Log no notes in this process: the one that started it reads the same files and says them."""
    log.setLevel(logging.ERROR)
