"""Processes that end when the process that started them does."""

import ctypes
import os
import signal

_PR_SET_PDEATHSIG = 1
_PRCTL = ctypes.CDLL(None).prctl
"""Looked up once: the loader's lock may be held by another thread when Jittor forks."""


def end_with(parent: int) -> None:
    """Have the kernel kill this process when its parent ends, in whatever way that ends.

    The kernel means the thread that started this process, which should be the parent's main one.

    Args:
        parent: process id of the parent.
    """
    _PRCTL(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        # It ended before the line above, so that the kernel has nothing to wait for.
        os.kill(os.getpid(), signal.SIGKILL)
