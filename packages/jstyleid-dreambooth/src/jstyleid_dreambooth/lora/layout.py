"""The layers of a network that a LoRA can change."""

from __future__ import annotations

from jstyleid_core.runtime.jittor import nn


def adaptable_layers(network: nn.Module) -> dict[str, nn.Module]:
    """Every Linear and ungrouped Conv of a network by its path, which is diffusers' name for it."""
    return {
        path: module for path, module in network.named_modules()
        if isinstance(module, nn.Linear)
        or (isinstance(module, nn.Conv) and module.groups == 1)
    }
