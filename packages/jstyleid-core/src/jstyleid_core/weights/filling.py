"""Filling all networks of a checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from jstyleid_core.interfaces import Networks
from jstyleid_core.weights.layout import Checkpoint
from jstyleid_core.weights.loading import Component, load_module

Report = Callable[[str, int, int], None]
"""(what is loaded, tensors done, tensors in all)"""


def fill(networks: Networks, checkpoint: Checkpoint, dtype: str, report: Report | None) -> None:
    """Stream a checkpoint's tensors into its networks.

    Args:
        networks: built from this checkpoint's configuration.
        checkpoint: whose files are read.
        dtype: of UNet and text encoder.
        report: told how far the loading is.

    Raises:
        CheckpointError: a file is missing, damaged or does not fit; the message says which.
    """
    components: tuple[tuple[Component, object, str], ...] = (
        ("text_encoder", networks.text_encoder, dtype),
        # The VAE overflows float16 on some pictures; it is small, so it stays wide.
        ("vae", networks.vae, "float32"),
        ("unet", networks.unet, dtype),
    )
    for component, module, number in components:
        on_tensor = partial(report, component) if report else None
        load_module(module, component, checkpoint.weights(component), number, on_tensor)
