"""How far a command is that makes many things and can be stopped."""

from dataclasses import dataclass, field


@dataclass
class Tally:
    """Readable at any moment: also after a stop.

    Attributes:
        total: how many results the command is for.
        done: how many of them are there.
        begun: ids of the jobs that the command has begun, where it has jobs.
    """

    total: int = 0
    done: int = 0
    begun: set[str] = field(default_factory=set)
