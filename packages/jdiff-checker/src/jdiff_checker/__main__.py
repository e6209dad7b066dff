"""The program: `jdiff-check`, and `python -m jdiff_checker`."""

import signal

from jdiff_checker.interrupts import end_at_once


def main() -> None:
    """Entry point of the `jdiff-check` script."""
    # First, for the imports take a second. In the background of a shell it is ignored.
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, end_at_once)
    from jdiff_checker.cli import main as command_line

    command_line()


if __name__ == "__main__":
    main()
