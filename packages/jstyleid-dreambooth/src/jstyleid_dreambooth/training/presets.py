"""Presets of training settings: the baseline recipe, and one with better scores."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, get_args

Preset = Literal["baseline", "tuned"]
"""`baseline` is the challenge's own recipe, `tuned` has the changes of its better entries."""

PRESETS: Mapping[Preset, Mapping[str, Any]] = {
    "baseline": {},
    "tuned": {
        "steps": 800,
        "rank": 32,
        "prompt": "an image of {object} in style_{style}",
        "enlarge": 1.04,
        "up_rate_ratio": 4.0,
        "prior": {"weight": 1.0, "images": 300},
        "gradient_checkpointing": True,  # samples and class images together: a batch of two
    },
}
assert set(PRESETS) == set(get_args(Preset))
