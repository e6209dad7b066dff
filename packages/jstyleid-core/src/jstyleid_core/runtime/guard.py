"""Put back what importing Jittor changes in the whole process.

The import turns off certificate checks for every HTTPS request, raises the recursion limit to a
million and the stack limit to 512 MB, and installs signal handlers with which Ctrl-C ends the
process before Python hears of it and a child's death by a signal ends its parent.
"""

from __future__ import annotations

import contextlib
import resource
import signal
import ssl
import sys
import threading
from collections.abc import Iterator

_SIGNALS = (signal.SIGINT, signal.SIGCHLD, signal.SIGQUIT, signal.SIGFPE, signal.SIGILL,
            signal.SIGBUS)


@contextlib.contextmanager
def unchanged_process() -> Iterator[None]:
    """Run the block and restore signal handlers, SSL context, recursion and stack limits."""
    in_main_thread = threading.current_thread() is threading.main_thread()
    handlers = {number: signal.getsignal(number) for number in _SIGNALS}
    context = ssl._create_default_https_context
    recursion = sys.getrecursionlimit()
    stack = resource.getrlimit(resource.RLIMIT_STACK)
    flags = sys.getdlopenflags()
    try:
        yield
    finally:
        # Python can only set handlers from the main thread; elsewhere Jittor's stay.
        if in_main_thread:
            for number, handler in handlers.items():
                signal.signal(number, signal.SIG_DFL if handler is None else handler)
        ssl._create_default_https_context = context
        sys.setrecursionlimit(recursion)
        resource.setrlimit(resource.RLIMIT_STACK, stack)
        sys.setdlopenflags(flags)
