"""The errors this package raises, each with a message a user can act on.

A message names the file, the field and the fix. Command lines map `InputError` to exit code 2 and
every other `JStyleIDError` to exit code 1.
"""


class JStyleIDError(Exception):
    """Base of everything this package raises on purpose."""


class InputError(JStyleIDError):
    """What the user gave cannot be used: a file, an option or a combination of them."""


class CheckpointError(InputError):
    """A checkpoint folder is incomplete, damaged or of an architecture that is not supported."""


class StaleStyleError(InputError):
    """A saved style was made with another model, other settings or another image."""


class OutputError(InputError):
    """A result cannot be written where the user asked for it."""
