"""What a checkpoint can compute: sizes, steps and layers, by its configuration files alone.

Its weights are not read, and Jittor is not started. What is refused here would otherwise be refused
after minutes of compiling and reading.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from jstyleid_core import StyleIDSettings
from jstyleid_core.config import check_size, size_multiple
from jstyleid_core.diffusion.schedule import Schedule
from jstyleid_core.styleid.layers import check_layers
from jstyleid_core.weights.checkpoint import Checkpoint, CheckpointSource, checkpoint_here
from jstyleid_dreambooth.training.settings import TrainingSettings
from jstyleid_runner.settings import RunSettings

_USUAL_MULTIPLE = 64
"""`size_multiple` of Stable Diffusion."""


@dataclass(frozen=True)
class Wanted:
    """What is asked of a checkpoint.

    Attributes:
        size: width and height of pictures in pixels.
        steps: numbers of DDIM steps, by the settings' names.
        styleid: settings of style transfer, if any.
    """

    size: tuple[int, int]
    steps: Mapping[str, int] = field(default_factory=dict)
    styleid: StyleIDSettings | None = None

    def check(self, checkpoint: Checkpoint) -> None:
        """Check that a checkpoint can compute this.

        Raises:
            CheckpointError: its configuration cannot be used.
            InputError: it cannot; the message names the setting.
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


def wanted_by_training(settings: TrainingSettings) -> Wanted:
    """What a training asks of a checkpoint."""
    prior = settings.prior
    return Wanted(settings.size, {"prior.steps": prior.steps} if prior else {})


def check_run(source: CheckpointSource, settings: RunSettings) -> None:
    """Check that the checkpoint of a run can compute with its settings, if it is on this machine.

    Raises:
        CheckpointError: it is here and cannot be used.
        InputError: it cannot; the message names the setting.
    """
    checkpoint = checkpoint_here(source)
    if checkpoint is None:
        return
    Wanted(settings.size, {"content_steps": settings.content_steps}, settings.styleid).check(
        checkpoint)
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
