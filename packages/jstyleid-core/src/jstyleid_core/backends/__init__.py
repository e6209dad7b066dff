"""Backends: the networks of this project and those of JDiffusion, behind one interface.

Each backend offers `jstyleid_core.interfaces.Networks`; all code above that is written once.
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
        backend: name of the backend.
        architecture: configurations from the checkpoint.
        dtype: number format of UNet and text encoder, `float32` or `float16`.

    Raises:
        RuntimeSetupError: this environment lacks a requirement of the backend.
    """
    if backend == "jdiffusion":
        from jstyleid_core.backends.jdiffusion.networks import JDiffusionNetworks

        return JDiffusionNetworks.build(architecture, dtype)
    from jstyleid_core.backends.native import NativeNetworks

    return NativeNetworks.build(architecture, dtype)
