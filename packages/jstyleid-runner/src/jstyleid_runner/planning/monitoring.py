"""What trainings show and keep on their way: figures, validation pictures and checkpoints.

Nothing of it changes a LoRA, so it is in no recipe.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from jstyleid_dreambooth.prompts import fill
from jstyleid_dreambooth.training.job import TrainingJob, Validation

_LONGEST = 40
"""Letters of a prompt in the name of its picture."""

Prompts = Mapping[str, Sequence[tuple[str, str]]]
"""The name and the text of each prompt, by style."""


@dataclass(frozen=True)
class Monitoring:
    """Checkpoints and validation pictures of all trainings of a command.

    Attributes:
        checkpoint_every: steps between two checkpoints.
        keep_checkpoints: number of checkpoints that are kept.
        validate_every: steps between two sets of validation pictures; None draws none.
        prompts: what they show, with `{style}` for the name of the style; empty for the first
            prompts of each style.
        first: number of these first prompts.
        wandb: project of Weights & Biases, if any.
    """

    checkpoint_every: int = 100
    keep_checkpoints: int = 2
    validate_every: int | None = None
    prompts: tuple[str, ...] = ()
    first: int = 3
    wandb: str | None = None

    def of(self, job: TrainingJob, usual: Prompts) -> TrainingJob:
        """A training that is monitored.

        Args:
            job: the training.
            usual: prompts of each style, in order.
        """
        shown = None
        if self.validate_every:
            prompts = self._prompts(job) or tuple(
                (self._name(job, style, name), text)
                for style in usual for name, text in usual[style][: self.first])
            shown = Validation(self.validate_every, prompts)
        return replace(job, checkpoint_every=self.checkpoint_every,
                       keep_checkpoints=self.keep_checkpoints, validation=shown, wandb=self.wandb)

    def _prompts(self, job: TrainingJob) -> tuple[tuple[str, str], ...]:
        """The name and the text of each picture; a pack shows `{style}` once for each style."""
        found = dict.fromkeys(
            (number, fill(prompt, style=style.style))
            for number, prompt in enumerate(self.prompts, 1) for style in job.styles)
        return tuple((f"{number}-{_readable(text)}".rstrip("-"), text) for number, text in found)

    def _name(self, job: TrainingJob, style: str, name: str) -> str:
        return name if len(job.styles) == 1 else f"{style}-{name}"


USUAL = Monitoring()
"""Checkpoints and no pictures."""


def _readable(text: str) -> str:
    """The letters of a text that can be in the name of a file."""
    return re.sub(r"\W+", "-", text)[:_LONGEST].strip("-")
