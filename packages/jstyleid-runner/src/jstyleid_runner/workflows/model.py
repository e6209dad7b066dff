"""The checkpoint of a command: found, identified, and loaded where it is needed."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from jstyleid_core.errors import CheckpointError
from jstyleid_core.notes import note_once
from jstyleid_core.runtime import Backend, Device, DType
from jstyleid_core.weights.checkpoint import (
    CheckpointSource,
    checkpoint_source,
    find_checkpoint,
    find_downloaded,
    fingerprint,
    tokenizer_here,
)
from jstyleid_dreambooth.training.settings import TrainingSettings
from jstyleid_runner.options.common import ModelOptions
from jstyleid_runner.planning.limits import check_run, wanted_by_training
from jstyleid_runner.reports.progress import Display
from jstyleid_runner.scheduling.executor import Executor
from jstyleid_runner.scheduling.task import Task
from jstyleid_runner.settings import RunSettings
from jstyleid_runner.storage.layout import OutFolder
from jstyleid_runner.storage.records import ModelRecord, Record, known_fingerprint, quick_stamp
from jstyleid_runner.worker.engine import Trainer, load_model
from jstyleid_runner.worker.payloads import Payload
from jstyleid_runner.worker.worker import WorkerSpec
from jstyleid_runner.workflows.workers import NO_WORKERS, Workers


def source_of(options: ModelOptions) -> CheckpointSource:
    """The checkpoint that the options name."""
    return replace(checkpoint_source(options.model), vae=options.vae, tokenizer=options.tokenizer,
                   prediction=options.prediction)


_FEWEST = 76
"""Bytes of the shortest text that can have more tokens than the text encoder reads, 77 with two
for start and end: a token is a byte or more."""


def note_cut_texts(source: CheckpointSource, texts: Sequence[str]) -> None:
    """Note which words the text encoder will not read, if the checkpoint is on this machine."""
    why = "which is not on this machine yet"
    try:
        tokenizer = tokenizer_here(source)
    except CheckpointError as error:
        tokenizer, why = None, f"which cannot be used: {error}"
    if tokenizer:
        tokenizer(texts)
    elif long := [text for text in texts if len("".join(text.split()).encode()) >= _FEWEST]:
        others = f" and {len(long) - 1} more" if len(long) > 1 else ""
        note_once(f"perhaps too long for the text encoder: {long[0]!r}{others}. The tokenizer of "
                  f"{source} can say it, {why}.")


class ModelSource:
    """A checkpoint, which is loaded only when there is work for it: here or by workers.

    Args:
        source: the checkpoint.
        device: device to start Jittor on.
        display: display of the loading.
        workers: workers of a run; none for a command that does everything in this process.
        backend: backend of a trainer; that of a run is among its settings.
    """

    def __init__(
        self,
        source: CheckpointSource,
        device: Device,
        display: Display,
        workers: Workers = NO_WORKERS,
        backend: Backend = "native",
    ) -> None:
        self.source = source
        self._device = device
        self._display = display
        self._workers = workers
        self._backend = backend

    def stamp(self) -> str | None:
        """The stamp of the checkpoint's files on this machine; None before a download."""
        paths = find_downloaded(self.source)
        return quick_stamp(paths, self.source.prediction) if paths else None

    def fingerprint(self, dtype: DType) -> str:
        """The digest of the weights; the checkpoint is found or downloaded, but not loaded."""
        self._display.note(f"reading {self.source.name}")
        return fingerprint(find_checkpoint(self.source, half=dtype == "float16"))

    def identify(self, known: Record | None, dtype: DType) -> ModelRecord:
        """The record of the checkpoint.

        Args:
            known: record of an earlier run, whose fingerprint is taken while the files' stamp is
                the same; reading all files takes a while.
            dtype: number format, which decides the files that are read.
        """
        stamp = self.stamp()
        fingerprint = known_fingerprint(known, stamp)
        if fingerprint is None:
            fingerprint = self.fingerprint(dtype)
            # Reading may have downloaded the files.
            stamp = stamp or self.stamp()
        return ModelRecord(source=str(self.source), stamp=stamp, fingerprint=fingerprint)

    def executor(
        self,
        settings: RunSettings,
        folder: OutFolder,
        loras: tuple[Path, ...],
        fingerprint: str,
        payload_of: Callable[[Task], Payload],
    ) -> Executor:
        """The executor of a run; its workers are not started yet.

        Args:
            settings: settings of the run.
            folder: folder of the run.
            loras: files of LoRAs that the workers will use.
            fingerprint: fingerprint of the checkpoint.
            payload_of: payload of a task.

        Raises:
            InputError: the checkpoint cannot compute with the settings.
        """
        # Again, for the checkpoint may have been downloaded since the plan.
        check_run(self.source, settings, loras)
        spec = WorkerSpec(
            self.source, self._device, settings, loras, folder.native_log, fingerprint)
        return self._workers.executor(spec, payload_of)

    @property
    def workers(self) -> tuple[str, ...]:
        """The names of the workers."""
        return self._workers.workers

    def open_trainer(self, dtype: DType, settings: TrainingSettings) -> Trainer:
        """Load the checkpoint, if it can be trained with these settings."""
        model = load_model(self.source, [wanted_by_training(settings)], dtype, self._device,
                           self._display.preparing, self._backend)
        from jstyleid_dreambooth import LoRAs

        return Trainer(model, LoRAs.of(model))
