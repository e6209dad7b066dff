"""Configurations of checkpoints as diffusers and its converters have written them; no Jittor."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jstyleid_core.config import ScheduleConfig, UNetConfig
from jstyleid_core.diffusion.schedule import Schedule
from jstyleid_core.errors import CheckpointError
from jstyleid_core.weights.checkpoint import EMBEDDED_MODEL, find_checkpoint

SOURCE = find_checkpoint(EMBEDDED_MODEL).path
UNET, SCHEDULER = "unet/config.json", "scheduler/scheduler_config.json"


def write(folder: Path, file: str, **changes: Any) -> Path:
    """The embedded model's file with other fields, in a folder with the others."""
    for each in (UNET, SCHEDULER, "vae/config.json", "text_encoder/config.json"):
        (folder / each).parent.mkdir(parents=True, exist_ok=True)
        (folder / each).write_bytes((SOURCE / each).read_bytes())
    fields = json.loads((SOURCE / file).read_text()) | changes
    (folder / file).write_text(json.dumps(fields))
    return folder / file


NULLS = ("upcast_attention", "use_linear_projection", "time_embedding_type", "conv_in_kernel",
         "sample_size", "only_cross_attention", "norm_num_groups", "mid_block_type")


@pytest.mark.parametrize("field", NULLS)
def test_null_is_the_default(tmp_path: Path, field: str) -> None:
    found = UNetConfig.read(write(tmp_path, UNET, **{field: None}))
    assert getattr(found, field) == UNetConfig.model_fields[field].default


@pytest.mark.parametrize(("field", "written", "meant"), [
    ("sample_size", [64, 64], 64),
    ("transformer_layers_per_block", [1, 1, 1, 1], 1),
    ("transformer_layers_per_block", [[1, 1], [1], 1], 1),
    ("only_cross_attention", [False, False, False, False], False),
    ("layers_per_block", [2, 2, 2, 2], 2),
    ("encoder_hid_dim", [], None),
])
def test_a_list_whose_entries_agree_is_one_of_them(
    tmp_path: Path, field: str, written: Any, meant: Any
) -> None:
    assert getattr(UNetConfig.read(write(tmp_path, UNET, **{field: written})), field) == meant


@pytest.mark.parametrize(("field", "value"), [
    ("transformer_layers_per_block", [1, 2, 1, 1]), ("only_cross_attention", [True, False]),
    ("layers_per_block", [1, 2, 3, 4]), ("conv_in_kernel", 5), ("layers_per_block", "many"),
])
def test_what_is_not_built_is_refused_by_its_field(
    tmp_path: Path, field: str, value: Any
) -> None:
    path = write(tmp_path, UNET, **{field: value})
    with pytest.raises(CheckpointError, match=f"{path}: {field}.* is not supported"):
        UNetConfig.read(path)


@pytest.mark.parametrize(("file", "field", "value", "message"), [
    (UNET, "block_out_channels", [0, 64, 64], "block_out_channels.0 = 0 is not supported"),
    (UNET, "block_out_channels", [33, 96, 96, 96], "33 channels cannot be divided by"),
    (UNET, "layers_per_block", 0, "layers_per_block = 0 is not supported"),
    (UNET, "attention_head_dim", 7, r"cannot be divided by 7 \(attention heads\)"),
    ("vae/config.json", "norm_num_groups", 31, r"cannot be divided by 31 \(norm_num_groups\)"),
    ("vae/config.json", "latent_channels", -4, "latent_channels = -4 is not supported"),
    ("text_encoder/config.json", "num_attention_heads", 7, "cannot be divided by 7"),
    ("text_encoder/config.json", "max_position_embeddings", 0, "max_position_embeddings = 0"),
    ("text_encoder/config.json", "intermediate_size", 0, "intermediate_size = 0"),
])
def test_numbers_that_no_network_can_have(
    tmp_path: Path, file: str, field: str, value: Any, message: str
) -> None:
    path = write(tmp_path, file, **{field: value})
    with pytest.raises(CheckpointError, match=f"{path}: .*{message}"):
        _ = find_checkpoint(tmp_path).architecture


def test_a_schedule_without_timesteps(tmp_path: Path) -> None:
    path = write(tmp_path, SCHEDULER, num_train_timesteps=0)
    with pytest.raises(CheckpointError, match=f"{path}: num_train_timesteps = 0"):
        ScheduleConfig.read(path)


@pytest.mark.parametrize(("changes", "what"), [
    ({"in_channels": 9}, "an inpainting model"), ({"in_channels": 5}, "a depth model"),
    ({"in_channels": 8}, "InstructPix2Pix"), ({"in_channels": 7}, "an upscaler"),
    ({"class_embed_type": "projection"}, "an unCLIP model"),
    ({"num_class_embeds": 1000}, "an unCLIP model or an upscaler"),
])
def test_the_unet_of_another_kind_of_model_is_named(
    tmp_path: Path, changes: dict[str, Any], what: str
) -> None:
    path = write(tmp_path, UNET, **changes)
    with pytest.raises(CheckpointError, match=f"{what}.*Give a text-to-image checkpoint"):
        _ = find_checkpoint(path.parents[1]).architecture


@pytest.mark.parametrize("field", ["in_channels", "out_channels", "cross_attention_dim"])
def test_networks_that_do_not_fit_together(tmp_path: Path, field: str) -> None:
    path = write(tmp_path, UNET, **{field: 6})
    with pytest.raises(CheckpointError, match=f"{field} = 6 does not fit"):
        _ = find_checkpoint(path.parents[1]).architecture


def test_a_byte_order_mark_is_harmless(tmp_path: Path) -> None:
    path = write(tmp_path, UNET)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    UNetConfig.read(path)


@pytest.mark.parametrize(("content", "message"), [
    (b"version https://git-lfs.github.com/spec/v1\n", "a pointer of Git LFS.*git lfs pull"),
    (b"<!doctype html><html>", "a web page, as a failed download leaves one"),
    (b"", "not valid JSON"), (b"[1, 2]", "not supported"), (b'"text"', "not supported"),
    (b"\xff\xfe{\x00}\x00", "not valid JSON"), (b"[" * 100_000, "not valid JSON"),
    (b'{"in_channels": ' + b"9" * 10_000 + b"}", "not valid JSON|not supported"),
])
def test_files_that_are_no_configuration(tmp_path: Path, content: bytes, message: str) -> None:
    path = write(tmp_path, UNET)
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=message) as refusal:
        UNetConfig.read(path)
    assert str(refusal.value).startswith(str(path))


def test_a_scheduler_of_another_sampler_is_read_for_ddim(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write(tmp_path, SCHEDULER, timestep_spacing="linspace", clip_sample=True,
                 steps_offset=None, trained_betas=[], algorithm_type="dpmsolver++",
                 use_karras_sigmas=True)
    found = ScheduleConfig.read(path)
    assert (found.timestep_spacing, found.steps_offset, found.trained_betas) == ("leading", 0, None)
    assert caplog.messages == [
        f"{path} is of another sampler; for DDIM timestep_spacing = linspace and clip_sample = "
        "True are not used"]
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        ScheduleConfig.read(write(tmp_path, SCHEDULER, clip_sample=False))
    assert caplog.messages == []


def test_thresholding_is_refused(tmp_path: Path) -> None:
    ScheduleConfig.read(write(tmp_path, SCHEDULER, thresholding=False))
    path = write(tmp_path, SCHEDULER, thresholding=True)
    with pytest.raises(CheckpointError, match=f"{path}: thresholding = True.*models of pixels"):
        ScheduleConfig.read(path)


def test_timesteps_of_trailing_spacing_are_those_of_diffusers(tmp_path: Path) -> None:
    schedule = Schedule.from_config(
        ScheduleConfig.read(write(tmp_path, SCHEDULER, timestep_spacing="trailing")))
    # DDIMInverseScheduler of diffusers 0.39.0
    assert schedule.timesteps(7) == [142, 285, 428, 570, 713, 856, 999]
    assert schedule.timesteps(5) == [199, 399, 599, 799, 999]
    assert sum(schedule.timesteps(30)) == 15470
    assert schedule.timesteps(1000) == list(range(1000))


def test_noise_without_a_rest_is_that_of_diffusers(tmp_path: Path) -> None:
    changes = {"rescale_betas_zero_snr": True, "prediction_type": "v_prediction",
               "set_alpha_to_one": False, "beta_schedule": "scaled_linear", "beta_start": 0.00085,
               "beta_end": 0.012}
    schedule = Schedule.from_config(ScheduleConfig.read(write(tmp_path, SCHEDULER, **changes)))
    # DDIMScheduler of diffusers 0.39.0, float32
    wanted = [9.99149978e-01, 9.98233497e-01, 2.41018638e-01, 1.96796336e-07, 0]
    assert np.allclose(schedule.alphas_cumprod[[0, 1, 500, 998, 999]], wanted, rtol=2e-4, atol=0)
    assert schedule.alpha_bar(-1) == schedule.alphas_cumprod[0]
    path = write(tmp_path, SCHEDULER, **changes | {"prediction_type": "epsilon"})
    with pytest.raises(CheckpointError, match="rescale_betas_zero_snr needs prediction_type"):
        ScheduleConfig.read(path)
