"""How far a command is that makes many things and can be stopped."""

from dataclasses import dataclass


@dataclass
class Tally:
    """Readable at any moment: also after a stop.

    Attributes:
        total: how many results the command is for.
        done: how many of them are there.
    """

    total: int = 0
    done: int = 0
