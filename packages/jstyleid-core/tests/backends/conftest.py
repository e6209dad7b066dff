"""A model of each backend, on one small checkpoint; only where JDiffusion is installed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from jstyleid_core.runtime.requirements import has_jdiffusion
from small_checkpoint import build


@pytest.fixture(scope="session")
def pair(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The models by backend."""
    if not has_jdiffusion():
        pytest.skip("this is not JDiffusion's environment: tox -e jdiffusion makes it")
    from jstyleid_core import StableDiffusion

    checkpoint: Path = build("sd21-v", tmp_path_factory.mktemp("checkpoint"))
    return {name: StableDiffusion.load(checkpoint, backend=name)
            for name in ("native", "jdiffusion")}
