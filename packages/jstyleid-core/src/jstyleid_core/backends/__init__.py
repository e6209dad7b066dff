"""The libraries whose networks can compute: this project's own, and JDiffusion's.

What each must offer is `jstyleid_core.interfaces.Networks`; everything above that is written once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jstyleid_core.config import Architecture
    from jstyleid_core.interfaces import Networks
    from jstyleid_core.runtime import Backend


def build_networks(backend: Backend, architecture: Architecture, dtype: str) -> Networks:
    """Networks of random float32 weights, to be filled from a checkpoint.

    Args:
        backend: whose.
        architecture: as the checkpoint describes it.
        dtype: what UNet and text encoder are to compute in, `float32` or `float16`.

    Raises:
        RuntimeSetupError: this environment lacks what the backend needs.
    """
    if backend == "jdiffusion":
        from jstyleid_core.backends.jdiffusion.networks import JDiffusionNetworks

        return JDiffusionNetworks.build(architecture, dtype)
    from jstyleid_core.backends.native import NativeNetworks

    return NativeNetworks.build(architecture, dtype)
