"""Whether two trainings are the same: all that decides a LoRA, as JSON."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from jstyleid_core.differences import differences

Recipe = Mapping[str, Any]
"""As `TrainingJob.recipe` gives it."""


def digest(recipe: Recipe) -> str:
    """SHA-256 of a recipe."""
    return hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()


def obstacles(there: Recipe, now: Recipe) -> list[str]:
    """Why the training that is there cannot be continued by another; none if it can.

    Only the number of steps may differ, and only where the learning rate does not depend on it.
    """
    if now["settings"]["schedule"] == "constant":
        steps = {"steps": now["settings"]["steps"]}
        there = {**there, "settings": {**there["settings"], **steps}}
    return differences(there, now)
