"""A LoRA as numbers: what files hold and what a network is given. No Jittor here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Part = Literal["unet", "text_encoder"]
"""The networks a LoRA may change, by the names diffusers' files give them."""

Shape = tuple[int, ...]
Layout = Mapping[str, Shape]
"""Weight shapes of a network's Linear (out, in) and Conv (out, in, kh, kw) layers, by path."""


@dataclass(frozen=True)
class LowRank:
    """The update of one layer: alpha / rank * up @ down (Hu et al., section 4.1, delta W = B A).

    Attributes:
        down: A, float32 (rank, in), or (rank, in, kh, kw) for a convolution.
        up: B, float32 (out, rank), or (out, rank, 1, 1) for a convolution.
        alpha: numerator of the update's scale.
    """

    down: NDArray[np.float32]
    up: NDArray[np.float32]
    alpha: float

    @property
    def rank(self) -> int:
        """Rows of A, columns of B."""
        return self.down.shape[0]

    @property
    def scale(self) -> float:
        """What the product of B and A is multiplied by, alpha / rank."""
        return self.alpha / self.rank


@dataclass(frozen=True)
class LoRAWeights:
    """All layers of one LoRA.

    Attributes:
        layers: by part, then by module path in diffusers' names, such as
            `down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_out.0` or
            `text_model.encoder.layers.0.self_attn.q_proj`.
        about: what the file says about its making (`base_model`, `prompt`, `steps`, …).
        source: the file, for messages.
    """

    layers: Mapping[Part, Mapping[str, LowRank]]
    about: Mapping[str, str] = field(default_factory=dict)
    source: str = "this LoRA"

    def __len__(self) -> int:
        return sum(len(layers) for layers in self.layers.values())

    def items(self) -> Iterator[tuple[Part, str, LowRank]]:
        """(part, path, layer) of every layer, in order."""
        for part, layers in self.layers.items():
            for path, layer in layers.items():
                yield part, path, layer

    def ranks(self) -> list[int]:
        """The ranks that occur, in rising order."""
        return sorted({layer.rank for _, _, layer in self.items()})


def as_float32(values: NDArray[Any]) -> NDArray[np.float32]:
    """A contiguous float32 copy in memory of its own, whatever file the values lay in."""
    return np.array(values, dtype=np.float32, order="C")
