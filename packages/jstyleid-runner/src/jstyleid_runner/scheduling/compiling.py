"""Who of a machine's workers may start: one alone, until it has compiled what is missing."""


class Compiling:
    """The order in which a machine's workers start.

    Started together on a fresh machine, each would compile the same.
    """

    def __init__(self) -> None:
        self._compiled = False
        self._alone: str | None = None
        self._waiting: list[str] = []

    def may_start(self, worker: str) -> bool:
        """Whether a worker may start now; otherwise `compiled` or `lost` will name it."""
        if self._compiled:
            return True
        if self._alone is None:
            self._alone = worker
            return True
        self._waiting.append(worker)
        return False

    def compiled(self) -> list[str]:
        """Everything is compiled: who may start now."""
        self._compiled = True
        waiting, self._waiting = self._waiting, []
        return waiting

    def lost(self, worker: str) -> list[str]:
        """A worker is gone: who may start now, if it was the one to compile."""
        if worker in self._waiting:
            self._waiting.remove(worker)
        if worker != self._alone or self._compiled:
            return []
        self._alone = self._waiting.pop(0) if self._waiting else None
        return [self._alone] if self._alone else []
