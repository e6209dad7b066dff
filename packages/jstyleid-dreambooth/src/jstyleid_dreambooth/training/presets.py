"""Named settings: the baseline recipe, and what raised scores on the challenge's checker."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, get_args

Preset = Literal["baseline", "tuned"]
"""`baseline` is the challenge's own recipe, `tuned` what its better entries changed in it."""

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
