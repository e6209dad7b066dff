"""The rules of an injection: what a self-attention computes from own, content and style features.

All three mix the queries as StyleID does, q = gamma q_c + (1 - gamma) q_own, times the temperature.
They differ in the keys and values that the query meets. With d numbers a head, s the scores of the
style's keys and c those of the picture's own,

    s = f q k_s^T / sqrt(d),    c = q k_own^T / sqrt(d),

where f is the style's factor:

    styleid    softmax(q k_s^T / sqrt(d)) v_s
    joint      softmax([s, c]) [v_s; v_own]
    gated      softmax([lambda s, c]) [v_s; v_own], with a lambda of its own for each query
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from jstyleid_core import kernels
from jstyleid_core.interfaces import AttentionLayer
from jstyleid_core.runtime.jittor import Var, jt
from jstyleid_core.styleid.settings import StyleIDSettings


@dataclass(frozen=True)
class Projections:
    """The projections of one self-attention at one timestep; None where not needed.

    The query is (B, N, C), key and value are (B, M, C).
    """

    query: Var = None
    key: Var = None
    value: Var = None

    def part_of_batch(self, first: int, end: int) -> Projections:
        """Those of some pictures of the batch: copies, since a part would hold the whole."""
        taken = {name: values[first:end].copy() for name, values in vars(self).items()
                 if values is not None}
        jt.sync(list(taken.values()))
        return Projections(**taken)


class InjectionRule(Protocol):
    """The computation of a self-attention under injection.

    Equal rules (`==`) compute the same.
    """

    def __call__(
        self, attention: AttentionLayer, own: Projections, content: Projections, style: Projections
    ) -> Var:
        """The attention's result before its output projection, (B, N, C).

        Args:
            attention: the layer.
            own: projections of the picture in the making, (B, N, C).
            content: the content's query, (B, N, C).
            style: the style's key and value, (1, M, C); of several references side by side.
        """
        ...


@dataclass(frozen=True)
class StyleIDRule:
    """The paper's rule (Chung et al., CVPR 2024, equations 4 to 6): key and value are the style's.

    Attributes:
        gamma: share of the content's query.
        temperature: factor of the query.
    """

    gamma: float
    temperature: float

    def __call__(
        self, attention: AttentionLayer, own: Projections, content: Projections, style: Projections
    ) -> Var:
        """The attention's result, (B, N, C)."""
        return attention.attend(self.mix(own, content), style.key, style.value)

    def mix(self, own: Projections, content: Projections) -> Var:
        """The query, (B, N, C)."""
        query = self.gamma * content.query + (1 - self.gamma) * own.query
        return query * self.temperature


@dataclass(frozen=True)
class JointRule:
    """Style and own keys in one softmax (Z-STAR, Deng et al., CVPR 2024, section 3.3).

    A place that nothing in the style resembles keeps its own values.

    Attributes:
        mixing: mixes the query.
        style_factor: f, factor of the style's scores.
        moments: weight of the second moments; see `_with_moments`.
    """

    mixing: StyleIDRule
    style_factor: float
    moments: float = 0

    def __call__(
        self, attention: AttentionLayer, own: Projections, content: Projections, style: Projections
    ) -> Var:
        """The attention's result, (B, N, C)."""
        query = self.mixing.mix(own, content)

        def attend(style_value: Var, own_value: Var) -> Var:
            out, _ = attention.attend_to(
                query, [(style.key, style_value), (own.key, own_value)], [self.style_factor, 1])
            return out

        return _with_moments(self.moments, query, attend(style.value, own.value), lambda: attend(
            style.value * style.value, own.value * own.value))


@dataclass(frozen=True)
class GatedRule:
    """`JointRule` with a factor for each query, by how much the style has to say to it.

    With LSE the logarithm of the sum of exponentials,

        lambda = 1 + (gate - 1) sigmoid(mean over heads of clip(LSE(s) - LSE(c), -20, 20)),

    after SDVAULT (2026), which also keeps only the 128 largest scores of the style. The two
    attentions are computed apart and merged by their log-sum-exps; the style's is computed twice,
    for lambda first.

    Attributes:
        mixing: mixes the query.
        style_factor: f, factor of the style's scores.
        gate: largest lambda.
        moments: weight of the second moments; see `_with_moments`.
    """

    mixing: StyleIDRule
    style_factor: float
    gate: float
    moments: float = 0

    def __call__(
        self, attention: AttentionLayer, own: Projections, content: Projections, style: Projections
    ) -> Var:
        """The attention's result, (B, N, C)."""
        query = self.mixing.mix(own, content)
        _, style_lse = attention.attend_to(query, [(style.key, style.value)], [self.style_factor])
        own_part = attention.attend_to(query, [(own.key, own.value)], [1])
        differences = (style_lse - own_part[1]).clamp(-20, 20).mean(1)
        factors = 1 + (self.gate - 1) * jt.sigmoid(differences)
        gated = (query.float32() * factors.unsqueeze(2)).cast(query.dtype)

        def attend_style(value: Var) -> tuple[Var, Var]:
            return attention.attend_to(gated, [(style.key, value)], [self.style_factor])

        def of_squares() -> Var:
            own_squares = attention.attend_to(query, [(own.key, own.value * own.value)], [1])
            return kernels.merge_attentions(
                [attend_style(style.value * style.value), own_squares], attention.heads)

        out = kernels.merge_attentions([attend_style(style.value), own_part], attention.heads)
        return _with_moments(self.moments, query, out, of_squares)


def rule_of(settings: StyleIDSettings, layer: int, step: int) -> InjectionRule:
    """The rule that the settings ask for in a layer and a step of the reversal."""
    strengths = settings.strengths(layer, step)
    mixing = StyleIDRule(strengths.gamma, strengths.temperature)
    if settings.rule == "joint":
        return JointRule(mixing, strengths.style_factor, settings.moments)
    if settings.rule == "gated":
        return GatedRule(mixing, strengths.style_factor, settings.gate, settings.moments)
    return mixing


def _with_moments(weight: float, query: Var, out: Var, of_squares: Callable[[], Var]) -> Var:
    """Give the result the spread of the values that it is a mean of (AdaAttN, ICCV 2021; SDVAULT).

    With the attention's weights A,  S = sqrt(A v^2 - (A v)^2)  and the query normalised over its
    tokens,  out = A v + weight S norm(q).

    Args:
        weight: 0 is `out` unchanged.
        query: (B, N, C).
        out: A v, (B, N, C).
        of_squares: computes A v^2, (B, N, C).
    """
    if weight == 0:
        return out
    mean, q = out.float32(), query.float32()
    spread = jt.sqrt(jt.maximum(of_squares().float32() - mean * mean, 0))
    centred = q - q.mean(1, keepdims=True)
    normal = centred / jt.sqrt((centred * centred).mean(1, keepdims=True) + 1e-5)
    return (mean + weight * spread * normal).cast(out.dtype)
