"""The configuration files of a checkpoint: architecture and schedule.

Each model reads the fields that change the computation. A field that asks for something this
project does not build (class embeddings, SDXL's extra conditioning, …) is refused by name instead
of being ignored; fields that only matter elsewhere (training, safety checker) are left unread.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator, model_validator

from jstyleid_core.errors import CheckpointError
from jstyleid_core.validation import problems_of

C = TypeVar("C", bound="CheckpointConfig")


class CheckpointConfig(BaseModel):
    """Base: frozen, built by `read` with errors that name the file and the field."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    @classmethod
    def read(cls: type[C], path: Path) -> C:
        """Parse a JSON file of a checkpoint.

        Raises:
            CheckpointError: the file is missing or broken, or a field has an unsupported value.
        """
        try:
            raw = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise CheckpointError(
                f"{path} is missing: the checkpoint is incomplete. Download it again."
            ) from error
        except (UnicodeDecodeError, json.JSONDecodeError) as error:
            raise CheckpointError(
                f"{path} is not valid JSON ({error}). Replace the file.") from error
        try:
            return cls.model_validate(raw)
        except ValidationError as error:
            first = problems_of(error)[0]
            raise CheckpointError(
                f"{path}: {first.field or 'the file'} = {first.value!r} is not supported "
                f"({first.reason})."
            ) from error


class UNetConfig(CheckpointConfig):
    """`unet/config.json` of a UNet2DConditionModel."""

    sample_size: int
    in_channels: int = 4
    out_channels: int = 4
    down_block_types: tuple[Literal["CrossAttnDownBlock2D", "DownBlock2D"], ...]
    up_block_types: tuple[Literal["CrossAttnUpBlock2D", "UpBlock2D"], ...]
    mid_block_type: Literal["UNetMidBlock2DCrossAttn"] = "UNetMidBlock2DCrossAttn"
    block_out_channels: tuple[int, ...]
    layers_per_block: int = 2
    cross_attention_dim: int
    attention_head_dim: int | tuple[int, ...] = 8
    num_attention_heads: int | tuple[int, ...] | None = None
    norm_num_groups: int = 32
    norm_eps: float = 1e-5
    use_linear_projection: bool = False
    upcast_attention: bool = False
    flip_sin_to_cos: bool = True
    freq_shift: float = 0

    act_fn: Literal["silu", "swish"] = "silu"
    downsample_padding: Literal[1] = 1
    mid_block_scale_factor: Literal[1] = 1
    conv_in_kernel: Literal[3] = 3
    conv_out_kernel: Literal[3] = 3
    transformer_layers_per_block: Literal[1] = 1
    resnet_time_scale_shift: Literal["default"] = "default"
    time_embedding_type: Literal["positional"] = "positional"
    attention_type: Literal["default"] = "default"
    center_input_sample: Literal[False] = False
    dual_cross_attention: Literal[False] = False
    only_cross_attention: Literal[False] = False
    addition_embed_type: None = None
    class_embed_type: None = None
    num_class_embeds: None = None
    encoder_hid_dim: None = None
    time_cond_proj_dim: None = None
    time_embedding_dim: None = None

    @property
    def heads(self) -> tuple[int, ...]:
        """Attention heads of each level. The checkpoints call this `attention_head_dim`."""
        heads = self.num_attention_heads or self.attention_head_dim
        return (heads,) * len(self.block_out_channels) if isinstance(heads, int) else heads

    @model_validator(mode="after")
    def _levels_agree(self) -> UNetConfig:
        levels = len(self.block_out_channels)
        for name in ("down_block_types", "up_block_types", "heads"):
            if len(getattr(self, name)) != levels:
                raise ValueError(f"{name} must have {levels} entries, as block_out_channels has")
        return self


class VAEConfig(CheckpointConfig):
    """`vae/config.json` of an AutoencoderKL."""

    in_channels: int = 3
    out_channels: int = 3
    latent_channels: int = 4
    block_out_channels: tuple[int, ...]
    layers_per_block: int = 2
    norm_num_groups: int = 32
    scaling_factor: float = 0.18215

    act_fn: Literal["silu", "swish"] = "silu"
    down_block_types: tuple[Literal["DownEncoderBlock2D"], ...]
    up_block_types: tuple[Literal["UpDecoderBlock2D"], ...]
    mid_block_add_attention: Literal[True] = True
    use_quant_conv: Literal[True] = True
    use_post_quant_conv: Literal[True] = True
    shift_factor: None = None
    latents_mean: None = None


class TextConfig(CheckpointConfig):
    """`text_encoder/config.json` of a CLIPTextModel."""

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    max_position_embeddings: int = 77
    layer_norm_eps: float = 1e-5
    hidden_act: Literal["gelu", "quick_gelu"] = "quick_gelu"


@dataclass(frozen=True)
class Architecture:
    """The configurations of a checkpoint's three networks."""

    unet: UNetConfig
    vae: VAEConfig
    text: TextConfig

    @classmethod
    def read(cls, folder: Path) -> Architecture:
        """Read the configurations in a checkpoint's folder.

        Raises:
            CheckpointError: one is missing or broken, or asks for something unknown.
        """
        return cls(
            UNetConfig.read(folder / "unet" / "config.json"),
            VAEConfig.read(folder / "vae" / "config.json"),
            TextConfig.read(folder / "text_encoder" / "config.json"),
        )


class ScheduleConfig(CheckpointConfig):
    """`scheduler/scheduler_config.json`: any scheduler's file, read for DDIM."""

    num_train_timesteps: int = 1000
    beta_start: float = 0.00085
    beta_end: float = 0.012
    beta_schedule: Literal["scaled_linear", "linear"] = "scaled_linear"
    prediction_type: Literal["epsilon", "v_prediction"] = "epsilon"
    steps_offset: int = 0
    set_alpha_to_one: bool = True
    timestep_spacing: Literal["leading"] = "leading"

    trained_betas: None = None
    rescale_betas_zero_snr: Literal[False] = False
    thresholding: Literal[False] = False
    clip_sample: Literal[False] = False

    @field_validator("prediction_type", mode="before")
    @classmethod
    def _absent_means_epsilon(cls, value: object) -> object:
        return "epsilon" if value is None else value
