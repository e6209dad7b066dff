"""Ranking of images and of styles by their style term, worst first.

The style term is the style factor of the challenge's formula, `0.2 DINO + 0.4 Hist + 0.4 (1 -
LPIPS)`, of one image or one style. A metric that was not computed is left out, for all alike.
"""

from __future__ import annotations

from collections.abc import Iterable

from jdiff_checker.result import CheckResult, Components, ImageScores, StyleScores
from jdiff_checker.scoring import Scoring, style_factor


def style_term(dino: float | None, hist: float | None, lpips: float | None) -> float | None:
    """The style factor of the given metrics; None without any of them."""
    if dino is None and hist is None and lpips is None:
        return None
    return style_factor(dino=dino, hist=hist, lpips=lpips)


def image_term(image: ImageScores, scoring: Scoring) -> float | None:
    """The style factor of one image."""
    return style_term(image.dino, image.hist.get(scoring), image.lpips)


def means_term(means: Components) -> float | None:
    """The style factor of the means of one style."""
    return style_term(means.dino, means.hist, means.lpips)


def shown_scoring(result: CheckResult, style: StyleScores) -> Scoring:
    """The scoring of the numbers that are shown for a style.

    This is the selected scoring, or the corrected one if the official scoring leaves the style out
    (quirk 5) and has no numbers for it.
    """
    return result.scoring if result.scoring in style.means else Scoring.CORRECTED


def images_worst_first(images: Iterable[ImageScores], scoring: Scoring) -> list[ImageScores]:
    """Sort by `image_term`; images without a term come last, equal ones keep their order."""
    return sorted(images, key=lambda image: _last_if_none(image_term(image, scoring)))


def styles_worst_first(result: CheckResult) -> list[StyleScores]:
    """Sort by `means_term`; styles that the scoring leaves out come last."""

    def key(style: StyleScores) -> tuple[bool, float]:
        means = style.means.get(shown_scoring(result, style), Components())
        return result.scoring not in style.means, _last_if_none(means_term(means))

    return sorted(result.styles, key=key)


def _last_if_none(term: float | None) -> float:
    return float("inf") if term is None else term
