"""The settings of StyleID, and the paper's numbers for the self-attention layers of the decoder.

Layer n is `up_blocks[n // 3].attentions[n % 3]`; `up_blocks[0]` has no attention, so n runs from 3
to 11. This module is free of Jittor: command lines check their arguments with it.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from jstyleid_core.errors import InputError
from jstyleid_core.validation import problems_of

DECODER_LAYERS = range(3, 12)


def attention_name(layer: int) -> str:
    """The path of a decoder layer's self-attention in the UNet."""
    block, index = divmod(layer, 3)
    return f"up_blocks.{block}.attentions.{index}.transformer_blocks.0.attn1"


def parse_layers(text: str) -> tuple[int, ...]:
    """Layers written as `7-11`, `7,9,11` or `6,9-11`.

    Raises:
        InputError: not of that form, or a layer outside 3 to 11.
    """
    layers: set[int] = set()
    unknown: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        try:
            start, end = int(first), int(last) if dash else int(first)
        except ValueError as error:
            raise InputError(f"layers {text!r}: write them as 7-11 or 7,9,11",
                             fields=["layers"]) from error
        if start > end:
            raise InputError(f"layers {text!r}: {part.strip()} runs backwards", fields=["layers"])
        outside = {start, end} - set(DECODER_LAYERS)
        unknown |= outside
        if not outside:
            layers.update(range(start, end + 1))
    if unknown:
        raise InputError(
            f"layers {text!r}: {sorted(unknown)} unknown; the decoder has layers 3 to 11",
            fields=["layers"])
    return tuple(sorted(layers))


class StyleIDSettings(BaseModel):
    """The settings of StyleID; the defaults are the reference's for SD 2.1.

    The paper's own experiments on SD 1.4 use layers 6 to 11 and 50 steps.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    gamma: float = Field(0.75, ge=0, le=1)
    """Query preservation (equation 5): the share of the content's query. 0.3 is a strong style."""
    temperature: float = Field(1.5, gt=0, le=100)
    """tau (equation 6): sharpens the attention on the style's keys."""
    layers: tuple[int, ...] = (7, 8, 9, 10, 11)
    """Decoder layers that are injected into: layer n is `up_blocks[n // 3].attentions[n % 3]`."""
    steps: int = Field(20, ge=1, le=1000)
    """DDIM steps of the inversion and of the reversal."""
    injection: bool = True
    """Attention injection on (section 4.1)."""
    adain: bool = True
    """Initial latent AdaIN on (equation 7)."""
    adain_eps: float = Field(1e-4, gt=0, le=1)
    """Added to the content's standard deviation in AdaIN."""
    feature_dtype: Literal["auto", "float32", "float16"] = "auto"
    """Number format of recorded queries, keys and values; `auto` is the model's."""

    @field_validator("layers")
    @classmethod
    def _known_layers(cls, layers: tuple[int, ...]) -> tuple[int, ...]:
        unknown = [layer for layer in layers if layer not in DECODER_LAYERS]
        if unknown or not layers:
            raise ValueError(f"{list(unknown or layers)} is not among the layers 3 to 11")
        return tuple(sorted(set(layers)))

    @classmethod
    def create(cls, **values: Any) -> StyleIDSettings:
        """Settings from named values, with errors meant for a user.

        Raises:
            InputError: a value is out of its range; the message and `fields` name the setting.
        """
        try:
            return cls(**values)
        except ValidationError as error:
            problems = problems_of(error)
            listed = "; ".join(f"{each.field} = {each.value!r}: {each.reason}" for each in problems)
            raise InputError(f"StyleID settings: {listed}",
                             fields=[each.field for each in problems]) from error
