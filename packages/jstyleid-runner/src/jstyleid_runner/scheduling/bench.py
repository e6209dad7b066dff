"""What a worker is, seen from inside: a loaded model, and how an assignment is done with it."""

from collections.abc import Callable, Iterator, Sequence
from enum import Enum
from typing import Any, Protocol

from jstyleid_core.errors import InputError

_MEMORY_SIGNS = (
    "out of memory", "out_of_memory", "bad_alloc", "unable to alloc", "memory is overflow")
"""What Jittor, CUDA and the C++ library say."""

Say = Callable[[str, float], None]
"""Told what the worker is at, and which share of its present task is done, from 0 to 1."""


class Bench(Protocol):
    """A place of work. It is made in the worker's own process, when its device is settled."""

    def compile(self, say: Say) -> None:
        """Compile what is not compiled on this machine yet; only one worker does it at a time."""
        ...

    def prepare(self, say: Say) -> None:
        """Load the model."""
        ...

    def perform(self, orders: Sequence[Any], say: Say) -> Iterator[bytes | None]:
        """Do an assignment; yields each order's product as soon as it is there, in their order."""
        ...


OpenBench = Callable[[], Bench]
"""Makes a bench; it is sent to the worker's process."""


class Fault(Enum):
    """What an error means for whoever might try again."""

    MEMORY = "memory"
    """The memory was too small: less at a time may do."""
    INPUT = "input"
    """Something given cannot be used: it will not do at all."""
    OTHER = "other"
    """It may do the next time."""


def fault_of(error: BaseException) -> Fault:
    """The kind of an error that a bench has raised."""
    if isinstance(error, InputError):
        return Fault.INPUT
    text = str(error).lower()
    if isinstance(error, MemoryError) or any(sign in text for sign in _MEMORY_SIGNS):
        return Fault.MEMORY
    return Fault.OTHER
