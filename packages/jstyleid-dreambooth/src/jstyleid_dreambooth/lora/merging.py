"""LoRAs added into the weights themselves, and taken out again without a trace."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from jstyleid_core.runtime.jittor import Var, jt, nn
from jstyleid_dreambooth.lora.adapter import Adapter

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
