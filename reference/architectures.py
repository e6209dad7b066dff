"""The small checkpoints' architectures, written down as diffusers and transformers classes.

Everything that makes Stable Diffusion 2.1 and 1.5 different for an implementation is kept: the
kind of projection around the attention (linear or 1x1 convolution), the meaning of
``attention_head_dim`` (a list or one number; diffusers reads both as *number of heads*), the
activation of the text encoder, the padding token, the prediction type, the scheduler's class.
"""

from __future__ import annotations

from dataclasses import dataclass

from diffusers import AutoencoderKL, DDIMScheduler, PNDMScheduler, UNet2DConditionModel
from diffusers.schedulers.scheduling_utils import SchedulerMixin
from transformers import CLIPTextConfig, CLIPTextModel

TEXT_WIDTH = 48
POSITIONS = 77


@dataclass(frozen=True)
class Family:
    """What differs between the small checkpoints."""

    prediction: str  # what the UNet predicts: "v_prediction" or "epsilon"
    sample_size: int  # the UNet's nominal latent height and width
    heads: int | list[int]  # attention heads, for all levels or a level
    linear_projection: bool  # Transformer2D's proj_in/proj_out: linear, or 1x1 convolution
    upcast_attention: bool
    activation: str  # of the text encoder's MLP
    pad_token: str
    scheduler: type[DDIMScheduler] | type[PNDMScheduler]
    published_names: bool  # tensors spelled as in the published files (see make_checkpoints.py)


FAMILIES = {
    "sd21-v": Family(
        "v_prediction", 24, [2, 4, 4, 4], True, True, "gelu", "!", DDIMScheduler, True
    ),
    "sd21-base": Family(
        "epsilon", 16, [2, 4, 4, 4], True, False, "gelu", "!", DDIMScheduler, False
    ),
    "sd15": Family(
        "epsilon", 16, 4, False, False, "quick_gelu", "<|endoftext|>", PNDMScheduler, True
    ),
}


def unet(family: Family) -> UNet2DConditionModel:
    """Return a UNet of four levels, 3.3 M parameters, with torch's initial weights."""
    return UNet2DConditionModel(
        sample_size=family.sample_size,
        block_out_channels=(32, 64, 64, 64),
        layers_per_block=2,
        down_block_types=("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",),
        up_block_types=("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3,
        norm_num_groups=32,
        cross_attention_dim=TEXT_WIDTH,
        attention_head_dim=family.heads,
        use_linear_projection=family.linear_projection,
        upcast_attention=family.upcast_attention,
    )


def vae() -> AutoencoderKL:
    """Return an autoencoder that shrinks pictures 8 times, 1.4 M parameters."""
    return AutoencoderKL(
        sample_size=128,
        block_out_channels=(32, 32, 64, 64),
        layers_per_block=2,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        latent_channels=4,
        norm_num_groups=32,
        scaling_factor=0.18215,
    )


def text_encoder(family: Family, vocabulary: dict[str, int]) -> CLIPTextModel:
    """Return a CLIP text encoder of three layers for ``vocabulary`` (token -> id)."""
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(vocabulary),
            hidden_size=TEXT_WIDTH,
            intermediate_size=2 * TEXT_WIDTH,
            projection_dim=TEXT_WIDTH,
            num_hidden_layers=3,
            num_attention_heads=4,
            max_position_embeddings=POSITIONS,
            hidden_act=family.activation,
            bos_token_id=vocabulary["<|startoftext|>"],
            eos_token_id=vocabulary["<|endoftext|>"],
            pad_token_id=vocabulary[family.pad_token],
        )
    )


def scheduler(family: Family) -> SchedulerMixin:
    """Return the scheduler whose configuration the checkpoint carries.

    The published 768-v checkpoint names DDIM; 1.5 names PNDM, and users turn it into DDIM with
    ``DDIMScheduler.from_config``: both have the same noise schedule.
    """
    config = {
        "num_train_timesteps": 1000,
        "beta_start": 0.00085,
        "beta_end": 0.012,
        "beta_schedule": "scaled_linear",
        "steps_offset": 1,
        "set_alpha_to_one": False,
        "clip_sample": False,  # not a PNDM option, but published files carry it for DDIM's sake
        "skip_prk_steps": True,  # and this one is PNDM's, but stands in the DDIM files too
        "prediction_type": family.prediction,
        "timestep_spacing": "leading",
    }
    return family.scheduler.from_config(config)
