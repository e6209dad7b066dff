"""New LoRAs: settings, target layers, and values that change nothing until training moves B."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from math import prod

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt

from jstyleid_core.errors import InputError
from jstyleid_dreambooth.lora.weights import Layout, LoRAWeights, LowRank, Part, Shape

UNET_ATTENTION = ("to_q", "to_k", "to_v", "to_out.0")
"""The projections of every self- and cross-attention of the UNet: the DreamBooth recipe's."""
TEXT_ATTENTION = ("q_proj", "k_proj", "v_proj", "out_proj")
"""The projections of every attention of the text encoder."""

_SHOWN = 3


class LoRASettings(BaseModel):
    """Rank, strength, targets and seed of a new LoRA.

    A pattern matches a path that equals the pattern, or that ends with a dot and the pattern; `*`
    stands for anything, as in `up_blocks.*.attn2.to_k`.

    Attributes:
        rank: r, inner width of the update.
        alpha: numerator of the update's scale alpha / rank; the rank when not given.
        dropout: share in [0, 1) of the update's inputs that is zeroed while training.
        targets: patterns of the UNet's layers; empty for none.
        text_targets: patterns of the text encoder's layers (`TEXT_ATTENTION`); none by default.
        seed: seed of the initial values.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rank: PositiveInt = 4
    alpha: PositiveFloat | None = None
    dropout: float = Field(default=0.0, ge=0, lt=1)
    targets: tuple[str, ...] = UNET_ATTENTION
    text_targets: tuple[str, ...] = ()
    seed: int = Field(default=0, ge=0)


def new_lora(layouts: Mapping[Part, Layout], settings: LoRASettings) -> LoRAWeights:
    """Gaussian A of standard deviation 1 / rank and zero B (Hu et al., section 4.1).

    The deviation is that of peft's `init_lora_weights="gaussian"`. Each tensor has a generator of
    its own, seeded by the seed and the layer's name: the values are the same on every machine and
    do not depend on which other layers are chosen.

    Args:
        layouts: the networks' layers, as `LoRAs.layouts` lists them.
        settings: targets, rank, alpha, seed.

    Raises:
        InputError: a pattern names no layer, nothing is targeted, or the rank is larger than a
            layer on both of its sides.
    """
    patterns: dict[Part, tuple[str, ...]] = {
        "unet": settings.targets, "text_encoder": settings.text_targets}
    layers: dict[Part, dict[str, LowRank]] = {}
    for part, wanted in patterns.items():
        if not wanted:
            continue
        if part not in layouts:
            raise InputError(f"LoRA targets {', '.join(wanted)}: there is no {part} to adapt")
        layers[part] = {path: _layer(part, path, layouts[part][path], settings)
                        for path in match_target_modules(layouts[part], wanted)}
    if not layers:
        raise InputError("a LoRA without targets: name layers in targets or text_targets")
    return LoRAWeights(layers, source="a new LoRA")


def _layer(part: Part, path: str, shape: Shape, settings: LoRASettings) -> LowRank:
    rank = settings.rank
    if rank > max(shape[0], prod(shape[1:])):
        raise InputError(f"rank {rank} is larger than the layer {part}.{path}, {list(shape)}. "
                         "Choose a smaller rank.", fields=["rank"])
    generator = np.random.default_rng([settings.seed, zlib.crc32(f"{part}.{path}".encode())])
    # Drawn in float64: what a mathematics library may differ in is lost in rounding to float32.
    down = generator.standard_normal((rank, *shape[1:])) / rank
    up = np.zeros((shape[0], rank, *(1,) * (len(shape) - 2)), np.float32)
    return LowRank(down.astype(np.float32), up, settings.alpha or float(rank))


def match_target_modules(paths: Iterable[str], patterns: Sequence[str]) -> list[str]:
    """The paths that one of the patterns names, in their own order.

    Args:
        paths: module paths in diffusers' names.
        patterns: see `LoRASettings`; `to_q` names every `….to_q`, `*` stands for anything.

    Raises:
        InputError: a pattern names no layer.
    """
    paths = list(paths)
    used: set[str] = set()
    chosen = []
    for path in paths:
        matching = [pattern for pattern in patterns if _matches(path, pattern)]
        used.update(matching)
        if matching:
            chosen.append(path)
    for pattern in patterns:
        if pattern not in used:
            raise InputError(
                f"LoRA target {pattern!r} names no layer of the network. Its linear and "
                f"convolution layers have names such as {', '.join(paths[:_SHOWN])}."
            )
    return chosen


def _matches(path: str, pattern: str) -> bool:
    return fnmatchcase(path, pattern) or fnmatchcase(path, f"*.{pattern}")
