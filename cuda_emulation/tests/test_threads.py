"""Threads, barriers, warps and tensor cores: programs whose results are known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from emulated import Program, numbers

ORDERS: tuple[dict[str, str], ...] = ({}, {"FAKE_CUDA_SHUFFLE": "1"}, {"FAKE_CUDA_SHUFFLE": "2"})


@pytest.mark.parametrize("order", ORDERS)
def test_barriers_shared_memory_and_atomics(program: Program, order: dict[str, str]) -> None:
    result = numbers(program("threads", **order))
    assert result["indices"] == [1 + 10 * x + 100 * y + 1000 * z for _ in range(12)
                                 for z in range(2) for y in range(3) for x in range(4)]
    assert result["sums"] == [sum(range(256 * i, 256 * i + 256)) for i in range(3)]
    assert result["turned"] == list(range(99, -1, -1))
    assert result["early_end"] == [40]
    assert math.isnan(result["unwritten"][0])
    assert result["atomics_int"] == result["atomics_long"] == [3200, 3199, 5]
    assert result["swapped"] == [6400]
    assert result["scaled"] == [6, 10]


@pytest.mark.parametrize("order", ORDERS)
def test_shuffles(program: Program, order: dict[str, str]) -> None:
    result = numbers(program("warps", **order))
    rows = np.array(result["shuffles"]).reshape(7, 2, 32)
    lane = np.arange(32)
    expected = [(lane ^ 5) * 10, lane * 0 + 70, np.where(lane + 3 < 32, lane + 3, lane) * 10,
                np.where(lane >= 3, lane - 3, lane) * 10, (lane // 8 * 8 + 1) * 10,
                lane * 0 + sum(1 << i for i in range(0, 32, 3)),
                lane * 0 + 2]
    for row, wanted in zip(rows, expected, strict=True):
        assert row[0].tolist() == row[1].tolist() == wanted.tolist()
    assert result["sum_of_a_warp"] == [496] * 32
    ring = [(lane + 3) % 16 + 3 for lane in range(16)]
    assert result["halves_of_a_warp"] == [*ring, *[16] * 16, 1]


def test_an_asynchronous_copy_is_there_when_it_is_waited_for_and_not_before(
    program: Program,
) -> None:
    result = numbers(program("warps"))
    first = list(range(127, -1, -1))
    second = [128.0 + i if i % 4 < 2 else 0 for i in range(128)]  # 8 of 16 bytes are zeros
    assert all(math.isnan(x) for x in result["waited_0"])
    assert result["waited_1"][:128] == first
    assert all(math.isnan(x) for x in result["waited_1"][128:])
    assert result["waited_2"] == first + second


def matrix(rows: int, columns: int, seed: int) -> NDArray[np.float64]:
    values = [((i * 7 + seed) % 23 - 11) / 8 for i in range(rows * columns)]
    return np.array(values).reshape(rows, columns)


def test_tensor_cores(program: Program) -> None:
    result = numbers(program("tensor_cores"))
    a, b = matrix(16, 16, 1), matrix(16, 8, 2)
    for name in ("tables", "tables_bfloat16", "ldmatrix"):
        assert np.array_equal(np.array(result[name]).reshape(16, 8), a @ b + 0.5), name
    twice = 2 * a @ matrix(16, 16, 3).T
    for warp in np.array(result["wmma"]).reshape(2, 16, 16):
        assert np.array_equal(warp, twice)


def test_halves_are_rounded_after_every_operation(program: Program) -> None:
    result = numbers(program("halves"))
    x, y = (np.array(result[name]).astype(np.float16) for name in "xy")
    got = np.array(result["half"]).reshape(6, 64)
    exact = x.astype(np.float64) * y.astype(np.float64) + x.astype(np.float64)
    wanted = [x + y, x * y, x / y, x - y, exact.astype(np.float16)]
    for row, values in zip(got, wanted, strict=False):
        assert np.array_equal(row.astype(np.uint16), values.astype(np.float16).view(np.uint16))
    assert np.array_equal(got[5], x < y)


def to_bfloat16(x: NDArray[np.float32]) -> NDArray[np.float32]:
    bits = x.astype(np.float32).view(np.uint32).astype(np.int64)
    rounded = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16 << 16
    return rounded.astype(np.uint32).view(np.float32)


def test_bfloat16(program: Program) -> None:
    result = numbers(program("halves"))
    x, y = (to_bfloat16(np.array(result[name], np.float32)) for name in "xy")
    got = np.array(result["bfloat16"]).reshape(6, 64)
    for row, values in zip(got, [x + y, x * y, x / y, x - y], strict=False):
        wanted = to_bfloat16(values).view(np.uint32) >> 16
        assert np.array_equal(row.astype(np.uint32), wanted)


def test_pairs_of_halves(program: Program) -> None:
    result = numbers(program("halves"))
    first = np.array(result["x"][:2], np.float32)
    half, bfloat = first.astype(np.float16), to_bfloat16(first)
    plus = half + np.float16(1)
    fused = half.astype(np.float64) * plus.astype(np.float64) + plus.astype(np.float64)
    assert result["pairs"][:2] == fused.astype(np.float16).tolist()
    assert result["pairs"][2:4] == to_bfloat16(bfloat * bfloat).tolist()
    assert result["pairs"][4:6] == half.tolist()
    assert result["pairs"][6] == float(np.exp(half[0].astype(np.float32)).astype(np.float16))
    assert result["pairs"][7] == 4


def test_not_a_number_and_infinite(program: Program) -> None:
    assert numbers(program("halves"))["kinds"] == [4, 1, 2, 2, 4]


def test_another_order_of_threads_is_another_order(program: Program) -> None:
    orders = [numbers(program("order", OMP_NUM_THREADS="1", **order))["order"] for order in ORDERS]
    assert orders[0] == list(range(4 * 96))
    assert [sorted(order) for order in orders] == [orders[0]] * 3
    assert orders[0] != orders[1] != orders[2]
    again = numbers(program("order", OMP_NUM_THREADS="1", **ORDERS[1]))["order"]
    assert again == orders[1]
