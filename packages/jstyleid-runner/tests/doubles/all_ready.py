"""An executor whose workers begin together; as a script, `jstyleid` with it, for two workers.

Otherwise a quick worker may have done everything before another one has started.
"""

from typing import Any

from jstyleid_runner.cli import main
from jstyleid_runner.scheduling.executor import Event, Executor, Ready
from jstyleid_runner.workflows.model import ModelSource


class AllReady:
    """An executor that says nothing until all of its workers can be given work."""

    def __init__(self, executor: Executor, workers: int) -> None:
        self._executor, self._workers = executor, workers
        self._held: list[Event] = []
        self._ready = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._executor, name)

    def wait(self, seconds: float) -> list[Event]:
        self._held += (events := self._executor.wait(seconds))
        self._ready += sum(isinstance(event, Ready) for event in events)
        if self._ready < self._workers:
            return []
        events, self._held = self._held, []
        return events


if __name__ == "__main__":
    _executor = ModelSource.executor
    ModelSource.executor = lambda *told: AllReady(_executor(*told), 2)  # type: ignore[assignment, method-assign]
    main()
