"""The program: `jstyleid`, and `python -m jstyleid_runner`."""

import os
import signal
import sys

from jstyleid_runner.interrupts import end_at_once


def main() -> None:
    """Entry point of the `jstyleid` script."""
    _open_closed_streams()
    # First, for the imports take a second. In the background of a shell it is ignored.
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, end_at_once)
    from jstyleid_runner.cli import main as command_line

    try:
        command_line()
    finally:
        # Python forgets handlers while it ends, and the system's own would end it otherwise.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        # After `python -m` Python ends itself by SIGINT if Ctrl-C has left the last `exec` of a
        # text, such as those that make dataclasses.
        exec("")


def _open_closed_streams() -> None:
    """Let a stream that the shell has closed lead nowhere, as after `2>&-`.

    Otherwise the next file that is opened would get its number, and what C code prints.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode))


if __name__ == "__main__":
    main()
