"""The self-attention layers of the decoder by number, and their names in the UNet.

Layer n is `up_blocks[n // 3].attentions[n % 3]`; `up_blocks[0]` has no attention, so n runs from 3
to 11.
"""

from __future__ import annotations

from collections.abc import Iterable

from jstyleid_core.config import UNetConfig
from jstyleid_core.errors import InputError

DECODER_LAYERS = range(3, 12)


def attention_name(layer: int) -> str:
    """The path of a decoder layer's self-attention in the UNet."""
    block, index = divmod(layer, 3)
    return f"up_blocks.{block}.attentions.{index}.transformer_blocks.0.attn1"


def check_layers(layers: Iterable[int], unet: UNetConfig) -> None:
    """Check that a UNet has decoder layers.

    Raises:
        InputError: it lacks one of them; the message names those that it has.
    """
    there = [layer for layer in DECODER_LAYERS if _is_there(layer, unet)]
    lacking = sorted(set(layers) - set(there))
    if lacking:
        has = f"only {there}" if there else "none of 3 to 11"
        raise InputError(
            f"layers {lacking}: this checkpoint's UNet has {has}, for example no "
            f"{attention_name(lacking[0])}. Give some that it has.", fields=["layers"])


def _is_there(layer: int, unet: UNetConfig) -> bool:
    block, index = divmod(layer, 3)
    return (block < len(unet.up_block_types) and "CrossAttn" in unet.up_block_types[block]
            and index <= unet.layers_per_block)


def parse_layers(text: str) -> tuple[int, ...]:
    """Layers written as `7-11`, `7,9,11` or `6,9-11`.

    Raises:
        InputError: not of that form, or a layer outside 3 to 11.
    """
    layers: set[int] = set()
    unknown: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        try:
            start, end = int(first), int(last) if dash else int(first)
        except ValueError as error:
            raise InputError(f"layers {text!r}: write them as 7-11 or 7,9,11",
                             fields=["layers"]) from error
        if start > end:
            raise InputError(f"layers {text!r}: {part.strip()} runs backwards", fields=["layers"])
        outside = {start, end} - set(DECODER_LAYERS)
        unknown |= outside
        if not outside:
            layers.update(range(start, end + 1))
    if unknown:
        raise InputError(
            f"layers {text!r}: {sorted(unknown)} unknown; the decoder has layers 3 to 11",
            fields=["layers"])
    return tuple(sorted(layers))
