"""A worker of a run: it starts Jittor, loads the checkpoint, and does payloads with it."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from jstyleid_core import runtime
from jstyleid_core.errors import CheckpointError
from jstyleid_core.runtime import Device
from jstyleid_core.weights.checkpoint import CheckpointSource
from jstyleid_runner.scheduling.executor import TaskFiles, TaskProgress
from jstyleid_runner.settings import RunSettings
from jstyleid_runner.worker.engine import Engine, compile_training, start_compiled
from jstyleid_runner.worker.payloads import Payload, run_payloads
from jstyleid_runner.worker.prepared import PreparedEngine

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class WorkerSpec:
    """Makes the `Worker` of a run; this is what goes to the worker's process.

    Attributes:
        source: the checkpoint.
        device: device to start Jittor on.
        settings: settings of the run.
        loras: files of the LoRAs that will be used.
        native_log: file for the output of Jittor's compiled parts.
        fingerprint: fingerprint to check, where the worker's machine may have another checkpoint.
    """

    source: CheckpointSource
    device: Device
    settings: RunSettings
    loras: tuple[Path, ...]
    native_log: Path
    fingerprint: str | None = None

    def __call__(self) -> "ImageWorker":
        """Make the worker."""
        return ImageWorker(self)

    def files(self) -> TaskFiles:
        """The files that go with it to another machine."""
        return TaskFiles(read=self.loras)


class ImageWorker:
    """The `Worker` of a run."""

    def __init__(self, spec: WorkerSpec) -> None:
        self._spec = spec

    def compile(self, progress: TaskProgress) -> None:
        """Start Jittor, compiling it on first use, and compile the kernels that are missing."""
        runtime.redirect_native_output(self._spec.native_log)
        # Here, since every worker would compile them at the same time later.
        start_compiled(self._spec.device, progress.preparing, self._spec.settings.backend)
        if self._spec.settings.training:
            compile_training(progress.preparing, self._spec.settings.backend)

    def prepare(self, progress: TaskProgress) -> None:
        """Load the checkpoint, and check that it can generate the size asked for.

        Raises:
            CheckpointError: it cannot, or is not the run's.
        """
        from jstyleid_core import StableDiffusion

        model = StableDiffusion.load(
            self._spec.source,
            dtype=self._spec.settings.dtype,
            preparing=progress.preparing,
            backend=self._spec.settings.backend,
        )
        model.check_size(self._spec.settings.size)
        wanted = self._spec.fingerprint
        # Asked for last: to find out the model's own, all of its files are read.
        if wanted is not None and model.fingerprint != wanted:
            raise CheckpointError(
                f"{self._spec.source}: not the checkpoint that this run is made with. Copy that "
                "one there, or remove what an earlier download has left."
            )
        engine = Engine(model, self._spec.settings)
        self.engine = PreparedEngine(engine, self._spec.settings.size, self._spec.loras)

    def perform(
        self, payloads: Sequence[Payload], progress: TaskProgress
    ) -> Iterator[bytes | None]:
        """Do an assignment."""
        return run_payloads(self.engine, payloads, progress)

    def usable(self) -> bool:
        """Whether the device still computes."""
        from jstyleid_core.runtime.jittor import jt

        try:
            self.engine.engine.model.free_memory()  # of which there may have been too little
            return float(jt.ones(1).sum().item()) == 1
        except RuntimeError:
            log.exception("the device computes no more")
            return False
