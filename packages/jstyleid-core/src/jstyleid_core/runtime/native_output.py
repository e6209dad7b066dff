"""Where the chatter of Jittor's C++ side goes.

Jittor reports each round of kernel compilation with `std::cerr`, past Python's `sys.stderr`, and
has no switch for it. A command that draws its own progress sends that stream to a file.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path


def redirect_native_output(path: Path) -> None:
    """Append what native code writes to stderr to `path`; Python's `sys.stderr` stays as it is.

    A crash report of native code lands in the file too, since the file is written directly.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    sys.stderr.flush()
    terminal = os.dup(2)
    sys.stderr = os.fdopen(terminal, "w", buffering=1, encoding=sys.stderr.encoding,
                           errors="backslashreplace")
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(log, 2)
    os.close(log)
