"""Notes for the user about what was read otherwise than written, each said once a process."""

from __future__ import annotations

import logging
from functools import cache

log = logging.getLogger(__name__)


@cache
def note_once(text: str) -> None:
    """Log a warning, the first time only."""
    log.warning("%s", text)
