"""The configuration files of a checkpoint: architecture and schedule.

Each model reads the fields that change the computation. A field that asks for something this
project does not build (class embeddings, SDXL's extra conditioning, …) is refused by name instead
of being ignored; fields that only matter elsewhere (training, safety checker) are left unread.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from jstyleid_core.errors import CheckpointError, InputError
from jstyleid_core.json_files import read_json
from jstyleid_core.notes import note_once
from jstyleid_core.validation import problems_of

C = TypeVar("C", bound="CheckpointConfig")

Positive = Annotated[int, Field(gt=0)]
Component = Literal["unet", "vae", "text_encoder"]
"""The networks of a checkpoint, by the names of their folders."""
PredictionType = Literal["epsilon", "v_prediction"]
"""What a UNet predicts: the noise, or the velocity (Salimans & Ho 2022)."""


class CheckpointConfig(BaseModel):
    """Base: frozen, built by `read` with errors that name the file and the field."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    @classmethod
    def read(cls: type[C], path: Path, **others: Any) -> C:
        """Parse a JSON file of a checkpoint.

        Args:
            path: the file.
            others: fields with other values than in the file.

        Raises:
            CheckpointError: the file is missing or broken, or a field has an unsupported value.
        """
        raw = cls._without_others(read_json(path), path)
        return cls.checked(path, {**raw, **others} if isinstance(raw, dict) else raw)

    @classmethod
    def checked(cls: type[C], path: Path, raw: Any) -> C:
        """A configuration from the content of a file.

        Raises:
            CheckpointError: a field has an unsupported value.
        """
        try:
            return cls.model_validate(raw)
        except ValidationError as error:
            first = problems_of(error)[0]
            what = f"{first.field} = {first.value!r}" if first.field else "it"
            raise CheckpointError(
                f"{path}: {what} is not supported ({first.reason}).") from error


    @classmethod
    def _without_others(cls, raw: Any, path: Path) -> Any:
        """The file's content without what is noted and not used; all of it is used here."""
        return raw

    @model_validator(mode="before")
    @classmethod
    def _as_written(cls, raw: Any) -> Any:
        """Null means the default, and a list a level whose entries agree means one of them.

        Converters and old versions of diffusers write both, and an empty list for null.
        """
        if not isinstance(raw, dict):
            return raw
        kept = {name: value for name, value in raw.items() if value is not None}
        for name, value in list(kept.items()):
            if not isinstance(value, list) or name in cls._lists:
                continue
            entries = _flat(value)
            if not entries:
                del kept[name]
            elif all(type(e) is type(entries[0]) and e == entries[0] for e in entries):
                kept[name] = entries[0]
        return kept

    _lists: ClassVar[frozenset[str]] = frozenset()
    """Fields that are lists here, too."""


def _flat(values: list[Any]) -> list[Any]:
    return [inner for value in values
            for inner in (_flat(value) if isinstance(value, list) else [value])]


def _divided(widths: tuple[int, ...], name: str, parts: tuple[int, ...]) -> None:
    for width, number in zip(widths, parts, strict=True):
        if width % number:
            raise ValueError(f"{width} channels cannot be divided by {number} ({name})")


_OTHER_UNETS = {
    5: "of a depth model, which takes a depth map beside the picture",
    7: "of an upscaler, which takes a small picture beside the noise",
    8: "of InstructPix2Pix or a video model, which takes a picture beside the noise",
    9: "of an inpainting model, which takes a mask and a picture beside the noise",
}
_TEXT_TO_IMAGE = "Give a text-to-image checkpoint, such as stable-diffusion-2-1"


class UNetConfig(CheckpointConfig):
    """`unet/config.json` of a UNet2DConditionModel."""

    _lists = frozenset(
        {"down_block_types", "up_block_types", "block_out_channels", "attention_head_dim",
         "num_attention_heads"})

    sample_size: Positive = 64
    in_channels: Positive = 4
    out_channels: Positive = 4
    down_block_types: tuple[Literal["CrossAttnDownBlock2D", "DownBlock2D"], ...]
    up_block_types: tuple[Literal["CrossAttnUpBlock2D", "UpBlock2D"], ...]
    mid_block_type: Literal["UNetMidBlock2DCrossAttn"] = "UNetMidBlock2DCrossAttn"
    block_out_channels: tuple[Positive, ...] = Field(min_length=1)
    layers_per_block: Positive = 2
    cross_attention_dim: Positive
    attention_head_dim: Positive | tuple[Positive, ...] = 8
    num_attention_heads: Positive | tuple[Positive, ...] | None = None
    norm_num_groups: Positive = 32
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
    """Set in the UNet of an unCLIP model and of an upscaler."""
    encoder_hid_dim: None = None
    time_cond_proj_dim: None = None
    time_embedding_dim: None = None

    @property
    def heads(self) -> tuple[int, ...]:
        """Attention heads of each level. The checkpoints call this `attention_head_dim`."""
        heads = self.num_attention_heads or self.attention_head_dim
        return (heads,) * len(self.block_out_channels) if isinstance(heads, int) else heads

    @field_validator("in_channels")
    @classmethod
    def _takes_latents_only(cls, value: int) -> int:
        if value in _OTHER_UNETS:
            raise ValueError(f"it is the UNet {_OTHER_UNETS[value]}. {_TEXT_TO_IMAGE}")
        return value

    @field_validator("class_embed_type", "num_class_embeds", mode="before")
    @classmethod
    def _takes_no_class(cls, value: object) -> object:
        raise ValueError("it is the UNet of an unCLIP model or an upscaler, which takes more than "
                         f"a text. {_TEXT_TO_IMAGE}")

    @model_validator(mode="after")
    def _levels_agree(self) -> UNetConfig:
        levels = len(self.block_out_channels)
        for name in ("down_block_types", "up_block_types", "heads"):
            if len(getattr(self, name)) != levels:
                raise ValueError(f"{name} must have {levels} entries, as block_out_channels has")
        _divided(self.block_out_channels, "norm_num_groups", (self.norm_num_groups,) * levels)
        _divided(self.block_out_channels, "attention heads", self.heads)
        return self


class VAEConfig(CheckpointConfig):
    """`vae/config.json` of an AutoencoderKL."""

    _lists = frozenset({"down_block_types", "up_block_types", "block_out_channels"})

    in_channels: Positive = 3
    out_channels: Positive = 3
    latent_channels: Positive = 4
    block_out_channels: tuple[Positive, ...] = Field(min_length=1)
    layers_per_block: Positive = 2
    norm_num_groups: Positive = 32
    scaling_factor: float = 0.18215

    act_fn: Literal["silu", "swish"] = "silu"
    down_block_types: tuple[Literal["DownEncoderBlock2D"], ...]
    up_block_types: tuple[Literal["UpDecoderBlock2D"], ...]
    mid_block_add_attention: Literal[True] = True
    use_quant_conv: Literal[True] = True
    use_post_quant_conv: Literal[True] = True
    shift_factor: None = None
    latents_mean: None = None

    @model_validator(mode="after")
    def _groups_fit(self) -> VAEConfig:
        groups = (self.norm_num_groups,) * len(self.block_out_channels)
        _divided(self.block_out_channels, "norm_num_groups", groups)
        return self


class TextConfig(CheckpointConfig):
    """`text_encoder/config.json` of a CLIPTextModel."""

    vocab_size: Positive
    hidden_size: Positive
    intermediate_size: Positive
    num_hidden_layers: Positive
    num_attention_heads: Positive
    max_position_embeddings: int = Field(77, ge=3)
    layer_norm_eps: float = 1e-5
    hidden_act: Literal["gelu", "quick_gelu"] = "quick_gelu"

    @model_validator(mode="after")
    def _heads_fit(self) -> TextConfig:
        _divided((self.hidden_size,), "num_attention_heads", (self.num_attention_heads,))
        return self


@dataclass(frozen=True)
class Architecture:
    """The configurations of a checkpoint's three networks."""

    unet: UNetConfig
    vae: VAEConfig
    text: TextConfig

    def check(self, path: Path) -> None:
        """Check that the networks fit together.

        Args:
            path: the checkpoint, for messages.

        Raises:
            CheckpointError: they do not.
        """
        unet, latents = self.unet, self.vae.latent_channels
        for field, number, other, network in (
            ("in_channels", unet.in_channels, latents, "autoencoder"),
            ("out_channels", unet.out_channels, latents, "autoencoder"),
            ("cross_attention_dim", unet.cross_attention_dim, self.text.hidden_size,
             "text encoder"),
        ):
            if number != other:
                raise CheckpointError(
                    f"{path}: the UNet's {field} = {number} does not fit the {network}, which has "
                    f"{other} there. {_TEXT_TO_IMAGE}.")


class ScheduleConfig(CheckpointConfig):
    """`scheduler/scheduler_config.json`: any scheduler's file, read for DDIM."""

    num_train_timesteps: int = Field(1000, gt=0, le=100_000)
    beta_start: float = Field(0.00085, gt=0, lt=1)
    beta_end: float = Field(0.012, gt=0, lt=1)
    beta_schedule: Literal["scaled_linear", "linear"] = "scaled_linear"
    prediction_type: PredictionType = "epsilon"
    steps_offset: int = Field(0, ge=0)
    set_alpha_to_one: bool = True
    timestep_spacing: Literal["leading", "trailing"] = "leading"
    rescale_betas_zero_snr: bool = False

    trained_betas: None = None
    thresholding: bool = False

    @classmethod
    def _without_others(cls, raw: Any, path: Path) -> Any:
        if not isinstance(raw, dict):
            return raw
        other = {name: raw[name] for name, values in _OTHER_SAMPLERS.items()
                 if raw.get(name) in values}
        if other:
            listed = " and ".join(f"{name} = {value}" for name, value in other.items())
            note_once(f"{path} is of another sampler; for DDIM {listed} "
                      f"{'is' if len(other) == 1 else 'are'} not used")
        return {name: value for name, value in raw.items() if name not in other}

    @field_validator("thresholding")
    @classmethod
    def _latents_have_no_bound(cls, value: bool) -> bool:
        if value:
            raise ValueError("it is for models of pixels, whose range is known. Set it to false")
        return value

    @model_validator(mode="after")
    def _noise_can_be_predicted(self) -> ScheduleConfig:
        if self.rescale_betas_zero_snr and self.num_train_timesteps < 2:
            raise ValueError("rescale_betas_zero_snr needs num_train_timesteps of 2 at least")
        if self.rescale_betas_zero_snr and self.prediction_type == "epsilon":
            raise ValueError("rescale_betas_zero_snr needs prediction_type v_prediction: at the "
                             "last timestep nothing of the picture is left to take noise from")
        return self


_OTHER_SAMPLERS: dict[str, tuple[object, ...]] = {
    # Euler and DPM-Solver visit other timesteps.
    "timestep_spacing": ("linspace",),
    # diffusers' pipeline does not clip latents either, whatever the file says.
    "clip_sample": (True,),
}


def pixels_per_latent(vae: VAEConfig) -> int:
    """Pixels per latent in each direction, 8 for Stable Diffusion."""
    return int(2 ** (len(vae.block_out_channels) - 1))


def size_multiple(unet: UNetConfig, vae: VAEConfig) -> int:
    """Width and height must be multiples of this: the UNet halves the latents at each level."""
    return pixels_per_latent(vae) * int(2 ** (len(unet.block_out_channels) - 1))


def check_size(size: tuple[int, int], unet: UNetConfig, vae: VAEConfig) -> None:
    """Check that networks can compute pictures of a width and height.

    Raises:
        InputError: they cannot; the message names the nearest sizes.
    """
    multiple = size_multiple(unet, vae)
    if all(side > 0 and side % multiple == 0 for side in size):
        return
    below = tuple(max(multiple, side // multiple * multiple) for side in size)
    above = tuple(max(multiple, -(-side // multiple) * multiple) for side in size)
    nearest = " or ".join(f"{w}x{h}" for w, h in dict.fromkeys((below, above)))
    raise InputError(
        f"size {size[0]}x{size[1]}: width and height must be multiples of {multiple} for this "
        f"checkpoint. Use {nearest}.",
        fields=["size"],
    )
