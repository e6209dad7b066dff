"""The readers, by subject; none of them starts Jittor or loads torch."""

from __future__ import annotations

from importlib.util import find_spec

from fuzz.reader import Reader


def installed() -> list[Reader]:
    """The readers of the packages that are here: jstyleid's, the checker's, or both."""
    found: list[Reader] = []
    if find_spec("jstyleid_runner"):
        from fuzz.readers import checkpoints, commands, loras, pictures, runs, selectors, styles

        for module in (pictures, selectors, checkpoints, loras, styles, runs, commands):
            found += module.READERS
    if find_spec("jdiff_checker"):
        from fuzz.readers import checker, checker_commands

        found += checker.READERS + checker_commands.READERS
    return found
