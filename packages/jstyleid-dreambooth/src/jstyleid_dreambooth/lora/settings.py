"""How a new LoRA is made."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt

UNET_ATTENTION = ("to_q", "to_k", "to_v", "to_out.0")
"""The projections of every self- and cross-attention of the UNet: the DreamBooth recipe's."""
TEXT_ATTENTION = ("q_proj", "k_proj", "v_proj", "out_proj")
"""The projections of every attention of the text encoder."""


class LoRASettings(BaseModel):
    """Rank, strength, targets and seed of a new LoRA.

    A pattern names the layers whose path is it or ends with it after a dot; `*` stands for
    anything, as in `up_blocks.*.attn2.to_k`.

    Attributes:
        rank: r, inner width of the update.
        alpha: numerator of the update's scale alpha / rank; the rank when not given.
        dropout: share in [0, 1) of the update's inputs that is zeroed while training.
        targets: patterns of the UNet's layers; empty for none.
        text_targets: patterns of the text encoder's layers (`TEXT_ATTENTION`); none by default.
        seed: of the initial values.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rank: PositiveInt = 4
    alpha: PositiveFloat | None = None
    dropout: float = Field(default=0.0, ge=0, lt=1)
    targets: tuple[str, ...] = UNET_ATTENTION
    text_targets: tuple[str, ...] = ()
    seed: int = Field(default=0, ge=0)
