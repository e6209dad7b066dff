"""A worker's bench on `jstyleid_core`: Jittor, compiled and started, and the checkpoint, loaded."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from jstyleid_core import runtime
from jstyleid_core.errors import CheckpointError
from jstyleid_core.runtime import Device
from jstyleid_runner.planning.tasks import Order
from jstyleid_runner.run_bench import RunBench
from jstyleid_runner.scheduling.executor import Freight, Say
from jstyleid_runner.settings import RunSettings
from jstyleid_runner.starting import compile_training, start_compiled


@dataclass(frozen=True)
class OpenCoreBench:
    """Makes the `Bench` of a run; this is what goes to the worker's process.

    Attributes:
        source: the checkpoint.
        device: to start Jittor on.
        settings: of the run.
        loras: files that will be drawn with.
        native_log: where what Jittor's compiled parts write goes.
        fingerprint: of the checkpoint, where the worker's machine may have another one.
    """

    source: str
    device: Device
    settings: RunSettings
    loras: tuple[Path, ...]
    native_log: Path
    fingerprint: str | None = None

    def __call__(self) -> "CoreBench":
        """Make the bench."""
        return CoreBench(self)

    def freight(self) -> Freight:
        """The files that go with it to another machine."""
        return Freight(read=self.loras)


class CoreBench:
    """The `Bench` itself."""

    def __init__(self, told: OpenCoreBench) -> None:
        self._told = told

    def compile(self, say: Say) -> None:
        """Start Jittor, compiling it on first use, and compile the kernels that are missing."""
        runtime.redirect_native_output(self._told.native_log)
        on_build = _build_says(say)
        # Here, since every worker would compile them at the same time later.
        start_compiled(self._told.device, on_build, self._told.settings.backend)
        if self._told.settings.training:
            compile_training(on_build, self._told.settings.backend)

    def prepare(self, say: Say) -> None:
        """Load the checkpoint, and check that it can draw the size asked for.

        Raises:
            CheckpointError: it cannot, or is not the run's.
        """
        from jstyleid_core import StableDiffusion
        from jstyleid_runner.engine import CoreEngine

        model = StableDiffusion.load(
            self._told.source,
            dtype=self._told.settings.dtype,
            report=lambda part, done, total: say(f"loading {part} {done}/{total}", 0.0),
            backend=self._told.settings.backend,
        )
        model.check_size(self._told.settings.size)
        wanted = self._told.fingerprint
        # Asked for last: to find out the model's own, all of its files are read.
        if wanted is not None and model.fingerprint != wanted:
            raise CheckpointError(
                f"{self._told.source}: not the checkpoint that this run is made with. Copy that "
                "one there, or remove what an earlier download has left."
            )
        engine = CoreEngine(model, self._told.settings)
        self.work = RunBench(engine, self._told.settings.size, self._told.loras)

    def perform(self, orders: Sequence[Order], say: Say) -> Iterator[bytes | None]:
        """Do an assignment."""
        return self.work.perform(orders, say)


def _build_says(say: Say) -> runtime.Report:
    def on_build(build: runtime.BuildProgress) -> None:
        say(f"{build.message} {build.done}/{build.total}", 0.0)

    return on_build
