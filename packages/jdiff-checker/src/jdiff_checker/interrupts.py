"""Ctrl-C: it raises KeyboardInterrupt in a command, and ends the program in and before imports.

torch takes seconds to import. Python, and compiled modules, answer an interrupt in the middle of an
import with a traceback, or with another error.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

EXIT_STOPPED = 130
"""Exit code that shells report for a program that Ctrl-C ended."""


def end_at_once(number: int, frame: FrameType | None) -> None:
    """End the process; the handler of SIGINT while nothing is there to be tidied up."""
    os.write(2, b"stopped\n")
    os._exit(EXIT_STOPPED)


@contextmanager
def interruptible() -> Iterator[None]:
    """Let Ctrl-C raise KeyboardInterrupt in the block, where the program handles it otherwise."""
    if signal.getsignal(signal.SIGINT) is not end_at_once:
        yield
        return
    signal.signal(signal.SIGINT, _interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, end_at_once)


def _interrupt(number: int, frame: FrameType | None) -> None:
    inner = frame
    while inner is not None:
        # Files are written whole or not at all, and none is written during an import.
        if inner.f_code.co_filename.startswith("<frozen importlib"):
            end_at_once(number, frame)
        inner = inner.f_back
    raise KeyboardInterrupt
