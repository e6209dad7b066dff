"""diffusers reads the files that ``original_layout`` builds, small and at the published sizes."""

from __future__ import annotations

import json

import pytest
import torch
from accelerate import init_empty_weights
from diffusers.loaders.single_file_utils import (
    convert_ldm_clip_checkpoint,
    convert_ldm_unet_checkpoint,
    convert_ldm_vae_checkpoint,
    convert_open_clip_checkpoint,
)

import original_layout
import single_files
from original_layout import FULL, SMALL
from reference_sets import GOLDEN_SINGLE_FILES

Shapes = dict[str, tuple[int, ...]]


@pytest.mark.parametrize("kind", SMALL)
def test_the_committed_digests_are_diffusers(kind: str) -> None:
    committed = json.loads(GOLDEN_SINGLE_FILES.read_text(encoding="utf-8"))
    assert single_files.describe(SMALL[kind]) == committed[kind]


def shapes_of(tensors: dict[str, torch.Tensor]) -> Shapes:
    return {name.removeprefix("text_model."): tuple(tensor.shape)
            for name, tensor in tensors.items() if not name.endswith("position_ids")}


@pytest.mark.parametrize("name", FULL)
def test_the_published_sizes_are_whole(name: str) -> None:
    """What diffusers' converters make of the names and shapes is all of its networks."""
    kind = FULL[name]
    with init_empty_weights(include_buffers=True):
        unet, vae = single_files.unet(kind), single_files.autoencoder(kind)
        text = single_files.text_encoder(kind)
    stored = {key: torch.empty(shape, device="meta")
              for key, shape in original_layout.checkpoint(kind).items()}
    found = convert_ldm_unet_checkpoint(dict(stored), unet.config)
    assert shapes_of(found) == shapes_of(unet.state_dict())
    found = convert_ldm_vae_checkpoint(dict(stored), vae.config)
    assert shapes_of(found) == shapes_of(vae.state_dict())
    found = (convert_open_clip_checkpoint(text, dict(stored)) if kind.second
             else convert_ldm_clip_checkpoint(dict(stored)))
    assert shapes_of(found) == shapes_of(text.state_dict())
