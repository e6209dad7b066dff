"""What StyleID does in an evaluation, recording and injection, and the initial latent AdaIN.

An `InjectionRule` mixes query, key and value; other rules can replace the paper's without a change
of the evaluations.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from jstyleid_core.interfaces import AttentionLayer, processors
from jstyleid_core.runtime.jittor import Var, jt


@dataclass(frozen=True)
class Projections:
    """The projections of one self-attention at one timestep; None where not needed.

    The query is (B, N, C), key and value are (B, M, C).
    """

    query: Var = None
    key: Var = None
    value: Var = None


Part = Literal["query", "key", "value"]

Features = dict[int, dict[int, Projections]]
"""Recorded projections by timestep and decoder layer."""

InjectionRule = Callable[[Projections, Projections, Projections], Projections]
"""(own, content, style) -> query, key and value of the attention.

`own` are the projections of the current picture; all are (B, N, C), the style's (1, M, C).
"""


@dataclass(frozen=True)
class StyleIDRule:
    """The paper's rule: equations 4 to 6.

    The query is gamma * content + (1 - gamma) * own, sharpened by the temperature; key and value
    are the style's.
    """

    gamma: float
    temperature: float

    def __call__(self, own: Projections, content: Projections, style: Projections) -> Projections:
        """Query, key and value of the attention."""
        query = self.gamma * content.query + (1 - self.gamma) * own.query
        return Projections(query * self.temperature, style.key, style.value)


@dataclass(frozen=True)
class Recording:
    """An evaluation of the UNet that also returns projections, as `StableDiffusion.evaluate` takes.

    Attributes:
        attentions: the layers.
        parts: names of the projections of each.
        dtype: number format of what is returned.
    """

    attentions: tuple[AttentionLayer, ...]
    parts: tuple[Part, ...]
    dtype: str

    def __call__(self, predict: Callable[[], Var], features: Sequence[Var]) -> list[Var]:
        """The prediction, then the parts of each layer."""
        kept: dict[AttentionLayer, Projections] = {}

        def record(attention: AttentionLayer, hidden: Var, context: Var | None) -> Var:
            seen = kept[attention] = Projections(
                attention.to_q(hidden), attention.to_k(hidden), attention.to_v(hidden))
            return attention.project_out(attention.attend(seen.query, seen.key, seen.value))

        with processors(dict.fromkeys(self.attentions, record)):
            out = predict()
        return [out, *(getattr(kept[attention], part).cast(self.dtype)
                       for attention in self.attentions for part in self.parts)]


@dataclass(frozen=True)
class Injection:
    """An evaluation of the UNet whose attentions get query, key and value by a rule.

    Its features are the content's query and the style's key and value of each layer.

    Attributes:
        attentions: the layers.
        rule: mixes the projections.
        dtype: number format of the network.
    """

    attentions: tuple[AttentionLayer, ...]
    rule: InjectionRule
    dtype: str

    def __call__(self, predict: Callable[[], Var], features: Sequence[Var]) -> list[Var]:
        """The prediction."""
        given = iter([feature.cast(self.dtype) for feature in features])
        injected = {attention: (Projections(query=next(given)),
                                Projections(key=next(given), value=next(given)))
                    for attention in self.attentions}

        def inject(attention: AttentionLayer, hidden: Var, context: Var | None) -> Var:
            # Jittor is lazy: what the rule does not use, as the paper's uses no own key, costs
            # nothing.
            own = Projections(
                attention.to_q(hidden), attention.to_k(hidden), attention.to_v(hidden))
            mixed = self.rule(own, *injected[attention])
            return attention.project_out(attention.attend(mixed.query, mixed.key, mixed.value))

        with processors(dict.fromkeys(self.attentions, inject)):
            return [predict()]


def adain(content: Var, style: Var, eps: float) -> Var:
    """Give `content` the per-channel mean and deviation of `style` (StyleID equation 7).

    Args:
        content: (B, 4, h, w) inverted latents.
        style: (1, 4, h', w') or (B, 4, h', w') inverted latents; the size may differ.
        eps: added to the content's deviation.

    Returns:
        (B, 4, h, w). Deviations are the unbiased ones, over each sample's and channel's pixels.
    """
    content_mean, content_std = _moments(content)
    style_mean, style_std = _moments(style)
    return (content - content_mean) / (content_std + eps) * style_std + style_mean


def _moments(x: Var) -> tuple[Var, Var]:
    # jt.std would floor its result at 1e-3 and reduces one dimension only.
    mean = x.mean(dims=(2, 3), keepdims=True)
    centred = x - mean
    pixels = x.shape[2] * x.shape[3]
    return mean, jt.sqrt((centred * centred).sum(dims=(2, 3), keepdims=True) / (pixels - 1))
