"""Saved styles: header and tensors of the file that `transfer --save-style` and runs keep."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from fuzz.mutations import of_safetensors
from fuzz.reader import FileReader, Reader
from jstyleid_core.config import UNetConfig
from jstyleid_core.errors import InputError
from jstyleid_core.styleid.style_file import (
    LATENTS,
    PALETTE,
    Expected,
    Recipe,
    digest_of,
    read_style,
)

_IMAGE = "a" * 64


@cache
def expected() -> Expected:
    """A style of two steps and two layers, of a UNet of two levels."""
    unet = UNetConfig(
        down_block_types=("CrossAttnDownBlock2D",) * 2,
        up_block_types=("CrossAttnUpBlock2D",) * 2,
        block_out_channels=(4, 8),
        cross_attention_dim=6,
        attention_head_dim=2,
        norm_num_groups=2,
    )
    return Expected(Recipe(2, (3, 5), "float32"), "f" * 64, "native", unet, (1, 501))


def style(digest: bool = True, **header: str) -> bytes:
    """The file of such a style.

    Args:
        digest: whether it has the digest of its tensors.
        header: other texts in its header.
    """
    rng = np.random.default_rng(0)
    tensors: dict[str, Any] = {LATENTS: rng.standard_normal((1, 4, 4, 2)).astype(np.float32)}
    tensors[PALETTE] = rng.integers(0, 256, (7, 3), np.int32)
    for name in expected().names():
        tensors[name] = rng.standard_normal((1, 8, 4)).astype(np.float32)
    texts = expected().header(_IMAGE) | ({"sha256": digest_of(tensors)} if digest else {})
    return save(tensors, metadata=texts | header)


def _styles() -> Sequence[bytes]:
    # Mostly of older versions, without a digest: with one nearly every change is refused by it.
    return [style(digest=False), style(), style(digest=False, queries="true")]


def _read(path: Path) -> None:
    tensors, image = read_style(path, expected())
    assert isinstance(image, str)
    if PALETTE in tensors:
        assert 0 <= tensors[PALETTE].min() <= tensors[PALETTE].max() < 256
    for name in (LATENTS, *expected().names()):
        assert np.isfinite(tensors[name]).all()
        assert tensors[name].shape[-1] == (2 if name == LATENTS else 4)


READERS: list[Reader] = [
    FileReader("style", "style.safetensors", _styles, _read, (InputError,), of_safetensors)
]
