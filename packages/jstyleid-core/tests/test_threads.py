"""A result has the same bits however many threads compute it, and whatever is computed beside."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image

from computing import on_each_number_of_threads
from jstyleid_core import StyleID, StyleIDSettings, kernels
from jstyleid_core.runtime.jittor import Var, jt


def same_bits(compute: Callable[[], list[Any]]) -> bool:
    """Whether arrays that are computed with 1, 2 and 4 threads are the same to the bit."""
    first, *others = ([np.asarray(x).tobytes() for x in results]
                      for results in on_each_number_of_threads(compute))
    return all(other == first for other in others)


def values(*shape: int) -> Var:
    return jt.array(np.random.default_rng(shape).standard_normal(shape, np.float32))


# Large enough for several tiles and several threads, and with rests.
_KERNELS: dict[str, tuple[Callable[..., Var], list[tuple[int, ...]]]] = {
    "linear": (kernels.linear, [(300, 700), (600, 700), (600,)]),
    "linear with a long sum": (kernels.linear, [(4, 5000), (300, 5000), (300,)]),
    "convolution": (lambda x, w, b: kernels.conv2d(x, w, b, padding=(1, 1)),
                    [(1, 100, 33, 20), (150, 100, 3, 3), (150,)]),
    "convolution of one pixel": (kernels.conv2d, [(2, 200, 20, 20), (300, 200, 1, 1), (300,)]),
    "convolution in steps": (lambda x, w: kernels.conv2d(x, w, None, (2, 2), (1, 1)),
                             [(2, 64, 32, 32), (130, 64, 3, 3)]),
    "attention": (lambda q, k, v: kernels.attention(q, k, v, 4),
                  [(2, 500, 128), (2, 300, 128), (2, 300, 128)]),
    "group norm": (lambda x, w, b: kernels.group_norm(x, w, b, 8, 1e-5, silu=True),
                   [(2, 64, 70, 70), (64,), (64,)]),
    "layer norm": (lambda x, w, b: kernels.layer_norm(x, w, b, 1e-5),
                   [(3, 500, 320), (320,), (320,)]),
    "gelu gate": (kernels.gelu_gate, [(900, 512)]),
}


@pytest.mark.parametrize("name", _KERNELS)
def test_kernels_and_their_gradients(name: str) -> None:
    kernel, shapes = _KERNELS[name]
    inputs = [values(*shape) for shape in shapes]

    def compute() -> list[Any]:
        out = kernel(*inputs)
        loss = (out * values(*out.shape)).sum()
        return [out.numpy(), *(g.numpy() for g in jt.grad(loss, inputs))]

    assert same_bits(compute)


@pytest.mark.parametrize("name", [name for name, (_, shapes) in _KERNELS.items()
                                  if len(shapes[0]) > 2])
def test_kernels_with_other_examples(name: str) -> None:
    kernel, shapes = _KERNELS[name]
    # Of attention, keys and values have examples, too; the others are parameters.
    examples = len(shapes) if name == "attention" else 1
    inputs = [values(5, *shape[1:]) for shape in shapes[:examples]]
    parameters = [values(*shape) for shape in shapes[examples:]]

    def compute(first: int, end: int) -> Any:
        return kernel(*(x[first:end] for x in inputs), *parameters).numpy()

    together = compute(0, 5)
    for first, end in ((0, 1), (1, 3), (4, 5)):
        assert (compute(first, end) == together[first:end]).all()


def test_pictures(model: Any) -> None:
    rng = np.random.default_rng(0)
    content, look = (Image.fromarray(rng.integers(0, 256, (128, 128, 3), np.uint8))
                     for _ in range(2))
    styleid = StyleID(model, StyleIDSettings(steps=2))

    def compute() -> list[Any]:
        drawn = model.generate(["a boat", "a red cat"], [1, 2], steps=2, size=(128, 128))
        return [*drawn, *styleid.transfer([content, drawn[0]], styleid.invert_style(look))]

    assert same_bits(compute)


def test_pictures_with_others(model: Any) -> None:
    rng = np.random.default_rng(1)
    contents = [Image.fromarray(rng.integers(0, 256, (128, 128, 3), np.uint8)) for _ in range(3)]
    styleid = StyleID(model, StyleIDSettings(steps=2))
    style = styleid.invert_style(contents[0])
    prompts, seeds = ["a boat", "a red cat", "a ring"], [1, 2, 3]

    together = [*model.generate(prompts, seeds, steps=2, size=(128, 128)),
                *styleid.transfer(contents, style)]
    alone = [model.generate([prompt], [seed], steps=2, size=(128, 128))[0]
             for prompt, seed in zip(prompts, seeds, strict=True)]
    alone += [styleid.transfer([content], style)[0] for content in contents]
    assert [x.tobytes() for x in together] == [x.tobytes() for x in alone]


def test_nothing_is_computed_by_what_threads_show_in(model: Any) -> None:
    """Jittor's own products and convolutions leave the division of sums to oneDNN."""
    with jt.profile_scope() as profile:
        model.generate(["a boat"], [1], steps=1, size=(64, 64))
        styleid = StyleID(model, StyleIDSettings(steps=1))
        styleid.transfer([Image.new("RGB", (64, 64))],
                         styleid.invert_style(Image.new("RGB", (64, 64))))
    names = {str(row[0]) for row in profile[1:]}
    assert any("code" in name for name in names)
    assert not {name for name in names if "mkl" in name}
