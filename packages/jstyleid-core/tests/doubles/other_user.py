"""Another user of the machine: a process that may read what all may, and write next to nothing."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable

_NOBODY = 65534


def as_nobody(function: Callable[[], str]) -> str:
    """What `function` returns in a process of a user without rights, or its traceback.

    Tests that run as an ordinary user are such a user for what belongs to root already.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            if os.geteuid() == 0:
                os.setgroups([])
                os.setgid(_NOBODY)
                os.setuid(_NOBODY)
            said = function()
        except BaseException:
            said = traceback.format_exc()
        os.write(writing, said.encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read().decode()
    os.waitpid(child, 0)
    return said
