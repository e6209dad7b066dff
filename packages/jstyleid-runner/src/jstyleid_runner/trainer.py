"""What a worker needs of the model to train LoRAs on it."""

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from jstyleid_dreambooth.training.job import TrainingJob, Watcher
from jstyleid_runner.starting import compile_training

if TYPE_CHECKING:
    from jstyleid_core import StableDiffusion
    from jstyleid_core.runtime import BuildProgress
    from jstyleid_dreambooth import LoRAs


class Trainer(Protocol):
    """A loaded model that LoRAs can be trained on."""

    def train(self, job: TrainingJob, watch: Watcher) -> Path:
        """Train a LoRA, or what is left of it, and return its file."""
        ...


class CoreTrainer:
    """The trainer of `jstyleid_dreambooth`."""

    def __init__(self, model: "StableDiffusion", loras: "LoRAs") -> None:
        self._model = model
        self._loras = loras

    def train(self, job: TrainingJob, watch: Watcher) -> Path:
        """Train a LoRA, or what is left of it, and return its file."""
        from jstyleid_dreambooth.training.train import train_lora

        def on_build(build: "BuildProgress") -> None:
            watch.preparing(build.message, build.done, build.total)

        compile_training(on_build, self._model.backend)
        return train_lora(job, self._model, self._loras, watch)
