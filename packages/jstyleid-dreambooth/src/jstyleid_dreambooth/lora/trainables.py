"""What an optimizer is given, and how everything else is kept from moving."""

from __future__ import annotations

from dataclasses import dataclass

from jstyleid_core.backend import Var, nn


@dataclass(frozen=True)
class Trainables:
    """The variables of the LoRA in training: every A, every B."""

    down: list[Var]
    up: list[Var]

    @property
    def all(self) -> list[Var]:
        """A and B of each layer in turn, for an optimizer with one learning rate."""
        return [var for pair in zip(self.down, self.up, strict=True) for var in pair]


def freeze_for_good(network: nn.Module) -> None:
    """Stop the gradients of all parameters, so that the network's `train()` restarts none."""
    network.eval()
    # What eval() noted for train() to bring back.
    network.backup_grad_state = dict.fromkeys(network.backup_grad_state, False)
