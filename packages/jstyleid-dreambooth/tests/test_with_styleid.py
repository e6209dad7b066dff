"""StyleID on a model that has a LoRA, switched off, is StyleID on the base model."""

from __future__ import annotations

from typing import Any

import numpy as np

from jstyleid_core import StyleID, StyleIDSettings
from jstyleid_core.synthetic.looks import LOOKS
from jstyleid_core.synthetic.rendering import draw_plain
from jstyleid_core.synthetic.scene import random_scene


def test_disabled_is_bit_equal_to_never_having_one(model: Any, loras: Any, trained: Any) -> None:
    rng = np.random.default_rng(0)
    content = draw_plain(random_scene(rng, "boat"), 64)
    style = LOOKS["woodcut"](rng, random_scene(rng, "apple"), 64)

    def transfer() -> bytes:
        styleid = StyleID(model, StyleIDSettings(steps=2))
        [step] = [*styleid.steps([content], styleid.invert_style(style))][-1:]
        return bytes(step.latents.numpy().tobytes())

    before = transfer()
    loras.add("one", trained(text_targets=("q_proj", "out_proj")))
    assert transfer() != before
    with loras.disabled():
        assert transfer() == before
    loras.merge()
    with loras.disabled():
        assert transfer() == before
    loras.detach()
    assert transfer() == before
