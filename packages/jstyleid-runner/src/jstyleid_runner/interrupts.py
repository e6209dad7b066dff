"""Ctrl-C: in a command it raises KeyboardInterrupt; before and after one it ends the program."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

EXIT_STOPPED = 130
"""Exit code that shells report for a program that Ctrl-C ended."""


def end_at_once(number: int, frame: FrameType | None) -> None:
    """End the process; the handler of SIGINT while nothing is there to be tidied up.

    Python itself would end with a traceback, while it imports modules or waits for processes.
    """
    os.write(2, b"stopped\n")
    os._exit(EXIT_STOPPED)


@contextmanager
def interruptible() -> Iterator[None]:
    """Let Ctrl-C raise KeyboardInterrupt in the block, where the program handles it otherwise."""
    if signal.getsignal(signal.SIGINT) is not end_at_once:
        yield
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, end_at_once)
