"""What each worker computes on, settled before anything that might look is imported."""

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Place:
    """A worker's name and device.

    Attributes:
        name: for logs and displays.
        card: index of the GPU among those that are visible to the command; None for the CPU.
        threads: of the CPU that the worker may use; None leaves it to the libraries.
    """

    name: str
    card: str | None
    threads: int | None

    def take(self) -> None:
        """Let this process see only the place's device."""
        os.environ["CUDA_VISIBLE_DEVICES"] = self.card or ""
        if self.threads is not None:
            os.environ["OMP_NUM_THREADS"] = str(self.threads)


def places_on_cards(count: int) -> list[Place]:
    """One place a GPU, by the numbers that `CUDA_VISIBLE_DEVICES` gives them if it is set."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    cards = visible.split(",") if visible else [str(number) for number in range(count)]
    return [Place(f"gpu{number}", card.strip(), None)
            for number, card in enumerate(cards[:count])]


def places_on_cpu(count: int) -> list[Place]:
    """Places that share this machine's processors."""
    threads = max(1, len(os.sched_getaffinity(0)) // count)
    return [Place(f"cpu{number}", None, threads if count > 1 else None)
            for number in range(count)]
