"""Differences between two results, and whether their numbers can be compared at all."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from jdiff_checker.reports.formatting import DASH
from jdiff_checker.reports.ranking import means_term
from jdiff_checker.result import CheckResult, Components, ImageScores, ScoringResult, StyleScores
from jdiff_checker.scoring import ALL_METRICS, Metric, Scoring

LARGEST = 10
"""Number of images kept for each metric."""


@dataclass(frozen=True)
class Change:
    """A value in result A and in result B."""

    metric: Metric | None
    """None for a combination of metrics: the final score, a style term."""
    before: float | None
    after: float | None

    @property
    def difference(self) -> float | None:
        """B minus A; None if a value is missing."""
        if self.before is None or self.after is None:
            return None
        return self.after - self.before

    @property
    def size(self) -> float:
        """Absolute difference; 0 if a value is missing."""
        return abs(self.difference or 0.0)

    @property
    def better(self) -> bool | None:
        """True if B is better, in the direction of the metric; None if nothing changed."""
        if not self.difference:
            return None
        higher_is_better = self.metric is None or self.metric.higher_is_better
        return (self.difference > 0) == higher_is_better


@dataclass(frozen=True)
class StyleChange:
    """Changes of a style that both results have: the style term and the metrics."""

    style: str
    term: Change
    metrics: tuple[Change, ...]

    @property
    def size(self) -> tuple[float, float]:
        """Sort key: the change of the style term, then the largest change of a metric."""
        return self.term.size, max(change.size for change in self.metrics)


@dataclass(frozen=True)
class ImageChange:
    """Change of one metric of an image that both results have."""

    style: str
    file: str
    same_file: bool
    """True if the image is the same in both, byte for byte."""
    change: Change


@dataclass(frozen=True)
class Flip:
    """An image whose prompt is among the five likeliest in only one of the results."""

    style: str
    file: str
    label: str
    likeliest: tuple[str, str]
    """The likeliest prompt in A and in B."""


@dataclass(frozen=True)
class Comparison:
    """The differences of two results; A is the earlier one."""

    names: tuple[str, str]
    """The scored folders."""
    scoring: Scoring
    """The compared scoring: the one selected in both results, else the corrected one."""
    mismatches: tuple[str, ...]
    """Reasons why the numbers are not comparable; empty if they are."""
    side_differences: tuple[str, ...]
    identical: bool
    final: Change
    overall: tuple[Change, ...]
    styles: tuple[StyleChange, ...]
    """Largest change first."""
    images: dict[Metric, tuple[ImageChange, ...]]
    """The `LARGEST` changes of each metric that images have, largest first."""
    gained: tuple[Flip, ...]
    """CLIP-R: missed in A, hit in B."""
    lost: tuple[Flip, ...]
    """CLIP-R: hit in A, missed in B."""
    styles_only: tuple[tuple[str, ...], tuple[str, ...]]
    """Styles that only A has, and styles that only B has."""
    images_only: tuple[tuple[str, ...], tuple[str, ...]]
    """Images of common styles that only A has, and that only B has, as style/file."""
    images_in_both: int
    same_files: int
    """Number of `images_in_both` that are the same file, byte for byte."""


def compare_results(a: CheckResult, b: CheckResult) -> Comparison:
    """Compare `b` with `a`.

    Args:
        a: the result before.
        b: the result after; differences are B minus A.

    Returns:
        The comparison. Results that are not comparable are compared, too, as far as they have the
        same parts; `mismatches` then gives the reasons.
    """
    scoring = a.scoring if a.scoring is b.scoring else Scoring.CORRECTED
    why_not = mismatches(a, b)
    ours, theirs = ({style.style: style for style in result.styles} for result in (a, b))
    in_a, in_b = (_scored(result, scoring) for result in (a, b))
    if set(in_a.styles) != set(in_b.styles):
        why_not.append(f"The overall numbers cover different styles: {len(in_a.styles)} in A, "
                       f"{len(in_b.styles)} in B.")
    common = [style for style in ours if style in theirs]
    pairs = [
        (style, one, other)
        for style in common
        for one, other in _image_pairs(ours[style], theirs[style])
    ]
    gained, lost = _flips(pairs, scoring)
    return Comparison(
        names=(a.upload, b.upload),
        scoring=scoring,
        mismatches=tuple(why_not),
        side_differences=tuple(side_differences(a, b)),
        identical=not why_not and _scores(a) == _scores(b),
        final=Change(None, in_a.final_score, in_b.final_score),
        overall=_metric_changes(in_a.components, in_b.components),
        styles=_style_changes([(ours[style], theirs[style]) for style in common], scoring),
        images={metric: _largest(pairs, metric, value)
                for metric, value in _image_values(scoring).items()},
        gained=gained,
        lost=lost,
        styles_only=_only(list(ours), list(theirs)),
        images_only=_only(*([f"{style}/{image.file}" for style in common
                             for image in styles[style].images] for styles in (ours, theirs))),
        images_in_both=len(pairs),
        same_files=sum(one.sha256 == other.sha256 for _, one, other in pairs),
    )


_Pair = tuple[str, ImageScores, ImageScores]


def _scored(result: CheckResult, scoring: Scoring) -> ScoringResult:
    return result.chosen if result.scoring is scoring else result.corrected


def _scores(result: CheckResult) -> dict[str, object]:
    """All scores, without time, place and duration."""
    return result.model_dump(
        include={"scoring", "metrics", "official", "corrected", "styles", "prompts"}
    )


def _image_pairs(a: StyleScores, b: StyleScores) -> list[tuple[ImageScores, ImageScores]]:
    others = {image.file: image for image in b.images}
    return [(image, others[image.file]) for image in a.images if image.file in others]


def _metric_changes(a: Components, b: Components) -> tuple[Change, ...]:
    return tuple(Change(metric, getattr(a, metric.field), getattr(b, metric.field))
                 for metric in ALL_METRICS)


def _style_changes(
    styles: list[tuple[StyleScores, StyleScores]], scoring: Scoring
) -> tuple[StyleChange, ...]:
    changes = []
    for one, other in styles:
        if scoring in one.means and scoring in other.means:
            a, b = one.means[scoring], other.means[scoring]
            changes.append(StyleChange(one.style, Change(None, means_term(a), means_term(b)),
                                       _metric_changes(a, b)))
    return tuple(sorted(changes, key=lambda change: change.size, reverse=True))


def _image_values(scoring: Scoring) -> dict[Metric, Callable[[ImageScores], float | None]]:
    return {
        Metric.DINO: lambda image: image.dino,
        Metric.HIST: lambda image: image.hist.get(scoring),
        Metric.LPIPS: lambda image: image.lpips,
        Metric.CLIP_IQA: lambda image: image.clip_iqa.get(scoring),
    }


def _largest(
    pairs: list[_Pair], metric: Metric, value: Callable[[ImageScores], float | None]
) -> tuple[ImageChange, ...]:
    changes = [ImageChange(style, one.file, one.sha256 == other.sha256,
                           Change(metric, value(one), value(other)))
               for style, one, other in pairs]
    changed = [change for change in changes if change.change.size > 0]
    return tuple(sorted(changed, key=lambda each: each.change.size, reverse=True)[:LARGEST])


def _flips(pairs: list[_Pair], scoring: Scoring) -> tuple[tuple[Flip, ...], tuple[Flip, ...]]:
    gained: list[Flip] = []
    lost: list[Flip] = []
    for style, one, other in pairs:
        a, b = one.clip_r.get(scoring), other.clip_r.get(scoring)
        if a is None or b is None or a.correct == b.correct:
            continue
        likeliest = (a.top5[0][0] if a.top5 else "", b.top5[0][0] if b.top5 else "")
        (gained if b.correct else lost).append(Flip(style, one.file, b.label, likeliest))
    return tuple(gained), tuple(lost)


def _only(a: list[str], b: list[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return (tuple(name for name in a if name not in set(b)),
            tuple(name for name in b if name not in set(a)))


def mismatches(a: CheckResult, b: CheckResult) -> list[str]:
    """Reasons why the numbers of two results are not comparable, one sentence each."""
    return [
        *_scoring(a, b),
        *_metrics(a, b),
        *_prompts(a, b),
        *_weights(a, b),
        *_references(a, b),
        *_torch(a, b),
    ]


def side_differences(a: CheckResult, b: CheckResult) -> list[str]:
    """Differences that should only affect late digits: library versions, the device."""
    found = [f"{name}: {one} / {other}"
             for name, one, other in _differing(a.versions, b.versions) if name != "torch"]
    if a.device != b.device:
        found.append(f"device: {a.device} / {b.device}")
    return found


def _scoring(a: CheckResult, b: CheckResult) -> list[str]:
    if a.scoring is b.scoring:
        return []
    return [f"A asked for the {a.scoring} scoring, B for the {b.scoring} one. Below, the corrected "
            "numbers of both are compared; every result holds them."]


def _metrics(a: CheckResult, b: CheckResult) -> list[str]:
    if set(a.metrics) == set(b.metrics):
        return []
    return ["They hold different metrics: " + _only_in(a.metrics, b.metrics) + "."]


def _prompts(a: CheckResult, b: CheckResult) -> list[str]:
    if sorted(a.prompts) == sorted(b.prompts):
        return []
    return [f"CLIP-R chose among different prompts: {len(a.prompts)} ({a.prompts_from}) / "
            f"{len(b.prompts)} ({b.prompts_from})."]


def _weights(a: CheckResult, b: CheckResult) -> list[str]:
    ours, theirs = ({record.file: record.sha256 for record in result.weights}
                    for result in (a, b))
    found = [f"Different weights: {file}, SHA-256 {one[:12]} / {other[:12]}."
             for file, one, other in _differing(ours, theirs)]
    for name, result in (("A", a), ("B", b)):
        if result.unpublished_weights:
            found.append(f"{name} was scored with unpublished weights: "
                         f"{', '.join(result.unpublished_weights)}.")
    return found


def _references(a: CheckResult, b: CheckResult) -> list[str]:
    # The names do not matter: DINO, LPIPS and Hist are means over a style's references.
    ours, theirs = ({style.style: sorted(reference.sha256 for reference in style.references)
                     for style in result.styles} for result in (a, b))
    different = [style for style in ours if style in theirs and ours[style] != theirs[style]]
    if not different:
        return []
    return [f"Different references of the styles {_some(different)}."]


def _torch(a: CheckResult, b: CheckResult) -> list[str]:
    one, other = (result.versions.get("torch", DASH) for result in (a, b))
    return [] if one == other else [f"Different versions of torch: {one} / {other}."]


def _differing(a: Mapping[str, str], b: Mapping[str, str]) -> list[tuple[str, str, str]]:
    names = sorted(a.keys() | b.keys())
    return [(name, a.get(name, DASH), b.get(name, DASH))
            for name in names if a.get(name) != b.get(name)]


def _only_in(a: Sequence[str], b: Sequence[str]) -> str:
    parts = [f"only {name} has {', '.join(extra)}"
             for name, extra in (("A", sorted(set(a) - set(b))), ("B", sorted(set(b) - set(a))))
             if extra]
    return "; ".join(parts)


def _some(names: Sequence[str], most: int = 8) -> str:
    listed = ", ".join(names[:most])
    return listed if len(names) <= most else f"{listed} and {len(names) - most} more"
