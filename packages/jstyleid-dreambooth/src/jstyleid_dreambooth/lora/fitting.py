"""Whether a LoRA belongs to a network: every layer must be there, with the right shape."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from math import prod

from jstyleid_core.errors import CheckpointError
from jstyleid_dreambooth.lora.weights import Layout, LoRAWeights, LowRank, Part


def fit(weights: LoRAWeights, layouts: Mapping[Part, Layout]) -> LoRAWeights:
    """The same LoRA with A and B in the shapes of the network's layers.

    A linear layer and a 1x1 convolution are the same thing, and files write one for the other.

    Args:
        weights: as read from a file.
        layouts: the networks' layers.

    Raises:
        CheckpointError: it is for another architecture. The message names the first layer that is
            not there or whose shape differs, and how many there are.
    """
    problems = list(_problems(weights, layouts))
    if problems:
        raise CheckpointError(
            f"{weights.source} is for another architecture than this model:\n  {problems[0]}\n"
            f"{len(problems)} of its {len(weights)} layers do not fit. Use a LoRA that was trained "
            "on this version of Stable Diffusion, or load the model it was trained on."
        )
    return replace(weights, layers={
        part: {path: _shaped(layer, len(layouts[part][path])) for path, layer in layers.items()}
        for part, layers in weights.layers.items() if layers
    })


def _problems(weights: LoRAWeights, layouts: Mapping[Part, Layout]) -> Iterator[str]:
    for part, path, layer in weights.items():
        shape = layouts.get(part, {}).get(path)
        if shape is None:
            yield f"{part}.{path} does not exist in the model"
            continue
        kernel = layer.down.shape[2:] or (1, 1)
        found = (layer.up.shape[0], layer.down.shape[1], *kernel)
        if found != (*shape, 1, 1)[:4]:
            yield (f"{part}.{path}: A {list(layer.down.shape)} and B {list(layer.up.shape)} are "
                   f"for a weight {_weight_shape(layer)}, the model's is {list(shape)}")


def _weight_shape(layer: LowRank) -> list[int]:
    return [layer.up.shape[0], *layer.down.shape[1:]]


def _shaped(layer: LowRank, dimensions: int) -> LowRank:
    inputs = layer.down.shape[1]
    kernel = layer.down.shape[2:] or (1, 1)
    down, up = (layer.rank, inputs, *kernel), (layer.up.shape[0], layer.rank, 1, 1)
    assert dimensions == 4 or prod(kernel) == 1
    return replace(layer, down=layer.down.reshape(down[:dimensions]),
                   up=layer.up.reshape(up[:dimensions]))
