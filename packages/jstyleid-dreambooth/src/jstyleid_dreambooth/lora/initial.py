"""A new LoRA's values: they change nothing until training moves B."""

from __future__ import annotations

import zlib
from collections.abc import Mapping

import numpy as np

from jstyleid_core.errors import InputError
from jstyleid_dreambooth.lora.settings import LoRASettings
from jstyleid_dreambooth.lora.targets import choose
from jstyleid_dreambooth.lora.weights import Layout, LoRAWeights, LowRank, Part, Shape


def new_lora(layouts: Mapping[Part, Layout], settings: LoRASettings) -> LoRAWeights:
    """Gaussian A of standard deviation 1 / rank and zero B (Hu et al., section 4.1).

    The deviation is that of peft's `init_lora_weights="gaussian"`. Each tensor has a generator of
    its own, seeded by the seed and the layer's name: the values are the same on every machine and
    do not depend on which other layers are chosen.

    Args:
        layouts: the networks' layers, as `LoRAs.layouts` lists them.
        settings: targets, rank, alpha, seed.

    Raises:
        InputError: a pattern names no layer, or nothing is targeted.
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
                        for path in choose(layouts[part], wanted)}
    if not layers:
        raise InputError("a LoRA without targets: name layers in targets or text_targets")
    return LoRAWeights(layers, source="a new LoRA")


def _layer(part: Part, path: str, shape: Shape, settings: LoRASettings) -> LowRank:
    rank = settings.rank
    generator = np.random.default_rng([settings.seed, zlib.crc32(f"{part}.{path}".encode())])
    # Drawn in float64: what a mathematics library may differ in is lost in rounding to float32.
    down = generator.standard_normal((rank, *shape[1:])) / rank
    up = np.zeros((shape[0], rank, *(1,) * (len(shape) - 2)), np.float32)
    return LowRank(down.astype(np.float32), up, settings.alpha or float(rank))
