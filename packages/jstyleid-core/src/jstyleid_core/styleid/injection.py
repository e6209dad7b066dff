"""The attention processors of StyleID, a recorder and an injector, and the initial latent AdaIN.

An `InjectionRule` mixes query, key and value; other rules can replace the paper's without a change
of the processors.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from jstyleid_core.interfaces import AttentionLayer
from jstyleid_core.runtime.jittor import Var, jt


@dataclass(frozen=True)
class Projections:
    """The projections of one self-attention at one timestep; None where not needed.

    The query is (B, N, C), key and value are (B, M, C).
    """

    query: Var = None
    key: Var = None
    value: Var = None


Features = dict[int, dict[int, Projections]]
"""Recorded projections by timestep and decoder layer."""

InjectionRule = Callable[[Projections, Projections, Projections], Projections]
"""(own, content, style) -> query, key and value of the attention.

`own` are the projections of the current picture; all are (B, N, C), the style's (1, M, C).
"""


def styleid_rule(gamma: float, temperature: float) -> InjectionRule:
    """The paper's rule: equations 4 to 6.

    The query is gamma * content + (1 - gamma) * own, sharpened by the temperature; key and value
    are the style's.
    """

    def rule(own: Projections, content: Projections, style: Projections) -> Projections:
        query = gamma * content.query + (1 - gamma) * own.query
        return Projections(query * temperature, style.key, style.value)

    return rule


class Recorder:
    """Ordinary self-attention that passes its projections to `keep`."""

    def __init__(self, keep: Callable[[Projections], None]) -> None:
        self.keep = keep

    def __call__(self, attention: AttentionLayer, hidden: Var, context: Var | None) -> Var:
        query, key, value = attention.to_q(hidden), attention.to_k(hidden), attention.to_v(hidden)
        self.keep(Projections(query, key, value))
        return attention.project_out(attention.attend(query, key, value))


class Injector:
    """Self-attention whose query, key and value a rule mixes from recorded ones and its own."""

    def __init__(self, rule: InjectionRule, content: Projections, style: Projections) -> None:
        self.rule, self.content, self.style = rule, content, style

    def __call__(self, attention: AttentionLayer, hidden: Var, context: Var | None) -> Var:
        # Jittor is lazy: what the rule does not use, as the paper's uses no own key, costs nothing.
        own = Projections(attention.to_q(hidden), attention.to_k(hidden), attention.to_v(hidden))
        mixed = self.rule(own, self.content, self.style)
        return attention.project_out(attention.attend(mixed.query, mixed.key, mixed.value))


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
