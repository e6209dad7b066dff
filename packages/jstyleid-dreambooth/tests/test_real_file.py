"""A LoRA that a JDiffusion user trained on SD 2.1; runs where the challenge's data lies."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from backend_choice import backend
from jstyleid_core.backends import build_networks
from jstyleid_core.config import UNetConfig
from jstyleid_core.model.unet import UNet
from jstyleid_core.weights.checkpoint import EMBEDDED_MODEL, find_checkpoint
from jstyleid_dreambooth import LoRAs, read_lora

DATA = os.environ.get("JSTYLEID_SPLIT_DATA")
SD21 = UNetConfig(
    sample_size=96, block_out_channels=(320, 640, 1280, 1280), cross_attention_dim=1024,
    down_block_types=("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",),
    up_block_types=("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3,
    attention_head_dim=(5, 10, 20, 20), use_linear_projection=True, upcast_attention=True,
)


def test_default_targets_on_the_full_size_layout() -> None:
    """Jittor is lazy: 860 million weights are named here and none is made."""
    layout = LoRAs({"unet": UNet(SD21)}).layouts["unet"]
    assert sum(int(np.prod(shape)) for shape in layout.values()) > 860e6
    inner = "transformer_blocks.0.attn2.to_k"
    assert layout[f"down_blocks.0.attentions.0.{inner}"] == (320, 1024)
    assert layout[f"up_blocks.1.attentions.2.{inner}"] == (1280, 1024)
    assert layout["down_blocks.1.resnets.0.conv_shortcut"] == (640, 320, 1, 1)


@pytest.mark.skipif(DATA is None, reason="JSTYLEID_SPLIT_DATA names no folder")
def test_attaches_to_the_full_size_unet() -> None:
    """Of either backend."""
    lora = read_lora(Path(str(DATA)) / "lora" / "style_B_00")
    assert (len(lora), lora.ranks()) == (96, [4])
    assert all(layer.scale == 1 for _, _, layer in lora.items())
    architecture = replace(find_checkpoint(EMBEDDED_MODEL).architecture, unet=SD21)
    networks = build_networks(backend(), architecture, "float32")
    # JDiffusion's adapter has replaced one, of the waves of the timestep.
    own = {path for path, module in networks.unet.named_modules() if "execute" in vars(module)}
    loras = LoRAs({"unet": networks.unet})
    loras.add("style_B_00", lora)
    adapted = {path for path, module in networks.unet.named_modules() if "execute" in vars(module)}
    assert adapted - own == {f"{path}.{name}" for path in networks.attentions()
                             for name in ("to_q", "to_k", "to_v")}
