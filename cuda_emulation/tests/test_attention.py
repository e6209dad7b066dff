"""The attention of this project's kernels, run by the emulator, against float64."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from emulated import Program, numbers

Array = NDArray[np.float64]
BATCH, QUERIES, KEYS, HEADS, SCALE = 2, 37, 45, 2, 0.125


@pytest.fixture(scope="module", params=[{}, {"FAKE_CUDA_SHUFFLE": "3"}])
def result(request: pytest.FixtureRequest, program: Program) -> dict[str, list[float]]:
    """With the threads in order, and with them shuffled."""
    return numbers(program("attention", **request.param))


def values(tokens: int, size: int, seed: int, half: bool) -> Array:
    """(batch, heads, tokens, size)"""
    count = BATCH * tokens * HEADS * size
    flat = np.array([((i * 37 + seed * 11) % 53 - 26) / 16 for i in range(count)])
    rounded = flat.astype(np.float16).astype(np.float64) if half else flat
    return rounded.reshape(BATCH, tokens, HEADS, size).transpose(0, 2, 1, 3)


@pytest.mark.parametrize(("name", "size", "limit"), [("half", 40, 1e-3), ("float", 64, 1e-5)])
def test_attention_and_its_gradients(
    result: dict[str, list[float]], name: str, size: int, limit: float
) -> None:
    half = name == "half"
    q, g = values(QUERIES, size, 1, half), values(QUERIES, size, 4, half)
    k, v = values(KEYS, size, 2, half), values(KEYS, size, 3, half)
    scores = q @ k.transpose(0, 1, 3, 2) * SCALE
    p = np.exp(scores - scores.max(-1, keepdims=True))
    p /= p.sum(-1, keepdims=True)
    dp = g @ v.transpose(0, 1, 3, 2)
    ds = p * (dp - (dp * p).sum(-1, keepdims=True)) * SCALE
    wanted = {"out": p @ v, "dq": ds @ k, "dk": ds.transpose(0, 1, 3, 2) @ q,
              "dv": p.transpose(0, 1, 3, 2) @ g}
    for part, exact in wanted.items():
        flat = exact.transpose(0, 2, 1, 3).ravel()
        found = np.array(result[f"{name}_{part}"])
        error = np.linalg.norm(found - flat) / np.linalg.norm(flat)
        assert error <= (limit if part == "out" else 2 * limit), part
