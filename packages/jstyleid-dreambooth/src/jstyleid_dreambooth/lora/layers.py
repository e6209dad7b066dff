"""Adapted layers: a LoRA's A and B as Jittor variables, applied, merged or trained."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jstyleid_core import kernels
from jstyleid_core.runtime.jittor import Var, jt, nn
from jstyleid_dreambooth.lora.weights import LowRank, as_float32


class Adapter:
    """One layer's update: scale * B A x (Hu et al., equation 3), always in float32.

    It is no module and no part of the network, so what looks at the network's parameters (weight
    loading, `train`, `eval`, `float16`) does not see it.

    Attributes:
        down, up: A and B, in the shapes of `LowRank`.
        scale: alpha / rank.
    """

    def __init__(self, name: str, layer: LowRank, base: nn.Module, dropout: float) -> None:
        self.name, self.base, self.alpha, self.scale = name, base, layer.alpha, layer.scale
        self.down, self.up = jt.array(layer.down), jt.array(layer.up)
        self.dropout = dropout
        self._seeds: tuple[int, ...] = ()
        self._generator: np.random.Generator | None = None
        self.freeze()

    def freeze(self) -> None:
        """No gradients, no dropout."""
        self._generator = None
        for var in (self.down, self.up):
            var.stop_grad()

    def train(self) -> None:
        """Gradients and dropout on; the dropout starts as with seed 0."""
        for var in (self.down, self.up):
            var.start_grad()
        self.restart_dropout((0,))

    def restart_dropout(self, seeds: Sequence[int]) -> None:
        """Draw the coming dropout masks from these seeds and the layer's name."""
        self._seeds = tuple(seeds)
        self._generator = np.random.default_rng([*seeds, zlib.crc32(self.name.encode())])

    def repeat_dropout(self) -> None:
        """Draw the masks since the last restart again."""
        if self._generator is not None:
            self.restart_dropout(self._seeds)

    def update(self, x: Var, weight: float) -> Var:
        """What is added to the layer's output: weight * scale * B A x.

        Args:
            x: (..., in) for a linear layer, (B, in, H, W) for a convolution; any float type.
            weight: of this LoRA in the mix.

        Returns:
            Float32, of the shape of the layer's output.
        """
        x = self._dropped(x if x.dtype == "float32" else x.float32())
        base = self.base
        # The factor goes where the numbers are fewest.
        factor = weight * self.scale
        if isinstance(base, nn.Linear):
            return kernels.linear(kernels.linear(x, self.down) * factor, self.up)
        inner = kernels.conv2d(x, self.down, None, base.stride, base.padding, base.dilation)
        return kernels.conv2d(inner * factor, self.up)

    def _dropped(self, x: Var) -> Var:
        if self._generator is None or self.dropout == 0:
            return x
        # Drawn by numpy: Jittor draws when a variable executes, in an order of its own.
        kept = self._generator.random(tuple(x.shape), dtype=np.float32) >= self.dropout
        return x * jt.array(kept.astype(np.float32) / np.float32(1 - self.dropout))

    def weight_update(self) -> Var:
        """Scale * B A in the shape of the layer's weight, float32."""
        rank = self.up.shape[1]
        up, down = self.up.reshape(-1, rank) * self.scale, self.down.reshape(rank, -1)
        product = kernels.linear(up, kernels.swap(down.unsqueeze(0)).squeeze(0))
        return product.reshape(self.base.weight.shape)

    def values(self) -> LowRank:
        """A and B as they are now."""
        return LowRank(as_float32(self.down.numpy()), as_float32(self.up.numpy()), self.alpha)


class AdaptedExecute:
    """What a layer does instead of its own `execute` while LoRAs are active on it.

    That is y = W x + sum over the LoRAs of weight * scale * B A x, rounded once to x's type.
    """

    def __init__(self, base: nn.Module, terms: Sequence[tuple[Adapter, float]]) -> None:
        self.base, self.terms = base, terms

    def __call__(self, x: Var) -> Any:
        y = type(self.base).execute(self.base, x)
        total = y if y.dtype == "float32" else y.float32()
        for adapter, weight in self.terms:
            total = total + adapter.update(x, weight)
        return total if y.dtype == "float32" else total.cast(y.dtype)

Terms = Mapping[nn.Module, Sequence[tuple[Adapter, float]]]
"""What acts on each layer: adapters and their weights in the mix."""


class Merge:
    """W + sum of weight * scale * B A in place of W, until `undo`.

    The original variables are kept, not recomputed by subtraction, so undoing is exact; a merged
    layer therefore takes twice the memory.
    """

    def __init__(self, terms: Terms) -> None:
        self._originals: dict[nn.Module, Var] = {}
        with jt.no_grad():
            for layer, adapters in terms.items():
                original = layer.weight
                merged = original.float32()
                for adapter, weight in adapters:
                    merged = merged + adapter.weight_update() * weight
                merged = merged.cast(original.dtype)
                merged.sync()  # one layer in flight at a time
                self._originals[layer] = original
                layer.weight = merged.stop_grad()

    def undo(self) -> None:
        """Put every layer's own weight back."""
        for layer, original in self._originals.items():
            layer.weight = original
        self._originals.clear()


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


def adaptable_layers(network: nn.Module) -> dict[str, nn.Module]:
    """Every Linear and ungrouped Conv of a network by its path, which is diffusers' name for it."""
    return {
        path: module for path, module in network.named_modules()
        if isinstance(module, nn.Linear)
        or (isinstance(module, nn.Conv) and module.groups == 1)
    }
