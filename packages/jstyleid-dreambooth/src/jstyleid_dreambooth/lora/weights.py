"""The weights of a LoRA as numpy arrays, and the check that they fit a network.

Importing this module starts no Jittor.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from jstyleid_core.errors import CheckpointError

Part = Literal["unet", "text_encoder"]
"""The networks a LoRA may change, by the names diffusers' files give them."""

Shape = tuple[int, ...]
Layout = Mapping[str, Shape]
"""Weight shapes of a network's Linear (out, in) and Conv (out, in, kh, kw) layers, by path."""

_CONTEXT_LAYERS = ("attn2.to_k", "attn2.to_v")
_VERSIONS = {768: "Stable Diffusion 1", 1024: "Stable Diffusion 2"}


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
        """Factor of the product of B and A, alpha / rank."""
        return self.alpha / self.rank


@dataclass(frozen=True)
class LoRAWeights:
    """All layers of one LoRA.

    Attributes:
        layers: by part, then by module path in diffusers' names, such as
            `down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_out.0` or
            `text_model.encoder.layers.0.self_attn.q_proj`.
        about: metadata of the file (`base_model`, `prompt`, `steps`, …).
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
    """A contiguous float32 copy, independent of any mapped file; numbers beyond are infinite."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.array(values, dtype=np.float32, order="C")


def fit_layers(weights: LoRAWeights, layouts: Mapping[Part, Layout]) -> LoRAWeights:
    """The same LoRA with A and B in the shapes of the network's layers.

    A linear layer and a 1x1 convolution are the same thing, and files write one for the other; some
    write A of any convolution as a matrix (rank, in * kh * kw).

    Args:
        weights: weights from a file.
        layouts: the networks' layers.

    Raises:
        CheckpointError: it is for another architecture. The message names the first layer that is
            not there or whose shape differs, how many there are, and the versions of Stable
            Diffusion, where cross attention tells them.
    """
    problems = list(_problems(weights, layouts))
    if problems:
        raise CheckpointError(
            f"{weights.source} is for another architecture than this model:\n  {problems[0]}\n"
            f"{len(problems)} of its {len(weights)} layers do not fit. "
            f"{_versions(weights, layouts)}Use a LoRA that was trained on this version of Stable "
            "Diffusion, or load the model it was trained on."
        )
    return replace(weights, layers={
        part: {path: _shaped(layer, layouts[part][path]) for path, layer in layers.items()}
        for part, layers in weights.layers.items() if layers
    })


def _problems(weights: LoRAWeights, layouts: Mapping[Part, Layout]) -> Iterator[str]:
    for part, path, layer in weights.items():
        shape = layouts.get(part, {}).get(path)
        if shape is None:
            yield f"{part}.{path} does not exist in the model"
            continue
        inner = layer.down.shape[1:]
        as_matrix = layer.down.ndim == 2 and inner == (prod(shape[1:]),)
        same = as_matrix or without_ones(inner) == without_ones(shape[1:])
        if layer.up.shape[0] != shape[0] or not same:
            yield (f"{part}.{path}: A {list(layer.down.shape)} and B {list(layer.up.shape)} are "
                   f"for a weight {[layer.up.shape[0], *inner]}, the model's is {list(shape)}")


def without_ones(shape: Shape) -> Shape:
    """A shape without the ones at its end, which a 1x1 kernel has and a linear layer has not."""
    return without_ones(shape[:-1]) if shape[-1:] == (1,) else shape


def _versions(weights: LoRAWeights, layouts: Mapping[Part, Layout]) -> str:
    """The versions that a LoRA and the model are of, as far as they differ in their context."""
    read = _context_widths(weights)
    there = {shape[1] for path, shape in layouts.get("unet", {}).items()
             if path.endswith(_CONTEXT_LAYERS)}
    if len(read) != 1 or len(there) != 1 or read == there:
        return ""
    lora, model = (f"{width} numbers of a prompt" + (
        f", as in {_VERSIONS[width]}" if width in _VERSIONS else "") for width in (*read, *there))
    return f"Its cross attention reads {lora}; the model's reads {model}. "


def _context_widths(weights: LoRAWeights) -> set[int]:
    return {layer.down.shape[1] for path, layer in weights.layers.get("unet", {}).items()
            if path.endswith(_CONTEXT_LAYERS)}


def version_of(weights: LoRAWeights) -> str | None:
    """The version of Stable Diffusion that a LoRA is for; None where cross attention is silent."""
    widths = _context_widths(weights)
    return _VERSIONS.get(widths.pop()) if len(widths) == 1 else None


def _shaped(layer: LowRank, shape: Shape) -> LowRank:
    ones = (1,) * (len(shape) - 2)
    return replace(layer, down=layer.down.reshape(layer.rank, *shape[1:]),
                   up=layer.up.reshape(shape[0], layer.rank, *ones))
