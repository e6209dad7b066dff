"""Who does the work of a run: a checkpoint, and the workers that load it."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from jstyleid_core.runtime import DType
from jstyleid_runner.planning.tasks import Order
from jstyleid_runner.scheduling.executor import Crew
from jstyleid_runner.scheduling.task import Task
from jstyleid_runner.settings import RunSettings
from jstyleid_runner.storage.layout import OutFolder


class Workforce(Protocol):
    """A checkpoint, and workers that load it only when there is work for them."""

    @property
    def source(self) -> str:
        """Folder or hub id."""
        ...

    @property
    def workers(self) -> tuple[str, ...]:
        """The names of the workers."""
        ...

    def stamp(self) -> str | None:
        """A cheap sign that the files are unchanged; None where there is none."""
        ...

    def fingerprint(self, dtype: DType) -> str:
        """What tells the checkpoint from others; reads it all."""
        ...

    def crew(
        self,
        settings: RunSettings,
        folder: OutFolder,
        loras: tuple[Path, ...],
        order_of: Callable[[Task], Order],
    ) -> Crew:
        """The workers, not yet started; `loras` are the files they will draw with."""
        ...
