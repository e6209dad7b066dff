"""The errors of this package, each with a message a user can act on.

A message names the file, the field and the fix. Command lines map `InputError` to exit code 2 and
every other `JStyleIDError` to exit code 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

_spelling: Callable[[str], str] = str


def setting(name: str) -> str:
    """A setting's name as messages write it; as in Python, unless `spell_settings` was called."""
    return _spelling(name)


def spell_settings(spelling: Callable[[str], str]) -> None:
    """Make the messages of this process write settings in another way.

    Args:
        spelling: from a name in Python, such as `prior.prompt`, to the name that users know, such
            as an option of a command line.
    """
    global _spelling
    _spelling = spelling


class JStyleIDError(Exception):
    """Base of the errors that this package raises on purpose.

    Attributes:
        fields: settings that the message is about, by their names in Python.
    """

    def __init__(self, message: str = "", *, fields: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.fields = tuple(fields)


class InputError(JStyleIDError):
    """User input that cannot be used: a file, a setting or a combination of them."""


class CheckpointError(InputError):
    """A checkpoint folder that is incomplete, damaged or of an unsupported architecture."""


class StaleStyleError(InputError):
    """A saved style that was made with another model, other settings or another image."""


class NumbersError(JStyleIDError):
    """A computation that went beyond the number format: its result is no picture."""


class OutputError(InputError):
    """A result that cannot be written where the user asked for it."""
