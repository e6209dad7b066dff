"""The time of day of a run, which does not jump when somebody sets the machine's clock."""

import os
import time
from collections.abc import Callable
from typing import Any


def run_clock() -> Callable[[], float]:
    """A clock that shows the time of day now, and from then on counts the seconds that pass."""
    offset = time.time() - _since_boot()
    return lambda: offset + _since_boot()


def describe_clock(clock: Callable[[], float]) -> dict[str, Any]:
    """What other processes of this machine have to know to tell the same time, as JSON."""
    return {"machine": os.uname().nodename, "offset": clock() - _since_boot()}


def told_by(described: dict[str, Any] | None) -> float:
    """What a run's clock shows now.

    Args:
        described: the clock; where there is none, or it is another machine's, this machine's own
            has to do.
    """
    if described is None or described["machine"] != os.uname().nodename:
        return time.time()
    return float(described["offset"]) + _since_boot()


def _since_boot() -> float:
    """Seconds by a clock that all processes share and nobody can set; it counts sleep too."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
