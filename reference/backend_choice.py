"""Which backend the tests are run on, the same for both; and a model of each, side by side."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from numpy.typing import NDArray


def backend() -> Any:
    """Return the backend that `JSTYLEID_TEST_BACKEND` names, the native one without it."""
    return os.environ.get("JSTYLEID_TEST_BACKEND", "native")


def need_jdiffusion() -> None:
    """Skip the test where JDiffusion is not installed."""
    from jstyleid_core.runtime.requirements import has_jdiffusion

    if not has_jdiffusion():
        pytest.skip("this is not JDiffusion's environment: tox -e jdiffusion makes it")


def both(checkpoint: Path) -> dict[str, Any]:
    """Return the models of a checkpoint by backend, the native one first."""
    need_jdiffusion()
    from jstyleid_core import StableDiffusion
    from jstyleid_core.runtime import Backend

    return {name: StableDiffusion.load(checkpoint, backend=name) for name in get_args(Backend)}


def predicted(networks: Any) -> NDArray[Any]:
    """Return what the UNet of a backend says to one random input, the same for all."""
    from jstyleid_core.runtime.jittor import jt

    rng = np.random.default_rng(0)
    sample = rng.standard_normal((1, 4, 8, 8), dtype=np.float32)
    width = networks.unet_config.cross_attention_dim
    context = rng.standard_normal((1, 77, width), dtype=np.float32)
    with jt.no_grad():
        answer: NDArray[Any] = networks.predict(jt.array(sample), 301, jt.array(context)).numpy()
    return answer
