"""cuBLAS, cuDNN and cuRAND against numpy."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from emulated import Program, numbers

Array = NDArray[np.float64]


@pytest.fixture(scope="module")
def result(program: Program) -> dict[str, list[float]]:
    return numbers(program("libraries"))


def values(count: int, seed: int) -> Array:
    return np.array([((i * 13 + seed) % 31 - 15) / 8 for i in range(count)])


def by_columns(flat: Array | list[float], rows: int, columns: int) -> Array:
    """A matrix as BLAS stores one."""
    return np.array(flat).reshape(columns, rows).T


def test_a_product(result: dict[str, list[float]]) -> None:
    a, b, c = by_columns(values(18, 1), 6, 3), by_columns(values(30, 2), 6, 5), \
        by_columns(values(30, 3), 6, 5)
    wanted = c.copy()
    wanted[:4] = 2 * a[:4] @ b[:3] + c[:4]
    assert result["product_status"] == [0]
    assert np.array_equal(by_columns(result["product"], 6, 5), wanted)


def test_products_in_a_batch(result: dict[str, list[float]]) -> None:
    a, b = values(24, 4).reshape(2, 12), values(30, 5).reshape(2, 15)
    got = np.array(result["batch"]).reshape(2, 20)
    for i in range(2):
        wanted = by_columns(a[i], 3, 4).T @ by_columns(b[i], 5, 3).T
        assert np.array_equal(by_columns(got[i], 4, 5), wanted)


def test_halves_are_summed_as_floats(result: dict[str, list[float]]) -> None:
    wanted = by_columns(values(9600, 6), 16, 600) @ by_columns(values(4800, 7), 600, 8)
    assert np.array_equal(by_columns(result["half"], 16, 8), wanted.astype(np.float16))


def test_wrong_products_are_refused(result: dict[str, list[float]]) -> None:
    invalid, unsupported = 7, 15  # CUBLAS_STATUS_…
    assert result["host_memory"] == [invalid]
    assert result["short_stride"] == [invalid]
    assert result["mixed_formats"] == [unsupported]


def convolution(x: Array, w: Array) -> tuple[Array, Array, Array]:
    """Y, and with it as the gradient of the output dX and dW."""
    x, w = x.reshape(2, 4, 7, 6), w.reshape(6, 2, 3, 3)
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (2, 2)))
    y, dx, dw = np.zeros((2, 6, 4, 8)), np.zeros_like(padded), np.zeros_like(w)

    def windows(n: int, o: int, i: int, j: int) -> tuple[int, slice, slice, slice]:
        return n, slice(o // 3 * 2, o // 3 * 2 + 2), slice(2 * i, 2 * i + 3), slice(j, j + 3)

    places = list(itertools.product(range(2), range(6), range(4), range(8)))
    for place in places:
        y[place] = (padded[windows(*place)] * w[place[1]]).sum()
    for place in places:
        dx[windows(*place)] += y[place] * w[place[1]]
        dw[place[1]] += y[place] * padded[windows(*place)]
    return y, dx[:, :, 1:-1, 2:-2], dw


def test_convolutions(result: dict[str, list[float]]) -> None:
    assert result["forward_status"] == [0]
    both = values(336, 1), values(108, 2)
    for name, wanted in zip(("forward", "backward_data", "backward_filter"), convolution(*both),
                            strict=True):
        np.testing.assert_allclose(result[name], wanted.ravel(), rtol=1e-5, atol=1e-4)


def test_sums_of_halves_are_rounded_where_half_precision_is_asked_for(
    result: dict[str, list[float]],
) -> None:
    both = [(values(*v) / 7).astype(np.float16).astype(np.float64) for v in ((336, 1), (108, 2))]
    wanted = convolution(*both)[0].ravel()
    rounding = np.abs(wanted.astype(np.float16) - wanted).max()
    assert np.abs(result["forward_half"] - wanted).max() == rounding
    assert rounding < np.abs(result["forward_half_sums"] - wanted).max() < 4 * rounding


def test_wrong_convolutions_are_refused(result: dict[str, list[float]]) -> None:
    bad_parameter = 2000  # CUDNN_STATUS_BAD_PARAM of cuDNN 9
    assert result["no_workspace"] == result["wrong_size"] == [bad_parameter]


def test_random_numbers(result: dict[str, list[float]]) -> None:
    uniform, normal = np.array(result["uniform"]), np.array(result["normal"])
    assert 0 < uniform.min() < uniform.max() <= 1
    assert abs(uniform.mean() - 0.5) < 0.02
    assert abs(normal.mean()) < 0.05
    assert abs(normal.std() - 1) < 0.05
    assert result["odd"] == [105]  # CURAND_STATUS_LENGTH_NOT_MULTIPLE


def test_a_card_that_vanishes_computes_nothing_more(program: Program) -> None:
    lost = numbers(program("libraries", "lost", FAKE_GPU_LOST_AFTER="1"))
    execution_failed, launch_failure = 13, 201  # CUBLAS_STATUS_…, CURAND_STATUS_…
    assert lost == {"first": [0], "second": [execution_failed], "third": [launch_failure]}
