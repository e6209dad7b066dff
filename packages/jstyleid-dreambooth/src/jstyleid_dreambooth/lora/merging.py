"""One LoRA that acts as several together, each with its weight.

The sum of updates of low rank is B A of their matrices side by side:

    sum_i w_i s_i B_i A_i = [w_1 s_1 B_1, w_2 s_2 B_2, ...] [A_1; A_2; ...]

so the merged rank is the sum of the ranks, and nothing is lost but float32's rounding of B. A
smaller rank keeps the largest singular values, the nearest update of that rank (Eckart-Young).

Importing this module starts no Jittor.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from jstyleid_core.errors import CheckpointError
from jstyleid_dreambooth.lora.weights import LoRAWeights, LowRank, Part, Shape, without_ones


def merge_loras(
    loras: Sequence[tuple[LoRAWeights, float]], rank: int | None = None
) -> tuple[LoRAWeights, float]:
    """Merge LoRAs, each with its weight.

    Args:
        loras: LoRAs and their weights.
        rank: largest rank of a layer, at least 1; None for the sum of the ranks. A layer never has
            a rank above its smaller side, which is enough for every update.

    Returns:
        The LoRA, with alpha equal to the rank; and the relative error of its updates that comes
        from `rank`: the Frobenius norm of what was left out, over that of the whole, all layers
        together.

    Raises:
        CheckpointError: the LoRAs are for layers of other shapes, or a sum is not finite.
    """
    found: dict[Part, dict[str, list[tuple[LoRAWeights, LowRank, float]]]] = {}
    for lora, weight in loras:
        for part, path, layer in lora.items():
            found.setdefault(part, {}).setdefault(path, []).append((lora, layer, weight))
    merged: dict[Part, dict[str, LowRank]] = {}
    lost = whole = 0.0
    for part, layers in found.items():
        for path, terms in layers.items():
            layer = _side_by_side(f"{part}.{path}", terms)
            most = min(layer.up.shape[0], layer.down[0].size, rank or layer.rank)
            if rank or layer.rank > most:
                core = _core(layer)
                squares = core[1] ** 2
                if rank:
                    whole += float(squares.sum())
                    lost += float(squares[most:].sum())
                if layer.rank > most:
                    layer = _of_rank(layer, core, most)
            merged.setdefault(part, {})[path] = layer
    return LoRAWeights(merged), sqrt(lost / whole) if lost else 0.0


def _side_by_side(name: str, terms: Sequence[tuple[LoRAWeights, LowRank, float]]) -> LowRank:
    """The sum of updates of one layer, in the shape of a convolution where one of them has it."""
    first, shape = terms[0][0], _shape(terms[0][1])
    for lora, layer, _ in terms:
        other = _shape(layer)
        if without_ones(other) != without_ones(shape):
            raise CheckpointError(
                f"{first.source} and {lora.source} do not go together: {name} is for a weight "
                f"{list(shape)} in the one and {list(other)} in the other. Merge LoRAs for one "
                "version of Stable Diffusion."
            )
        shape = max(shape, other, key=len)
    ones = (1,) * (len(shape) - 2)
    with np.errstate(over="ignore"):
        down = np.concatenate([layer.down.reshape(-1, *shape[1:]) for _, layer, _ in terms])
        up = np.concatenate(
            [layer.up.reshape(shape[0], -1, *ones) * np.float32(weight * layer.scale)
             for _, layer, weight in terms], axis=1)
    if not np.isfinite(up).all():
        raise CheckpointError(f"{name}: the sum is beyond float32. Give smaller weights.")
    return LowRank(down, up, float(down.shape[0]))


def _shape(layer: LowRank) -> Shape:
    """The shape of the weight that the layer is for."""
    return layer.up.shape[0], *layer.down.shape[1:]


_Matrix = NDArray[np.float64]


_Core = tuple[_Matrix, _Matrix, _Matrix]


def _core(layer: LowRank) -> _Core:
    """Singular value decomposition of the update, without ever forming it: U, values, V^T."""
    left, upper = np.linalg.qr(layer.up.reshape(layer.up.shape[0], -1).astype(np.float64))
    right, lower = np.linalg.qr(layer.down.reshape(layer.rank, -1).astype(np.float64).T)
    u, values, v = np.linalg.svd(upper @ lower.T * layer.scale, full_matrices=False)
    return left @ u, values, v @ right.T


def _of_rank(layer: LowRank, core: _Core, rank: int) -> LowRank:
    """The nearest update of a smaller rank, its singular values shared by A and B."""
    u, values, v = core
    root = np.sqrt(values[:rank])
    down = (root[:, None] * v[:rank]).reshape(rank, *layer.down.shape[1:])
    up = (u[:, :rank] * root).reshape(-1, rank, *layer.up.shape[2:])
    return LowRank(down.astype(np.float32), up.astype(np.float32), float(rank))
