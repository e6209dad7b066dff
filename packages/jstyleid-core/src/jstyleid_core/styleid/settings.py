"""The settings of StyleID and of its variants, with the paper's numbers as defaults.

This module is free of Jittor: command lines check their arguments with it.
"""

from __future__ import annotations

import re
from typing import Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_serializer,
    model_validator,
)

from jstyleid_core.errors import InputError
from jstyleid_core.styleid.layers import DECODER_LAYERS
from jstyleid_core.styleid.strengths import STRENGTHS, Override, StrengthName, Strengths
from jstyleid_core.validation import problems_of

Rule = Literal["styleid", "joint", "gated"]
"""Rules of the injection, see `jstyleid_core.styleid.rules`."""
StartLatents = Literal["adain", "content-adain", "efdm", "eae", "frequency", "none"]
"""Kinds of start latents, see `jstyleid_core.styleid.start`."""

_RANGES: dict[StrengthName, tuple[float, float]] = {
    "gamma": (0, 1), "temperature": (0.01, 100), "style_factor": (0.01, 100)}
_OLDER = frozenset(
    ("gamma", "temperature", "layers", "steps", "injection", "adain_eps", "feature_dtype"))
_BY_ADAIN = ("adain", "none")
_MOST_FIXED_POINT_EVALUATIONS = 20
_FIXED_POINT = re.compile(r"fixed-point:([1-9][0-9]?)")


class StyleIDSettings(BaseModel):
    """The settings of StyleID; the defaults are the reference's for SD 2.1.

    The paper's own experiments on SD 1.4 use layers 6 to 11 and 50 steps.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    gamma: float = Field(0.75, ge=_RANGES["gamma"][0], le=_RANGES["gamma"][1])
    """Query preservation (equation 5): the share of the content's query. 0.3 is a strong style."""
    temperature: float = Field(1.5, gt=0, le=_RANGES["temperature"][1])
    """tau (equation 6): sharpens the attention."""
    layers: tuple[int, ...] = (7, 8, 9, 10, 11)
    """Decoder layers that are injected into: layer n is `up_blocks[n // 3].attentions[n % 3]`."""
    steps: int = Field(20, ge=1, le=1000)
    """DDIM steps of the inversion and of the reversal."""
    injection: bool = True
    """Attention injection on (section 4.1)."""
    rule: Rule = "styleid"
    """The keys and values that the attention takes: the style's, or the style's and its own."""
    style_factor: float = Field(
        1.2, ge=_RANGES["style_factor"][0], le=_RANGES["style_factor"][1])
    """Factor of the style's scores in the rules `joint` and `gated` (Z-STAR's is 1.2)."""
    gate: float = Field(2.5, ge=1, le=100)
    """Largest further factor of the style's scores in the rule `gated` (SDVAULT's is 2.5)."""
    moments: float = Field(0, ge=0, le=1)
    """Weight of the style's second moments in `joint` and `gated` (SDVAULT's is tanh 0.2)."""
    overrides: tuple[Override, ...] = ()
    """Other values of gamma, temperature and style factor for some layers and steps."""
    start_latents: StartLatents = "adain"
    """What the reversal starts from; `adain` is the paper's (equation 7)."""
    adain_eps: float = Field(1e-4, gt=0, le=1)
    """Added to the content's standard deviation in AdaIN."""
    inversion: str = "ddim"
    """`ddim`; `fixed-point:K`, K evaluations a step; or `noised`: the style is not inverted, but
    noised."""
    colour_match: float = Field(0, ge=0, le=1)
    """How far the colours of finished pictures are brought to the style's; see `colours`."""
    negative_query: bool = False
    """Negative query guidance, where a style is injected while drawing; see `drawing`."""
    seed: int = Field(0, ge=0)
    """Seed of the noise of `noised` and of the start `frequency`; nothing else is random."""
    feature_dtype: Literal["auto", "float32", "float16"] = "auto"
    """Number format of recorded queries, keys and values; `auto` is the model's."""

    @model_serializer(mode="wrap")
    def _as_recorded(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without newer settings at their default, so that what was made before is known.

        From before there was a choice of start latents it is recorded whether there was AdaIN.
        """
        fields = type(self).model_fields
        values = {name: value for name, value in serialize(self).items()
                  if name in _OLDER or getattr(self, name) != fields[name].default}
        if self.start_latents in _BY_ADAIN:
            values.pop("start_latents", None)
            values["adain"] = self.start_latents == "adain"
        return values

    @model_validator(mode="before")
    @classmethod
    def _of_records(cls, values: Any) -> Any:
        """The start latents of records that say whether there was AdaIN."""
        if isinstance(values, dict) and isinstance(values.get("adain"), bool):
            values = dict(values)
            values.setdefault("start_latents", "adain" if values.pop("adain") else "none")
        return values

    @field_validator("layers")
    @classmethod
    def _known_layers(cls, layers: tuple[int, ...]) -> tuple[int, ...]:
        unknown = [layer for layer in layers if layer not in DECODER_LAYERS]
        if unknown or not layers:
            raise ValueError(f"{list(unknown or layers)} is not among the layers 3 to 11")
        return tuple(sorted(set(layers)))

    @field_validator("inversion")
    @classmethod
    def _known_inversion(cls, inversion: str) -> str:
        found = _FIXED_POINT.fullmatch(inversion)
        if found and int(found[1]) <= _MOST_FIXED_POINT_EVALUATIONS:
            return inversion
        if inversion not in ("ddim", "noised"):
            raise ValueError("Input should be ddim, noised or fixed-point:K with K from 1 to "
                             f"{_MOST_FIXED_POINT_EVALUATIONS}")
        return inversion

    @field_validator("overrides")
    @classmethod
    def _known_overrides(
        cls, overrides: tuple[Override, ...], info: ValidationInfo
    ) -> tuple[Override, ...]:
        # A field with a problem of its own is not among them.
        injected, steps = info.data.get("layers", ()), info.data.get("steps", 0)
        for override in overrides:
            name, (low, high) = override.name, _RANGES[override.name]
            if not low <= override.value <= high:
                raise ValueError(f"{name} = {override.value}: from {low:g} to {high:g} is allowed")
            if unknown := sorted(set(override.layers) - set(injected)):
                raise ValueError(f"{name} for the layers {unknown}, which are not among the "
                                 f"injected ones, {list(injected)}")
            if override.steps and override.steps[1] >= steps:
                first, last = override.steps
                raise ValueError(f"{name} for the steps {first} to {last}; there are the steps 0 "
                                 f"to {steps - 1}")
        return overrides

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
            listed = "; ".join(
                each.reason if each.field == "overrides"
                else f"{each.field} = {each.value!r}: {each.reason}" for each in problems)
            raise InputError(f"StyleID settings: {listed}",
                             fields=[each.field for each in problems]) from error

    def strengths(self, layer: int, step: int) -> Strengths:
        """The strengths in a layer and a step of the reversal; step 0 is the noisiest."""
        values: dict[str, float] = {name: getattr(self, name) for name in STRENGTHS}
        for override in self.overrides:
            if override.applies(layer, step):
                values[override.name] = override.value
        return Strengths(**values)

    @property
    def inversion_evaluations(self) -> int:
        """UNet evaluations of an inversion: one a step, or K with `fixed-point:K`."""
        found = _FIXED_POINT.fullmatch(self.inversion)
        return self.steps * int(found[1]) if found else self.steps

    @property
    def transfer_evaluations(self) -> int:
        """UNet evaluations of a content: its inversion and the reversal."""
        return self.inversion_evaluations + self.steps
