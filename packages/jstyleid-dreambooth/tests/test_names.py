"""Every common spelling of a LoRA file reads as the same layers."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from jstyleid_core.weights.original_names import unet_module
from jstyleid_dreambooth import LoRAWeights, read_lora
from jstyleid_dreambooth.lora.files.names import TensorName, dotted, parse_name

UNET = "down_blocks.0.attentions.1.transformer_blocks.0.attn1"
TEXT = "text_model.encoder.layers.0.self_attn"


@pytest.mark.parametrize(("name", "part", "path", "role"), [
    (f"unet.{UNET}.to_q.lora.down.weight", "unet", f"{UNET}.to_q", "down"),
    (f"unet.{UNET}.to_out.0.lora.up.weight", "unet", f"{UNET}.to_out.0", "up"),
    (f"unet.{UNET}.to_k.lora_linear_layer.up.weight", "unet", f"{UNET}.to_k", "up"),
    (f"text_encoder.{TEXT}.q_proj.lora_linear_layer.down.weight", "text_encoder",
     f"{TEXT}.q_proj", "down"),
    (f"text_encoder.{TEXT.removeprefix('text_model.')}.q_proj.lora_A.weight", "text_encoder",
     f"{TEXT}.q_proj", "down"),
    (f"text_encoder.{TEXT}.to_out_lora.up.weight", "text_encoder", f"{TEXT}.out_proj", "up"),
    (f"unet.{UNET}.processor.to_v_lora.up.weight", "unet", f"{UNET}.to_v", "up"),
    (f"{UNET}.processor.to_out_lora.down.weight", "unet", f"{UNET}.to_out.0", "down"),
    (f"base_model.model.{UNET}.to_q.lora_A.weight", "unet", f"{UNET}.to_q", "down"),
    (f"base_model.model.{UNET}.to_q.lora_B.default.weight", "unet", f"{UNET}.to_q", "up"),
    (f"base_model.model.unet.{UNET}.to_q.lora_A.style_00.weight", "unet", f"{UNET}.to_q", "down"),
    (f"unet.base_model.model.{UNET}.to_q.lora_B.weight", "unet", f"{UNET}.to_q", "up"),
    (f"base_model.model.{TEXT}.v_proj.lora_A.weight", "text_encoder", f"{TEXT}.v_proj", "down"),
    (f"base_model.model.{TEXT.removeprefix('text_model.')}.v_proj.lora_A.weight", "text_encoder",
     f"{TEXT}.v_proj", "down"),
    (f"unet.{UNET}.to_q.alpha", "unet", f"{UNET}.to_q", "alpha"),
    ("lora_unet_down_blocks_0_attentions_1_transformer_blocks_0_attn1_to_out_0.lora_down.weight",
     "unet", f"{UNET}.to_out.0", "down"),
    ("lora_unet_input_blocks_2_1_transformer_blocks_0_attn1_to_q.alpha", "unet", f"{UNET}.to_q",
     "alpha"),
    ("lora_te_text_model_encoder_layers_0_self_attn_k_proj.lora_up.weight", "text_encoder",
     f"{TEXT}.k_proj", "up"),
    ("lora_te_text_model_encoder_layers_11_mlp_fc1.lora_up.weight", "text_encoder",
     "text_model.encoder.layers.11.mlp.fc1", "up"),
    (f"text_encoder.{TEXT}.k_proj.to_k_lora.down.weight", "text_encoder", f"{TEXT}.k_proj", "down"),
    (f"text_encoder.{TEXT}.out_proj.to_out_lora.up.weight", "text_encoder", f"{TEXT}.out_proj",
     "up"),
    (f"{UNET}.processor.to_q.lora_A.weight", "unet", f"{UNET}.to_q", "down"),
    (f"unet.{UNET}.processor.to_out.lora.up.weight", "unet", f"{UNET}.to_out.0", "up"),
    (f"unet._orig_mod.{UNET}.to_q.lora_A.weight", "unet", f"{UNET}.to_q", "down"),
    (f"base_model.model.module.{UNET}.to_q.lora_A.weight", "unet", f"{UNET}.to_q", "down"),
    (f"{UNET}.to_q.lora_B", "unet", f"{UNET}.to_q", "up"),
    ("lora_te1_text_model_encoder_layers_0_mlp_fc2.alpha", "text_encoder",
     "text_model.encoder.layers.0.mlp.fc2", "alpha"),
    (f"lora_te.{TEXT}.q_proj.lora_down.weight", "text_encoder", f"{TEXT}.q_proj", "down"),
    (f"lora_unet.{UNET}.to_q.alpha", "unet", f"{UNET}.to_q", "alpha"),
    (f"clip_l.{TEXT}.q_proj.alpha", "text_encoder", f"{TEXT}.q_proj", "alpha"),
    (f"text_encoders.clip_l.transformer.{TEXT}.q_proj.lora_up.weight", "text_encoder",
     f"{TEXT}.q_proj", "up"),
    (f"text_encoders.clip_h.transformer.{TEXT}.q_proj.lora_up.weight", "text_encoder",
     f"{TEXT}.q_proj", "up"),
    ("diffusion_model.output_blocks.5.1.transformer_blocks.0.attn2.to_k.lora_down.weight", "unet",
     "up_blocks.1.attentions.2.transformer_blocks.0.attn2.to_k", "down"),
    ("unet.output_blocks.5.1.transformer_blocks.0.ff.net.0.proj.alpha", "unet",
     "up_blocks.1.attentions.2.transformer_blocks.0.ff.net.0.proj", "alpha"),
    ("lycoris_down_blocks_0_resnets_1_conv1.lora_mid.weight", "unet",
     "down_blocks.0.resnets.1.conv1", "mid"),
    ("lycoris_text_model_encoder_layers_0_mlp_fc1.lora_up.weight", "text_encoder",
     "text_model.encoder.layers.0.mlp.fc1", "up"),
])
def test_names(name: str, part: Any, path: str, role: Any) -> None:
    found = parse_name(name)
    assert found is not None
    assert replace(found, adapter=None) == TensorName(part, path, role)


@pytest.mark.parametrize(("ending", "adapter"), [
    ("lora_A.weight", None), ("lora_A", None), ("lora_A.default.weight", "default"),
    ("lora_A.style_00.weight", "style_00"),
])
def test_names_of_adapters(ending: str, adapter: str | None) -> None:
    found = parse_name(f"base_model.model.{UNET}.to_q.{ending}")
    assert found == TensorName("unet", f"{UNET}.to_q", "down", adapter)


@pytest.mark.parametrize("name", [
    "lora_te2_text_model_encoder_layers_0_mlp_fc1.lora_up.weight",
    "lora_unet_conv_in.hada_w1_a", f"unet.{UNET}.to_q.lora_magnitude_vector", f"{UNET}.to_q.weight",
    f"base_model.model.{UNET}.to_q.lora_B.bias",
])
def test_names_that_are_not_understood(name: str) -> None:
    assert parse_name(name) is None


def test_kohya_names_of_every_layer(loras: Any) -> None:
    """Underscores for dots loses nothing that this cannot restore."""
    for layout in loras.layouts.values():
        for path in layout:
            assert dotted(path.replace(".", "_")) == path
            assert unet_module(path) == path


@pytest.mark.parametrize(("original", "diffusers"), [
    ("input_blocks.0.0", "conv_in"),
    ("input_blocks.1.0.in_layers.2", "down_blocks.0.resnets.0.conv1"),
    ("input_blocks.1.1.proj_in", "down_blocks.0.attentions.0.proj_in"),
    ("input_blocks.3.0.op", "down_blocks.0.downsamplers.0.conv"),
    ("input_blocks.4.0.skip_connection", "down_blocks.1.resnets.0.conv_shortcut"),
    ("input_blocks.8.1.transformer_blocks.0.ff.net.0.proj",
     "down_blocks.2.attentions.1.transformer_blocks.0.ff.net.0.proj"),
    ("input_blocks.11.0.emb_layers.1", "down_blocks.3.resnets.1.time_emb_proj"),
    ("middle_block.0.in_layers.2", "mid_block.resnets.0.conv1"),
    ("middle_block.1.proj_out", "mid_block.attentions.0.proj_out"),
    ("middle_block.2.out_layers.3", "mid_block.resnets.1.conv2"),
    ("output_blocks.0.0.in_layers.2", "up_blocks.0.resnets.0.conv1"),
    ("output_blocks.2.1.conv", "up_blocks.0.upsamplers.0.conv"),
    ("output_blocks.5.2.conv", "up_blocks.1.upsamplers.0.conv"),
    ("output_blocks.11.1.proj_in", "up_blocks.3.attentions.2.proj_in"),
    ("time_embed.0", "time_embedding.linear_1"),
    ("time_embed.2", "time_embedding.linear_2"),
    ("out.2", "conv_out"),
])
def test_names_of_the_original_code(original: str, diffusers: str, loras: Any) -> None:
    flat = original.replace(".", "_")
    for name in (f"lora_unet_{flat}", f"unet.{original}", f"diffusion_model.{original}",
                 f"model.diffusion_model.{original}", f"lora_unet.{original}", original):
        assert parse_name(f"{name}.lora_up.weight") == TensorName("unet", diffusers, "up")
    assert diffusers in loras.layouts["unet"]


DOWN = np.arange(24, dtype=np.float32).reshape(2, 12)
UP = np.arange(16, dtype=np.float32).reshape(8, 2) - 3


def read_one(folder: Path, tensors: dict[str, Any], header: dict[str, str] | None = None,
             name: str = "pytorch_lora_weights.safetensors") -> LoRAWeights:
    save_file(tensors, folder / name, header)
    return read_lora(folder)


def peft_pair(prefix: str = "base_model.model.") -> dict[str, Any]:
    return {f"{prefix}a.to_q.lora_A.weight": DOWN, f"{prefix}a.to_q.lora_B.weight": UP}


def test_alpha_is_the_rank_where_nothing_says_it(tmp_path: Path) -> None:
    layer = read_one(tmp_path, peft_pair("unet.")).layers["unet"]["a.to_q"]
    assert (layer.rank, layer.alpha, layer.scale) == (2, 2, 1)
    assert np.array_equal(layer.down, DOWN)
    assert np.array_equal(layer.up, UP)


def test_alpha_of_kohya(tmp_path: Path) -> None:
    layer = read_one(tmp_path, {
        "lora_unet_a_to_q.lora_down.weight": DOWN.astype(np.float16),
        "lora_unet_a_to_q.lora_up.weight": UP.astype(np.float16),
        "lora_unet_a_to_q.alpha": np.array(0.5, np.float16),
    }).layers["unet"]["a.to_q"]
    assert (layer.alpha, layer.scale) == (0.5, 0.25)
    assert layer.down.dtype == np.float32
    assert np.array_equal(layer.down, DOWN)


@pytest.mark.parametrize(("settings", "alpha"), [
    ({"r": 2, "lora_alpha": 6}, 6),
    ({"lora_alpha": 6, "alpha_pattern": {"a.to_q": 3}}, 3),
    ({"lora_alpha": 6, "alpha_pattern": {"to_q": 3}}, 3),
    ({"lora_alpha": 6, "alpha_pattern": {"^unet.a.to_q": 3, "o_q": 4}}, 6),
    ({"lora_alpha": 6, "use_rslora": True}, 6 * 2**0.5),
    ({"lora_alpha": None, "alpha_pattern": None}, 2),
])
def test_alpha_of_peft_and_diffusers(settings: Any, alpha: float, tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text(json.dumps(settings))
    peft = read_one(tmp_path, peft_pair(), name="adapter_model.safetensors")
    assert peft.layers["unet"]["a.to_q"].alpha == pytest.approx(alpha)
    header = {"format": "pt", "author": "me", "lora_adapter_metadata": json.dumps(
        {f"unet.{key}": value for key, value in settings.items()} | {"text_encoder.lora_alpha": 9})}
    diffusers = read_one(tmp_path, {"unet.a.to_q.lora.down.weight": DOWN,
                                    "unet.a.to_q.lora.up.weight": UP}, header)
    assert diffusers.layers["unet"]["a.to_q"].alpha == pytest.approx(alpha)
    assert diffusers.about == {"author": "me"}


def test_bfloat16_widens_exactly(tmp_path: Path) -> None:
    values = np.array([[1.0, -2.5, 3.140625, 1e-30], [65280.0, 2**-130, 0.0, -0.0]], np.float32)
    bits = (values.view(np.uint32) >> 16).astype(np.uint16)
    expected = (bits.astype(np.uint32) << 16).view(np.float32)
    names = ("unet.a.to_q.lora.down.weight", "unet.a.to_q.lora.up.weight")
    header = {name: {"dtype": "BF16", "shape": shape, "data_offsets": [16 * i, 16 * i + 16]}
              for i, (name, shape) in enumerate(zip(names, ([2, 4], [4, 2]), strict=True))}
    text = json.dumps(header).encode()
    (tmp_path / "x.safetensors").write_bytes(
        len(text).to_bytes(8, "little") + text + 2 * bits.tobytes())
    layer = read_lora(tmp_path / "x.safetensors").layers["unet"]["a.to_q"]
    assert layer.down.tobytes() == expected.tobytes()
    assert layer.up.tobytes() == expected.tobytes()
