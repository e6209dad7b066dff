"""Worst first: the one number by which images and styles are put in order.

It is the style factor of the challenge's formula, `0.2 DINO + 0.4 Hist + 0.4 (1 - LPIPS)`, of the
image or the style alone. Where a metric was not asked for, its part is left out, for all alike.
"""

from __future__ import annotations

from collections.abc import Iterable

from jdiff_checker.result import CheckResult, Components, ImageScores, StyleScores
from jdiff_checker.scoring import Scoring, style_factor


def style_term(dino: float | None, hist: float | None, lpips: float | None) -> float | None:
    """The style factor of the metrics that are there; None without any of them."""
    if dino is None and hist is None and lpips is None:
        return None
    return style_factor(dino=dino, hist=hist, lpips=lpips)


def image_term(image: ImageScores, scoring: Scoring) -> float | None:
    """One image's own style factor."""
    return style_term(image.dino, image.hist.get(scoring), image.lpips)


def means_term(means: Components) -> float | None:
    """The style factor of one style's means."""
    return style_term(means.dino, means.hist, means.lpips)


def shown_scoring(result: CheckResult, style: StyleScores) -> Scoring:
    """The scoring a style's numbers are shown under.

    That is the one asked for, but the corrected one where the official scoring leaves the style
    out (quirk 5) and so has no numbers for it.
    """
    return result.scoring if result.scoring in style.means else Scoring.CORRECTED


def images_worst_first(images: Iterable[ImageScores], scoring: Scoring) -> list[ImageScores]:
    """By `image_term`; an image without one comes last, equals keep their order."""
    return sorted(images, key=lambda image: _last_if_none(image_term(image, scoring)))


def styles_worst_first(result: CheckResult) -> list[StyleScores]:
    """By `means_term`; the styles that the scoring leaves out follow behind the others."""

    def key(style: StyleScores) -> tuple[bool, float]:
        means = style.means.get(shown_scoring(result, style), Components())
        return result.scoring not in style.means, _last_if_none(means_term(means))

    return sorted(result.styles, key=key)


def _last_if_none(term: float | None) -> float:
    return float("inf") if term is None else term
