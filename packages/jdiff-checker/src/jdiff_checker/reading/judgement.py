"""The strict judge: which styles a scoring covers, and whether it may be computed at all."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from jdiff_checker.errors import IncompleteUploadError
from jdiff_checker.reading.survey import Survey
from jdiff_checker.scoring import OFFICIAL_STYLES, Scoring


def official_styles(survey: Survey, selected: Sequence[str] | None) -> tuple[str, ...]:
    """The styles of the official scoring: those selected, or the fixed 15 as far as they exist.

    `selected` is what the survey was made with. Empty when the split has none of the 15.
    """
    return tuple(
        one.style for one in survey.styles if selected is not None or one.style in OFFICIAL_STYLES
    )


def styles_of(
    scoring: Scoring, survey: Survey, selected: Sequence[str] | None
) -> tuple[str, ...]:
    """The styles of a scoring; the corrected one has all that were surveyed."""
    if scoring is Scoring.OFFICIAL:
        return official_styles(survey, selected)
    return tuple(one.style for one in survey.styles)


def refuse_incomplete(survey: Survey, scoring: Scoring) -> None:
    """Do nothing if everything that the scoring needs is there.

    Raises:
        IncompleteUploadError: something is missing; the message lists all of it.
    """
    lines = [problem.message for problem in survey.problems if scoring in problem.stops]
    if lines:
        count = "1 problem" if len(lines) == 1 else f"{len(lines)} problems"
        raise IncompleteUploadError(
            f"{survey.upload}: {count}, so no {scoring} score", lines,
            "Add what is missing, or pass --allow-missing to score what is there.",
        )


def missing_from(survey: Survey, scoring: Scoring, styles: Collection[str]) -> list[str]:
    """What the scoring lacks within `styles`, one sentence each; empty when it lacks nothing."""
    return [
        problem.message for problem in survey.problems
        if scoring in problem.stops and problem.style in styles
    ]
