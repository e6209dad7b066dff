"""What an optimizer is given, and how everything else is kept from moving."""

from __future__ import annotations

from collections.abc import Sequence

from jstyleid_core.runtime.jittor import Var, nn
from jstyleid_dreambooth.lora.adapter import Adapter


class Trainables:
    """The variables of the LoRA in training: every A, every B.

    Attributes:
        names: of the layers, `unet.….to_q`.
        down, up: A and B of each layer, in the LoRA's order.
    """

    def __init__(self, adapters: Sequence[Adapter]) -> None:
        self.names = [adapter.name for adapter in adapters]
        self.down: list[Var] = [adapter.down for adapter in adapters]
        self.up: list[Var] = [adapter.up for adapter in adapters]
        self._by_layer = {adapter.base: adapter for adapter in adapters}
        self._within: dict[tuple[nn.Module, ...], list[Adapter]] = {}

    @property
    def all(self) -> list[Var]:
        """A and B of each layer in turn, for an optimizer with one learning rate."""
        return [var for pair in zip(self.down, self.up, strict=True) for var in pair]

    def within(self, modules: Sequence[nn.Module]) -> list[Adapter]:
        """The adapters on layers inside these modules."""
        key = tuple(modules)
        if key not in self._within:
            layers = [layer for module in modules for layer in module.modules()]
            self._within[key] = [self._by_layer[layer] for layer in layers
                                 if layer in self._by_layer]
        return self._within[key]


def freeze_for_good(network: nn.Module) -> None:
    """Stop the gradients of all parameters, so that the network's `train()` restarts none."""
    network.eval()
    # What eval() noted for train() to bring back.
    network.backup_grad_state = dict.fromkeys(network.backup_grad_state, False)
