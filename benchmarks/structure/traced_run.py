"""The `jstyleid` command under a tracer; `structure.py` starts it and reads what it writes.

Each process of the command writes a file of its own, ``parent.calls`` or ``worker.calls``, into the
folder that the environment variable `JSTYLEID_TRACE` names: a line for each call of a function of
the project, with the time, the caller's file and line (the nearest function of the project on the
stack, if there is one), and the file and name of the function called. Each line is written at
once, since a worker may be ended at any time. ``written.txt`` holds the time at which the first
picture in ``out/NN/`` of that folder had its final name.

Workers are traced because `multiprocessing` imports a program's main module, which is this one, in
each process that it spawns.
"""

from __future__ import annotations

import dis
import inspect
import os
import sys
import threading
import time
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

FOLDER = "JSTYLEID_TRACE"
WRITTEN = "written.txt"
_COMPREHENSIONS = ("<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>")
_RESUME = dis.opmap["RESUME"]


class _Thread(threading.local):
    """State of a thread: how many bodies of modules and classes are being run."""

    bodies = 0


class Tracer:
    """Writes the calls of a process.

    Args:
        folder: the folder for the lines, and with the command's own folder `out`.
        process: the name of the process, for its file.
        sources: the folders that hold the project's packages.
    """

    def __init__(self, folder: Path, process: str, sources: tuple[str, ...]) -> None:
        self._out, self._written = folder / "out", folder / WRITTEN
        # Lines of several threads or processes never mix: each is one write at the file's end.
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        self._lines = os.open(folder / f"{process}.calls", flags, 0o644)
        self._sources = sources
        self._files: dict[str, str] = {}
        self._thread = _Thread()

    def start(self) -> None:
        """Trace this thread and those that it starts, but no forked process."""
        os.register_at_fork(after_in_child=lambda: sys.setprofile(None))
        threading.setprofile(self._notice)
        sys.setprofile(self._notice)

    def _notice(self, frame: FrameType, event: str, argument: Any) -> None:
        if event == "c_return":
            if argument is os.replace or argument is os.rename:
                self._look_for_picture()
            return
        code = frame.f_code
        if event not in ("call", "return") or not (file := self._file(code)):
            return
        if not code.co_flags & inspect.CO_OPTIMIZED:  # the body of a module or a class
            self._thread.bodies += 1 if event == "call" else -1
        elif event == "call" and not self._thread.bodies and _enters(frame):
            caller = self._caller(frame)
            name: str = code.co_qualname  # type: ignore[attr-defined]  # structure.py has 3.11
            line = f"{time.monotonic_ns()}\t{caller}\t{file}\t{name}\n"
            os.write(self._lines, line.encode())

    def _caller(self, frame: FrameType) -> str:
        above = frame.f_back
        while above is not None:
            if file := self._file(above.f_code):
                return f"{file}\t{above.f_lineno}"
            above = above.f_back
        return "\t0"

    def _file(self, code: CodeType) -> str:
        """A file of the project, relative to its source folder; any other is empty."""
        name = code.co_filename
        if name not in self._files:
            inside = [source for source in self._sources if name.startswith(source + os.sep)]
            # Jinja compiles templates under the names of their own files.
            known = inside and name.endswith(".py")
            self._files[name] = name[len(inside[0]) + 1:] if known else ""
        return self._files[name]

    def _look_for_picture(self) -> None:
        if not self._written.exists() and any(self._out.glob("[0-9]*/[!.]*.png")):
            self._written.write_text(str(time.monotonic_ns()), encoding="utf-8")


def _enters(frame: FrameType) -> bool:
    """Whether a call enters a function; a comprehension is none, a resumed generator is inside."""
    code = frame.f_code
    if code.co_flags & inspect.CO_GENERATOR and frame.f_lasti >= 0:
        operation, argument = code.co_code[frame.f_lasti:frame.f_lasti + 2]
        if operation == _RESUME and argument != 0:  # after a yield
            return False
    return code.co_name not in _COMPREHENSIONS


if __name__ in ("__main__", "__mp_main__"):
    process = "parent" if __name__ == "__main__" else "worker"
    sources = tuple(os.environ["PYTHONPATH"].split(os.pathsep))
    Tracer(Path(os.environ[FOLDER]), process, sources).start()

if __name__ == "__main__":
    from jstyleid_runner.cli import main

    main()
