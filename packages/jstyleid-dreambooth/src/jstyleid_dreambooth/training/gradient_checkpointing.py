"""Gradient checkpointing (Chen et al., arXiv 1604.06174): blocks are computed twice, not kept.

Between the passes only the inputs of each block of the UNet are held. On the way back a block is
computed again with its inside, its gradients are taken and executed at once, and the inside is
dropped before the next block: Jittor is lazy, and would otherwise hold all insides together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from jstyleid_core.runtime.jittor import Var, jt, nn
from jstyleid_dreambooth.lora.layers import Adapter, Trainables

Block = Callable[..., Var]


class GradientCheckpointing:
    """The `BlockRunner` of gradient checkpointing, for `Networks.set_block_runner`.

    Args:
        trainables: the LoRA in training; gradients reach nothing else inside a block.
    """

    def __init__(self, trainables: Trainables) -> None:
        self._trainables = trainables

    def __call__(self, block: Block, layers: Sequence[nn.Module], *inputs: Var) -> Var:
        adapters = self._trainables.within(layers)
        needed = [not x.is_stop_grad() for x in inputs]
        if not adapters and not any(needed):
            return block(*inputs)
        weights = [var for adapter in adapters for var in (adapter.down, adapter.up)]
        return _Recomputed(block, adapters, needed)(*inputs, *weights)


class _Recomputed(jt.Function):  # type: ignore[misc, name-defined, unused-ignore]
    """A block whose backward pass begins with another forward pass.

    The LoRA's variables are inputs too, so that Jittor asks for their gradients.
    """

    def __init__(self, block: Block, adapters: Sequence[Adapter], needed: Sequence[bool]) -> None:
        self.block, self.adapters, self.needed = block, adapters, needed

    def execute(self, *inputs: Var) -> Var:
        self.inputs = [x.detach() for x in inputs[: len(self.needed)]]
        with jt.no_grad():
            out = self.block(*self.inputs)
        # What is made without gradients would never be asked for one.
        return out.start_grad()

    def grad(self, grad: Var) -> tuple[Var | None, ...]:
        # Detached: it hangs on the forward pass of the blocks above, which is not to be entered.
        grad = grad.detach().stop_grad()
        grad.sync()
        inputs = [x.detach() for x in self.inputs]
        for x, needed in zip(inputs, self.needed, strict=True):
            if needed:
                x.start_grad()
            else:
                x.stop_grad()
        for adapter in self.adapters:
            adapter.repeat_dropout()
        out = self.block(*inputs)
        wanted = [x for x, needed in zip(inputs, self.needed, strict=True) if needed]
        wanted += [var for adapter in self.adapters for var in (adapter.down, adapter.up)]
        found = jt.grad((out * grad).sum(), wanted)
        for var in found:
            var.stop_grad()
        jt.sync(found)
        results = iter(found)
        return (*(next(results) if needed else None for needed in self.needed), *results)
