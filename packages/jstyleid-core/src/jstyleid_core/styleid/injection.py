"""What StyleID does in an evaluation: recording of projections, and their injection by a rule."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from jstyleid_core.interfaces import AttentionLayer, AttentionProcessor, processors
from jstyleid_core.runtime.jittor import Var, jt
from jstyleid_core.styleid.rules import InjectionRule, Projections

Part = Literal["query", "key", "value"]

QuerySource = Literal["content", "own", "negative"]

Features = dict[int, dict[int, Projections]]
"""Recorded projections by timestep and decoder layer."""

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
    """An evaluation of the UNet whose attentions are computed by rules.

    Its features are, for each layer, a query unless it is the picture's own, the key and value of
    each reference, and the mask of the layer's tokens if there is one.

    Attributes:
        attentions: the layers.
        rules: the rule of each layer.
        dtype: number format of the network.
        references: number of pictures of the style.
        query: the query that the rules take as the content's: `content`, given in the features;
            `own`, the picture's; or `negative`, the picture's in the second half of the batch, and
            a reference's, given in the features, in the first (negative query guidance).
        masked: whether the style acts in a part of the picture only.
    """

    attentions: tuple[AttentionLayer, ...]
    rules: tuple[InjectionRule, ...]
    dtype: str
    references: int = 1
    query: QuerySource = "content"
    masked: bool = False

    def __call__(self, predict: Callable[[], Var], features: Sequence[Var]) -> list[Var]:
        """The prediction."""
        given = iter([feature.cast(self.dtype) for feature in features])
        injected = {attention: self._processor(rule, given)
                     for attention, rule in zip(self.attentions, self.rules, strict=True)}
        with processors(injected):
            return [predict()]

    def _processor(self, rule: InjectionRule, given: Iterator[Var]) -> AttentionProcessor:
        """The computation of one layer, with its share of the features."""
        asked: Var = None if self.query == "own" else next(given)
        pairs = [(next(given), next(given)) for _ in range(self.references)]
        style = Projections(key=_side_by_side([key for key, _ in pairs]),
                            value=_side_by_side([value for _, value in pairs]))
        mask = next(given) if self.masked else None

        def inject(attention: AttentionLayer, hidden: Var, context: Var | None) -> Var:
            # Jittor is lazy: what the rule does not use, as the paper's uses no own key, costs
            # nothing.
            own = Projections(
                attention.to_q(hidden), attention.to_k(hidden), attention.to_v(hidden))
            if self.query == "negative":
                half = own.query.shape[0] // 2
                query = jt.concat([asked.expand(half, -1, -1), own.query[half:]], dim=0)
                own = replace(own, query=query)
            content = Projections(query=asked if self.query == "content" else own.query)
            out = rule(attention, own, content, style)
            if mask is not None:
                plain = attention.attend(own.query, own.key, own.value)
                out = mask * out + (1 - mask) * plain
            return attention.project_out(out)

        return inject


def _side_by_side(tokens: Sequence[Var]) -> Var:
    """Tokens (1, M, C) of several references as (1, sum of M, C)."""
    return tokens[0] if len(tokens) == 1 else jt.concat(list(tokens), dim=1)
