"""The embedded model's architecture: Stable Diffusion 2.1's, narrow.

Four levels in the UNet and the autoencoder, linear projections around the attention and the
velocity as the prediction, as in SD 2.1: a layer number therefore means the same place in both.
"""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from diffusers.training_utils import EMAModel
from transformers import CLIPTextConfig, CLIPTextModel

SIZE = 128
"""Pixels a side."""
LATENT = SIZE // 8
TEXT_WIDTH = 96
POSITIONS = 77
DECODER = "decoder.pt"
"""State of the autoencoder whose decoder was trained further."""


def autoencoder(scaling_factor: float = 1.0) -> AutoencoderKL:
    """Shrinks pictures 8 times, to 4 channels."""
    return AutoencoderKL(
        sample_size=SIZE,
        block_out_channels=(16, 32, 64, 96),
        layers_per_block=1,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        latent_channels=4,
        norm_num_groups=8,
        scaling_factor=scaling_factor,
    )


def averaged_autoencoder(work: Path, scaling_factor: float = 1.0) -> AutoencoderKL:
    """The autoencoder as its trainings have left it in the folder, the weights averaged."""
    model = autoencoder(scaling_factor)
    average = EMAModel(model.parameters())
    further = work / DECODER
    state = further if further.exists() else work / "autoencoder.pt"
    average.load_state_dict(torch.load(state)["average"])
    average.copy_to(model.parameters())
    return model


def unet() -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=LATENT,
        block_out_channels=(64, 96, 96, 96),
        layers_per_block=2,
        down_block_types=("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",),
        up_block_types=("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3,
        norm_num_groups=16,
        cross_attention_dim=TEXT_WIDTH,
        attention_head_dim=[2, 3, 3, 3],
        use_linear_projection=True,
    )


def text_encoder(vocabulary: dict[str, int]) -> CLIPTextModel:
    """Of two layers, for `vocabulary` (token -> id)."""
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(vocabulary),
            hidden_size=TEXT_WIDTH,
            intermediate_size=2 * TEXT_WIDTH,
            projection_dim=TEXT_WIDTH,
            num_hidden_layers=2,
            num_attention_heads=3,
            max_position_embeddings=POSITIONS,
            hidden_act="gelu",
            bos_token_id=vocabulary["<|startoftext|>"],
            eos_token_id=vocabulary["<|endoftext|>"],
            pad_token_id=vocabulary["!"],
        )
    )


def scheduler() -> DDIMScheduler:
    """SD 2.1's own."""
    return DDIMScheduler(
        num_train_timesteps=1000,
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type="v_prediction",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
        timestep_spacing="leading",
    )
