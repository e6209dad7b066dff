"""The checkpoint of a command: found and told from others, and loaded where it is needed."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from jstyleid_core.backends import Backend
from jstyleid_core.runtime import Device, DType
from jstyleid_core.weights.fingerprint import fingerprint
from jstyleid_core.weights.layout import find_checkpoint, find_downloaded, shown_source
from jstyleid_runner.planning.tasks import Payload
from jstyleid_runner.reports.progress import Reporter
from jstyleid_runner.scheduling.executor import Executor
from jstyleid_runner.scheduling.task import Task
from jstyleid_runner.settings import RunSettings
from jstyleid_runner.storage.layout import OutFolder
from jstyleid_runner.storage.records import RunRecord, quick_stamp
from jstyleid_runner.worker.engine import CoreTrainer, load_model
from jstyleid_runner.worker.worker import WorkerSpec
from jstyleid_runner.workflows.train import OpenedTrainer
from jstyleid_runner.workflows.workers import NOBODY, Staff

if TYPE_CHECKING:
    from jstyleid_core import StableDiffusion


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

    def executor(
        self,
        settings: RunSettings,
        folder: OutFolder,
        loras: tuple[Path, ...],
        payload_of: Callable[[Task], Payload],
    ) -> Executor:
        """The workers, not yet started; `loras` are the files they will draw with."""
        ...


class CoreModel:
    """The `Workforce` and the `TrainerSource` of `jstyleid_core`.

    Args:
        source: folder or hub id.
        device: to start Jittor on.
        reporter: shows the loading.
        staff: the workers; none where everything is done in this process.
        backend: whose networks a trainer has; those of a run are its settings'.
    """

    def __init__(
        self,
        source: str,
        device: Device,
        reporter: Reporter,
        staff: Staff = NOBODY,
        backend: Backend = "native",
    ) -> None:
        self.source = source
        self._device = device
        self._reporter = reporter
        self._staff = staff
        self._backend = backend

    def stamp(self) -> str | None:
        """The stamp of the checkpoint's files on this machine; None before a download."""
        folder = find_downloaded(self.source)
        return quick_stamp(folder) if folder else None

    def fingerprint(self, dtype: DType) -> str:
        """What tells this checkpoint from others; found, or downloaded, but not loaded."""
        self._reporter.note(f"reading {shown_source(self.source)}")
        return fingerprint(find_checkpoint(self.source, half=dtype == "float16"))

    def executor(
        self,
        settings: RunSettings,
        folder: OutFolder,
        loras: tuple[Path, ...],
        payload_of: Callable[[Task], Payload],
    ) -> Executor:
        """The staff, with the model that the folder's record names."""
        record = RunRecord.read(folder.record)
        spec = WorkerSpec(
            self.source, self._device, settings, loras, folder.native_log,
            record.model.fingerprint if record else None,
        )
        return self._staff.executor(spec, payload_of)

    @property
    def workers(self) -> tuple[str, ...]:
        """The names of the workers."""
        return self._staff.workers

    def open_trainer(self, dtype: DType, size: tuple[int, int]) -> OpenedTrainer:
        """Load the checkpoint and check that it can be trained at this size."""
        model = self._load(dtype, size)
        from jstyleid_dreambooth import LoRAs

        return OpenedTrainer(CoreTrainer(model, LoRAs.of(model)), model.fingerprint)

    def _load(self, dtype: DType, size: tuple[int, int]) -> "StableDiffusion":
        model = load_model(self.source, dtype, self._device, self._reporter.preparing,
                           self._backend)
        model.check_size(size)
        return model
