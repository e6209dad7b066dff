"""JDiffusion's layers with what they do silently wrong put right, in place.

A layer keeps its weights, its name and its place in the network; it only changes its class.
"""

from __future__ import annotations

from typing import Any

from jstyleid_core import kernels
from jstyleid_core.model.layers import Conv2d, Linear
from jstyleid_core.runtime.jittor import Var, nn


class _CallsExecute(nn.Module):
    """A layer that computes `execute`, on itself or replaced, and nothing else.

    JDiffusion's layers answer calls past `execute`, by their `forward`, so that a LoRA attached as
    everywhere in Jittor would be ignored without a word. Callers hand over the scale of
    JDiffusion's own LoRAs, which are not used here, along with the input.
    """

    def __call__(self, x: Var, scale: float = 1.0) -> Var:
        return self.execute(x)


class _Linear(_CallsExecute, Linear):
    pass


class _Conv2d(_CallsExecute, Conv2d):
    pass


class _GroupNorm(_CallsExecute, nn.GroupNorm):
    """Group normalisation that does not lose the digits E[x^2] - E[x]^2 loses."""

    def execute(self, x: Var) -> Var:
        return kernels.group_norm(x, self.weight, self.bias, self.num_groups, self.eps)


class _LayerNorm(_CallsExecute, nn.LayerNorm):
    """Layer normalisation of the last axis, likewise."""

    def execute(self, x: Var) -> Var:
        return kernels.layer_norm(x, self.weight, self.bias, self.eps)


_RIGHT: tuple[tuple[Any, Any], ...] = (
    (nn.Linear, _Linear), (nn.Conv, _Conv2d), (nn.GroupNorm, _GroupNorm),
    (nn.LayerNorm, _LayerNorm),
)


def put_right(network: nn.Module) -> None:
    """Give each linear, convolution and normalisation layer of a network the class for it."""
    for module in network.modules():
        for kind, right in _RIGHT:
            if isinstance(module, kind):
                module.__class__ = right
