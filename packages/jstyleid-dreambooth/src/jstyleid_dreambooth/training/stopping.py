"""Ctrl-C in the middle of a step: the step is finished first, so that nothing is half moved."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

from jstyleid_dreambooth.training.watching import Watcher


@contextlib.contextmanager
def interrupts_wait(watch: Watcher) -> Iterator[Callable[[], None]]:
    """Within the block the first Ctrl-C only raises where the function given is called.

    A second one raises at once. Outside the main thread, which alone gets signals, nothing changes.
    """
    asked = False

    def ask(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True
        watch.note("stopping after this step; press Ctrl-C again to lose it")

    def stop_if_asked() -> None:
        if asked:
            raise KeyboardInterrupt

    # Ignored by a parent, or somebody else's business: leave it so.
    ours = (threading.current_thread() is threading.main_thread()
            and signal.getsignal(signal.SIGINT) is signal.default_int_handler)
    if ours:
        signal.signal(signal.SIGINT, ask)
    try:
        yield stop_if_asked
    finally:
        if ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)
