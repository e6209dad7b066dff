"""The variants of StyleID that are compared, each with its difference from the first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Way = Literal["transfer", "trajectory", "direct"]


@dataclass(frozen=True)
class Variant:
    """One line of the table.

    Attributes:
        settings: of `StyleIDSettings`, where they differ from the defaults.
        references: pictures of the style that are used together.
        way: `transfer` stylises given pictures; the others start from prompts.
        drawn: whether the contents are drawn from prompts first, for comparison with such ways.
    """

    settings: Mapping[str, Any]
    references: int = 1
    way: Way = "transfer"
    drawn: bool = False


_STEPS = {"steps": 20}

GIVEN: Mapping[str, Variant] = {
    "styleid": Variant({}),
    "joint": Variant({"rule": "joint"}),
    "joint, factor 1": Variant({"rule": "joint", "style_factor": 1.0}),
    "joint, factor 1.5": Variant({"rule": "joint", "style_factor": 1.5}),
    "gated": Variant({"rule": "gated"}),
    "gated, factor 1": Variant({"rule": "gated", "style_factor": 1.0}),
    "gated, moments 0.2": Variant({"rule": "gated", "moments": 0.2}),
    "start content-adain": Variant({"start_latents": "content-adain"}),
    "start efdm": Variant({"start_latents": "efdm"}),
    "start eae": Variant({"start_latents": "eae"}),
    "start frequency": Variant({"start_latents": "frequency"}),
    "start none": Variant({"start_latents": "none"}),
    "inversion fixed-point:2": Variant({"inversion": "fixed-point:2"}),
    "inversion fixed-point:4": Variant({"inversion": "fixed-point:4"}),
    "inversion noised": Variant({"inversion": "noised"}),
    "2 references": Variant({}, references=2),
    "4 references": Variant({}, references=4),
    "gated, 4 references": Variant({"rule": "gated"}, references=4),
    "gated, 4 references, start efdm": Variant(
        {"rule": "gated", "start_latents": "efdm"}, references=4),
}
"""Variants on given contents."""

DRAWN: Mapping[str, Variant] = {
    "styleid on drawings": Variant({}, drawn=True),
    "trajectory": Variant({}, way="trajectory", drawn=True),
    "trajectory, gamma 0.3": Variant({"gamma": 0.3}, way="trajectory", drawn=True),
    "direct": Variant({}, way="direct", drawn=True),
    "direct, gated": Variant({"rule": "gated"}, way="direct", drawn=True),
    "direct, joint": Variant({"rule": "joint"}, way="direct", drawn=True),
    "direct, negative query": Variant({"negative_query": True}, way="direct", drawn=True),
    "direct, gated, 4 references": Variant(
        {"rule": "gated"}, references=4, way="direct", drawn=True),
}
"""Variants on prompts that the model draws."""
