"""The settings of a training: everything that determines a LoRA except the pictures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    SerializerFunctionWrapHandler,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_serializer,
)
from typing_extensions import Self

from jstyleid_core.errors import InputError, setting
from jstyleid_core.validation import problems_of
from jstyleid_dreambooth.lora.initial import UNET_ATTENTION, LoRASettings
from jstyleid_dreambooth.prompts import TRAINING_FIELDS, check_template


class PriorSettings(BaseModel):
    """Prior preservation (Ruiz et al., section 3.3): train on class images, too.

    Attributes:
        weight: lambda, weight of the class images' loss.
        images: number of class images, which are drawn once and shared by all styles.
        prompt: prompt of the class images; `{object}` is each object of the samples in turn.
        steps, guidance: sampling steps and guidance scale of the class images.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    weight: PositiveFloat = 1.0
    images: int = Field(300, gt=0, le=100_000)
    prompt: str = "an image of {object}"
    steps: int = Field(25, gt=0, le=1000)
    guidance: float = Field(7.5, ge=0, le=100)

    @field_validator("prompt")
    @classmethod
    def _can_be_filled_in(cls, prompt: str) -> str:
        return check_template(prompt, ("object",), setting("prior.prompt"), "prior.prompt")

    @property
    def takes_objects(self) -> bool:
        """Whether the prompt of the class images names objects."""
        return "{object}" in self.prompt

    @property
    def evaluations(self) -> int:
        """UNet evaluations of drawing one class image; guidance takes a second one a step."""
        return self.steps * (1 if self.guidance == 1 else 2)


_NEWER = ("caption_dropout", "buckets")
"""Settings that recipes of version 0.1.0 do not name."""


class TrainingSettings(BaseModel):
    """Settings of a training. The defaults are the baseline recipe of DreamBooth-LoRA.

    Attributes:
        steps: number of optimizer steps.
        rank, alpha, dropout, targets, text_targets: settings of the LoRA, see `LoRASettings`; the
            widest layer of Stable Diffusion has 1280 channels, which bounds the rank.
        learning_rate: learning rate of A.
        up_rate_ratio: learning rate of B over that of A (LoRA+, Hayou et al. 2024, section 5).
        schedule: learning rate over the steps: `constant`, or `linear` or `cosine` down to zero
            after the last step.
        warmup_steps: number of first steps, over which the rate rises linearly from zero.
        weight_decay, beta1, beta2, epsilon: constants of AdamW (Loshchilov and Hutter 2019,
            algorithm 2).
        max_grad_norm: largest common norm of the gradients; None never scales them down.
        batch: number of sample images for a gradient.
        accumulation: number of gradients that are averaged for a step.
        size: width and height of the pictures in pixels.
        buckets: whether pictures keep their proportions, with at most the pixels of `size`; class
            images have that size.
        enlarge: scale of the pictures before cropping; at 1, `size` just fits.
        crops: largest number of crops of each sample.
        prompt: prompt of a sample without a caption; `{object}` is taken from the name of its file.
        caption_dropout: probability of the empty prompt in the place of a sample's own, 0 to 1.
        prior: prior preservation; None trains on the samples alone.
        gradient_checkpointing: whether each block of the UNet is computed twice to save memory.
        seed: seed of all random numbers.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    steps: int = Field(500, gt=0, le=1_000_000)
    rank: int = Field(4, gt=0, le=1280)
    alpha: PositiveFloat | None = None
    dropout: float = Field(0.0, ge=0, lt=1)
    targets: tuple[str, ...] = UNET_ATTENTION
    text_targets: tuple[str, ...] = ()
    learning_rate: PositiveFloat = 1e-4
    up_rate_ratio: PositiveFloat = 1.0
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    warmup_steps: int = Field(0, ge=0)
    weight_decay: NonNegativeFloat = 1e-2
    beta1: float = Field(0.9, ge=0, lt=1)
    beta2: float = Field(0.999, ge=0, lt=1)
    epsilon: PositiveFloat = 1e-8
    max_grad_norm: PositiveFloat | None = 1.0
    batch: int = Field(1, gt=0, le=1024)
    accumulation: int = Field(1, gt=0, le=10_000)
    size: tuple[PositiveInt, PositiveInt] = (512, 512)
    buckets: bool = False
    enlarge: float = Field(1.0, ge=1, le=4)
    crops: int = Field(16, gt=0, le=10_000)
    prompt: str = "style_{style}"
    caption_dropout: float = Field(0.0, ge=0, le=1)
    prior: PriorSettings | None = None
    gradient_checkpointing: bool = False
    seed: int = Field(0, ge=0)

    @model_serializer(mode="wrap")
    def _as_recorded(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without newer settings at their default, so that what was trained before is known."""
        return {name: value for name, value in serialize(self).items()
                if name not in _NEWER or value != type(self).model_fields[name].default}

    @field_validator("warmup_steps")
    @classmethod
    def _ends_before_the_training(cls, warmup: int, others: ValidationInfo) -> int:
        steps = others.data.get("steps")
        if steps is not None and warmup and warmup >= steps:
            raise ValueError(f"the training has {steps} steps. Give fewer, or 0 for no warm-up")
        return warmup

    @field_validator("prompt")
    @classmethod
    def _can_be_filled_in(cls, prompt: str) -> str:
        return check_template(prompt, TRAINING_FIELDS, setting("prompt"), "prompt")

    @classmethod
    def create(cls, values: Mapping[str, Any]) -> Self:
        """Settings from a user's values.

        Raises:
            InputError: a value is not allowed; the message and `fields` name the setting.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            problems = problems_of(error)
            lines = [f"{setting(each.field)} {each.value}: {each.reason}." for each in problems]
            raise InputError("\n".join(lines),
                             fields=[each.field for each in problems]) from error

    @property
    def lora(self) -> LoRASettings:
        """Settings of the LoRA."""
        return LoRASettings(rank=self.rank, alpha=self.alpha, dropout=self.dropout,
                            targets=self.targets, text_targets=self.text_targets, seed=self.seed)

    @property
    def takes_objects(self) -> bool:
        """Whether a training takes the objects of a whole split, for its class images."""
        return self.prior is not None and self.prior.takes_objects

    @property
    def evaluations(self) -> int:
        """The work of all steps in UNet evaluations; a backward pass counts as two."""
        pictures = self.batch * (1 if self.prior is None else 2)
        passes = 4 if self.gradient_checkpointing else 3
        return self.steps * self.accumulation * pictures * passes
