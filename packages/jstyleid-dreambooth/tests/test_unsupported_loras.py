"""LoRAs of other models and other methods are refused by name, degenerate ones with the layer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from jstyleid_core.errors import CheckpointError
from jstyleid_dreambooth import read_lora
from jstyleid_dreambooth.lora.files import reading

LAYER = "down_blocks.0.attentions.1.transformer_blocks.0.attn1.to_q"
NAME = f"unet.{LAYER}"
DOWN, UP = np.ones((2, 12), np.float32), np.ones((8, 2), np.float32)


def refusal(folder: Path, tensors: dict[str, Any]) -> str:
    file = folder / "x.safetensors"
    save_file({name: np.asarray(values) for name, values in tensors.items()}, file)
    with pytest.raises(CheckpointError) as caught:
        read_lora(file)
    return str(caught.value).removeprefix(str(file)).lstrip(": ")


def pair(layer: str, width: int = 12, down: str = "lora_A.weight",
         up: str = "lora_B.weight") -> dict[str, Any]:
    return {f"{layer}.{down}": np.ones((2, width), np.float32), f"{layer}.{up}": UP}


@pytest.mark.parametrize(("layer", "width", "model"), [
    ("unet.down_blocks.1.attentions.0.transformer_blocks.1.attn1.to_q", 640, "SDXL"),
    ("lora_unet_input_blocks_4_1_transformer_blocks_1_attn1_to_q", 640, "SDXL"),
    ("lora_unet_middle_block_1_transformer_blocks_9_attn1_to_q", 1280, "SDXL"),
    ("diffusion_model.input_blocks.4.1.transformer_blocks.1.attn1.to_q", 640, "SDXL"),
    ("lora_te2_text_model_encoder_layers_0_mlp_fc1", 1280, "SDXL"),
    ("text_encoder_2.text_model.encoder.layers.0.mlp.fc1", 1280, "SDXL"),
    ("text_encoders.clip_g.transformer.text_model.encoder.layers.0.mlp.fc1", 1280, "SDXL"),
    ("unet.down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k", 2048, "SDXL"),
    ("lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn2_to_v", 2048, "SDXL"),
    ("unet.add_embedding.linear_1", 2816, "SDXL"),
    ("lora_unet_label_emb_0_0", 2816, "SDXL"),
    ("lora_unet_joint_blocks_0_x_block_attn_qkv", 1536, "SD3"),
    ("transformer.transformer_blocks.0.attn.to_q", 1536, "SD3"),
    ("lora_transformer_transformer_blocks_0_attn_to_q", 2432, "SD3"),
    ("lora_te3_encoder_block_0_layer_0_SelfAttention_q", 4096, "SD3"),
    ("lora_unet_double_blocks_0_img_attn_qkv", 3072, "FLUX"),
    ("lora_unet_single_blocks_0_linear1", 3072, "FLUX"),
    ("diffusion_model.double_blocks.0.img_attn.qkv", 3072, "FLUX"),
    ("transformer.single_transformer_blocks.0.attn.to_q", 3072, "FLUX"),
    ("transformer.transformer_blocks.0.attn.to_q", 3072, "FLUX"),
    ("base_model.model.transformer_blocks.0.attn.to_q", 3072, "FLUX"),
    ("lora_unet_double_blocks_0_img_mod_linear", 3072, "HunyuanVideo"),
    ("transformer.transformer_blocks.0.img_mlp.net.2", 12288, "Qwen-Image"),
    ("diffusion_model.blocks.0.cross_attn.q", 5120, "Wan"),
    ("lora_unet_blocks_0_self_attn_k", 5120, "Wan"),
    ("diffusion_model.layers.0.attention.qkv", 3840, "Lumina or Z-Image"),
    ("transformer.transformer_blocks.0.attn1.to_q", 1152, "a diffusion transformer"),
    ("lora_prior_unet_down_blocks_0_0_attention_to_q", 1280, "Stable Cascade"),
    ("down_blocks.0.motion_modules.0.transformer_blocks.0.attn1.to_q", 320, "AnimateDiff"),
    ("base_model.model.model.layers.0.self_attn.q_proj", 4096, "a language model"),
])
def test_other_models(layer: str, width: int, model: str, tmp_path: Path) -> None:
    ends = ("lora_down.weight", "lora_up.weight") if "_blocks_" in layer else (
        "lora_A.weight", "lora_B.weight")
    tensors = pair(NAME) | pair(layer, width, *ends)
    assert refusal(tmp_path, tensors).startswith(f"is a LoRA for {model}, by its tensor {layer}.")


@pytest.mark.parametrize(("name", "method"), [
    (f"{NAME}.lora_magnitude_vector", "DoRA"),
    (f"{NAME}.lora_magnitude_vector.default.weight", "DoRA"),
    ("lora_unet_conv_in.dora_scale", "DoRA"),
    ("lora_unet_conv_in.hada_w1_a", "LoHa"),
    ("lora_unet_conv_in.lokr_w2", "LoKr"),
    ("lora_unet_conv_in.oft_blocks", "OFT"),
    (f"base_model.model.{LAYER}.boft_R", "BOFT"),
    ("lora_unet_conv_in.diff", "full differences of weights"),
    ("lora_unet_conv_in.diff_b", "full differences of weights"),
    ("diffusion_model.out.0.w_norm", "trained norms"),
    ("lora_unet_conv_in.a1.weight", "GLoRA"),
    ("lora_unet_conv_in.on_input", "(IA)^3"),
    (f"base_model.model.{LAYER}.lora_E", "AdaLoRA"),
    (f"base_model.model.{LAYER}.lora_B.bias", "a LoRA with biases"),
    (f"base_model.model.{LAYER}.bias", "a LoRA with biases"),
    ("base_model.model.text_model.embeddings.token_embedding.lora_embedding_A",
     "a LoRA of an embedding"),
    ("unet:0:up", "the LoRA code of 2022 that counts its layers"),
])
def test_other_methods(name: str, method: str, tmp_path: Path) -> None:
    assert refusal(tmp_path, pair(NAME) | {name: UP}) == (
        f"{name} belongs to {method}, which is not supported. Use a plain LoRA.")


def test_files_of_other_methods_alone(tmp_path: Path) -> None:
    assert "LoHa" in refusal(tmp_path, {f"lycoris_conv_in.hada_w{i}_a": UP for i in (1, 2)})
    assert "counts its layers" in refusal(tmp_path, {"unet:0:up": UP, "unet:0:down": DOWN})


def test_a_checkpoint_of_another_model_is_no_lora(tmp_path: Path) -> None:
    tensors = {"label_emb.0.0.weight": DOWN, "double_blocks.0.img_attn.qkv.bias": UP}
    assert refusal(tmp_path, tensors).startswith("holds no LoRA tensors; it holds 2 tensors")


def test_embeddings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that OneTrainer bundles are left out, and said; alone they are no LoRA."""
    notes: list[str] = []
    monkeypatch.setattr(reading, "note_once", notes.append)
    bundled = {"bundle_emb.cat.string_to_param.*": UP, "bundle_emb.cat.clip_l": UP}
    file = tmp_path / "x.safetensors"
    save_file(pair(NAME) | bundled, file)
    assert list(read_lora(file).layers["unet"]) == [LAYER]
    assert notes == [f"{file}: the embeddings that are bundled with the LoRA are left out (cat); "
                     "in prompts these words have no meaning of their own."]
    for alone in (bundled, {"emb_params": UP}):
        assert refusal(tmp_path, alone).startswith(
            "holds no LoRA tensors; it holds an embedding of textual inversion.")


def layer(**changes: Any) -> dict[str, Any]:
    values = {"down": DOWN, "up": UP} | changes
    ends = {"down": "lora_down.weight", "up": "lora_up.weight", "mid": "lora_mid.weight",
            "alpha": "alpha"}
    return {f"lora_unet_conv_in.{ends[role]}": value for role, value in values.items()}


@pytest.mark.parametrize(("tensors", "message"), [
    (layer(down=DOWN[:0], up=UP[:, :0]), "has rank 0, which is no rank of its layer"),
    (layer(down=DOWN[:, :0]), "has rank 2, which is no rank of its layer"),
    (layer(up=UP[:0]), "has rank 2, which is no rank of its layer"),
    (layer(down=np.ones((13, 12), np.float32), up=np.ones((8, 13), np.float32)),
     "has rank 13, which is no rank of its layer: A (down) is [13, 12] and B (up) is [8, 13]."),
    (layer(up=UP[:, :1]), "the rank of unet.conv_in is unclear"),
    (layer(up=UP.T.copy()), "the rank of unet.conv_in is unclear"),
    (layer(down=DOWN.ravel()), "the rank of unet.conv_in is unclear"),
    (layer(down=np.float32(1)), "the rank of unet.conv_in is unclear"),
    (layer(up=np.ones((8, 2, 3, 3), np.float32)), "the rank of unet.conv_in is unclear"),
    (layer(down=DOWN * np.float32("nan")), "holds numbers that are not finite"),
    (layer(up=np.full((8, 2), np.inf, np.float16)), "holds numbers that are not finite"),
    (layer(down=DOWN.astype(np.float64) * 1e300), "holds numbers that are not finite"),
    (layer(alpha=np.float32("nan")), "and alpha nan, which give no finite update"),
    (layer(alpha=np.float16("inf")), "and alpha inf, which give no finite update"),
    (layer(alpha=np.float32(3e38), up=UP * 2), "which give no finite update"),
    (layer(down=DOWN * np.float32(1e30), up=UP * np.float32(1e30)), "which give no finite update"),
    (layer(alpha=np.ones(0, np.float32)), "the alpha of unet.conv_in holds 0 numbers, not one"),
    (layer(alpha=np.ones(8, np.float32)), "the alpha of unet.conv_in holds 8 numbers, not one"),
    (layer(mid=np.ones((3, 3, 3, 3), np.float32)), "the middle of unet.conv_in is [3, 3, 3, 3]"),
    (layer(down=np.ones((2, 4, 3, 3), np.float32), mid=np.ones((2, 2, 3, 3), np.float32)),
     "they do not make a convolution of rank 2"),
    (layer(mid=np.full((2, 2, 3, 3), np.inf, np.float32)), "holds numbers that are not finite"),
    ({"lora_unet_conv_in.alpha": np.float32(1)}, "of A (down) and B (up) there is only: alpha"),
    (layer() | pair("unet.conv_in"), "is there twice, as lora_unet_conv_in.lora_down.weight and as "
                                     "unet.conv_in.lora_A.weight"),
    (layer() | pair("lora_unet_input_blocks_0_0", 12, "lora_down.weight", "lora_up.weight"),
     "is there twice"),
    (pair(NAME, 12, "lora_A.a.weight", "lora_B.a.weight")
     | pair(NAME, 12, "lora_A.b.weight", "lora_B.b.weight"),
     "holds several adapters, among them a and b. Save one adapter alone."),
    (pair(NAME) | pair(NAME, 12, "lora_A.b.weight", "lora_B.b.weight"),
     "holds several adapters, among them "),
    (pair("unet." + "x" * 500), "a tensor has a name of 519 characters"),
])
def test_layers_that_cannot_be_used(
    tensors: dict[str, Any], message: str, tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    found = refusal(tmp_path, tensors)
    assert message in found
    assert "conv_in" in found or "adapters" in found or "name of" in found
    assert not recwarn.list


def test_a_rank_above_the_inputs_is_one(tmp_path: Path) -> None:
    """kohya's scripts give every layer one rank, `conv_in` with its 36 inputs too."""
    file = tmp_path / "x.safetensors"
    save_file(layer(down=np.ones((20, 12), np.float32), up=np.ones((40, 20), np.float32)), file)
    assert read_lora(file).ranks() == [20]
