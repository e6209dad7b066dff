"""Compilation of all kernels ahead of time, by running a tiny random model.

Jittor compiles a kernel when it first meets an operator, whatever the sizes; after this a real
checkpoint starts without waiting.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from jstyleid_core.backends import build_networks
from jstyleid_core.config import (
    Architecture,
    ScheduleConfig,
    TextConfig,
    UNetConfig,
    VAEConfig,
)
from jstyleid_core.diffusion.schedule import Schedule
from jstyleid_core.pipeline import StableDiffusion
from jstyleid_core.progress import Preparing
from jstyleid_core.runtime import Backend, build
from jstyleid_core.runtime.jittor import jt
from jstyleid_core.runtime.startup import cache_folder
from jstyleid_core.styleid.method import StyleID
from jstyleid_core.styleid.settings import StyleIDSettings
from jstyleid_core.weights.checkpoint import Checkpoint, CheckpointSource
from jstyleid_core.weights.folder import DiffusersFolder

_SIZE = (64, 64)
_ROUNDS = 10
_STEPS = 3
"""On CUDA the first is computed, the second captured and the third replayed."""


def is_warm(backend: Backend = "native") -> bool:
    """Whether `warm_kernels` has run here for a backend, on this device and with this version."""
    return mark("kernels", backend).is_file()


def warm_kernels(preparing: Preparing | None = None, backend: Backend = "native") -> None:
    """Run text to image and style transfer on a tiny model of each kind, at batch 1 and 2.

    Args:
        preparing: called with the number of rounds that are done.
        backend: library of the networks.
    """
    with build.warming(jt):
        for done, _ in enumerate(_rounds(backend)):
            if preparing:
                preparing("compiling kernels", done, _ROUNDS)
    jt.gc()
    mark("kernels", backend).touch()


def _rounds(backend: Backend) -> Iterator[None]:
    """Yields before the first of the `_ROUNDS` and after each."""
    picture = Image.new("RGB", _SIZE)
    yield
    for two_one in (True, False):
        model = tiny_model(two_one, backend)
        styleid = StyleID(model, StyleIDSettings(steps=_STEPS))
        style = styleid.invert_style(picture)
        yield
        for batch in (1, 2):
            model.generate(["warm"] * batch, list(range(batch)), steps=_STEPS, size=_SIZE)
            yield
            for _ in range(2):
                styleid.transfer([picture] * batch, style)
            yield


def mark(what: str, backend: Backend) -> Path:
    """The file that marks `what` as compiled here, for this backend, device and version."""
    return build.mark(cache_folder(), what, backend, bool(jt.flags.use_cuda))


def tiny_model(two_one: bool, backend: Backend = "native") -> StableDiffusion:
    """A random model of every kind of layer and next to no size, for pictures of 64 pixels.

    Args:
        two_one: a model like SD 2.1 (v-prediction), else like SD 1.5 (epsilon).
        backend: library of the networks.
    """
    width = 32
    text = TextConfig(vocab_size=8, hidden_size=width, intermediate_size=width,
                      num_hidden_layers=1, num_attention_heads=2,
                      hidden_act="gelu" if two_one else "quick_gelu")
    unet = UNetConfig(
        sample_size=8,
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D",
                          "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D",
                        "CrossAttnUpBlock2D"),
        block_out_channels=(32, 64, 64, 64), cross_attention_dim=width, attention_head_dim=2,
        use_linear_projection=two_one, upcast_attention=two_one,
    )
    vae = VAEConfig(block_out_channels=(32, 32, 64, 64),
                    down_block_types=("DownEncoderBlock2D",) * 4,
                    up_block_types=("UpDecoderBlock2D",) * 4)
    cuda = bool(jt.flags.use_cuda)
    networks = build_networks(backend, Architecture(unet, vae, text),
                              "float16" if cuda else "float32")
    if cuda:
        for network in (networks.unet, networks.text_encoder):
            network.float16()
    return StableDiffusion(
        networks=networks, tokenizer=_no_words,
        schedule=Schedule.from_config(ScheduleConfig(steps_offset=1)),
        prediction_type="v_prediction" if two_one else "epsilon",
        checkpoint=Checkpoint(CheckpointSource("warm"), DiffusersFolder(Path(), None)),
    )


def _no_words(prompts: Sequence[str]) -> NDArray[Any]:
    return np.zeros((len(prompts), 77), np.int32)
