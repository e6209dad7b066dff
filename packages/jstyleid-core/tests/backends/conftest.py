"""A model of each backend, on one small checkpoint; only where JDiffusion is installed."""

from __future__ import annotations

from typing import Any

import pytest

from backend_choice import both
from small_checkpoint import build


@pytest.fixture(scope="session")
def pair(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The models by backend."""
    return both(build("sd21-v", tmp_path_factory.mktemp("checkpoint")))
