"""What a checkpoint can compute: sizes, steps, layers and LoRAs, by its configuration and headers.

Its weights are not read, and Jittor is not started. What is refused here would otherwise be refused
after minutes of compiling and reading.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from jstyleid_core import StyleIDSettings
from jstyleid_core.config import check_size, size_multiple
from jstyleid_core.diffusion.schedule import Schedule
from jstyleid_core.errors import CheckpointError, InputError
from jstyleid_core.styleid.layers import check_layers
from jstyleid_core.weights.checkpoint import Checkpoint, CheckpointSource, checkpoint_here
from jstyleid_dreambooth import LoRAWeights, read_lora
from jstyleid_dreambooth.lora.weights import Layout, Part, fit_layers
from jstyleid_dreambooth.training.settings import TrainingSettings
from jstyleid_runner.settings import RunSettings

_ADAPTED: tuple[Part, ...] = ("unet", "text_encoder")
_USUAL_MULTIPLE = 64
"""`size_multiple` of Stable Diffusion."""


@dataclass(frozen=True)
class Wanted:
    """What is asked of a checkpoint.

    Attributes:
        size: width and height of pictures in pixels.
        steps: numbers of DDIM steps, by the settings' names.
        styleid: settings of style transfer, if any.
        loras: LoRAs that it is to be used with.
    """

    size: tuple[int, int]
    steps: Mapping[str, int] = field(default_factory=dict)
    styleid: StyleIDSettings | None = None
    loras: Sequence[LoRAWeights] = ()

    def check(self, checkpoint: Checkpoint) -> None:
        """Check that a checkpoint can compute this.

        Raises:
            CheckpointError: its files cannot be used.
            InputError: it cannot; the message names the setting or the LoRA.
        """
        unet, vae = checkpoint.architecture.unet, checkpoint.architecture.vae
        check_size(self.size, unet, vae)
        schedule = Schedule.from_config(checkpoint.schedule_config)
        if self.styleid:
            schedule.stride(self.styleid.steps)
            if self.styleid.injection:
                check_layers(self.styleid.layers, unet)
        for name, count in self.steps.items():
            schedule.stride(count, name)
        if self.loras:
            layouts = adapted_layouts(checkpoint)
            for lora in self.loras:
                try:
                    fit_layers(lora, layouts)
                except CheckpointError as error:
                    raise InputError(str(error), fields=["lora"]) from error


def adapted_layouts(checkpoint: Checkpoint) -> dict[Part, Layout]:
    """Weight shapes of all layers, those that no LoRA can adapt among them."""
    return {part: {name.removesuffix(".weight"): tensor.shape
                   for name, tensor in checkpoint.tensors(part).items()
                   if name.endswith(".weight") and len(tensor.shape) > 1}
            for part in _ADAPTED}


def wanted_by_training(settings: TrainingSettings) -> Wanted:
    """What a training asks of a checkpoint."""
    prior = settings.prior
    return Wanted(settings.size, {"prior.steps": prior.steps} if prior else {})


def check_run(
    source: CheckpointSource, settings: RunSettings, loras: Iterable[Path] = ()
) -> None:
    """Check that the checkpoint of a run can compute with its settings, if it is on this machine.

    Args:
        source: the checkpoint.
        settings: settings of the run.
        loras: files of LoRAs that it is to be used with.

    Raises:
        CheckpointError: it is here and cannot be used.
        InputError: it cannot; the message names the setting or the LoRA.
    """
    checkpoint = checkpoint_here(source)
    if checkpoint is None:
        return
    Wanted(settings.size, {"content_steps": settings.content_steps}, settings.styleid,
           [read_lora(path) for path in dict.fromkeys(loras)]).check(checkpoint)
    if settings.training:
        wanted_by_training(settings.training).check(checkpoint)


def size_multiple_of(source: CheckpointSource) -> int:
    """The number whose multiples a checkpoint computes; that of Stable Diffusion if it is not here.

    Raises:
        CheckpointError: it is here and cannot be used.
    """
    checkpoint = checkpoint_here(source)
    if checkpoint is None:
        return _USUAL_MULTIPLE
    return size_multiple(checkpoint.architecture.unet, checkpoint.architecture.vae)
