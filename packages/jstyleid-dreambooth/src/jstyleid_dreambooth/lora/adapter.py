"""A LoRA's A and B as Jittor variables, and what a layer computes with them."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np

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
            return nn.linear(nn.linear(x, self.down) * factor, self.up)
        inner = nn.conv2d(x, self.down, None, base.stride, base.padding, base.dilation)
        return nn.conv2d(inner * factor, self.up)

    def _dropped(self, x: Var) -> Var:
        if self._generator is None or self.dropout == 0:
            return x
        # Drawn by numpy: Jittor draws when a variable executes, in an order of its own.
        kept = self._generator.random(tuple(x.shape), dtype=np.float32) >= self.dropout
        return x * jt.array(kept.astype(np.float32) / np.float32(1 - self.dropout))

    def weight_update(self) -> Var:
        """Scale * B A in the shape of the layer's weight, float32."""
        rank = self.up.shape[1]
        product = nn.matmul(self.up.reshape(-1, rank) * self.scale, self.down.reshape(rank, -1))
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
