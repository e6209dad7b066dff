"""The layers of a network that a LoRA can change."""

from __future__ import annotations

from jstyleid_core.backend import nn
from jstyleid_dreambooth.lora.weights import Shape


def adaptable_layers(network: nn.Module) -> dict[str, nn.Module]:
    """Every Linear and ungrouped Conv of a network by its path, which is diffusers' name for it."""
    return {
        path: module for path, module in network.named_modules()
        if isinstance(module, nn.Linear)
        or (isinstance(module, nn.Conv) and module.groups == 1)
    }


def layout(network: nn.Module) -> dict[str, Shape]:
    """Weight shapes of `adaptable_layers`, by path; no weight is computed or read."""
    return {path: tuple(module.weight.shape)
            for path, module in adaptable_layers(network).items()}
