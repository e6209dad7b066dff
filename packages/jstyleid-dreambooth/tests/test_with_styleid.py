"""StyleID on a model that has a LoRA, switched off, is StyleID on the base model."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image

from jstyleid_core import StyleID, StyleIDSettings


def test_disabled_is_bit_equal_to_never_having_one(model: Any, loras: Any, trained: Any) -> None:
    rng = np.random.default_rng(0)
    content, style = (Image.fromarray(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8))
                      for _ in range(2))

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
