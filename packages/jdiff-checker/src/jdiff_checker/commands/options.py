"""Options that several commands take, and how their values are read."""

from __future__ import annotations

from jdiff_checker.errors import InputError
from jdiff_checker.scoring import ALL_METRICS, Metric


def parse_metrics(text: str | None) -> tuple[Metric, ...]:
    """The metrics of a comma-separated list, each once and in their usual order; None means all.

    Raises:
        InputError: a name is not a metric's, or there is none.
    """
    if text is None:
        return ALL_METRICS
    names = [name.strip() for name in text.lower().split(",") if name.strip()]
    valid = [metric.value for metric in ALL_METRICS]
    unknown = [name for name in names if name not in valid]
    if unknown or not names:
        problem = f"no such metric: {', '.join(unknown)}" if unknown else "no metric is named"
        raise InputError(f"--metrics {text}: {problem}. Choose from {', '.join(valid)}, with "
                         "commas between them.")
    return tuple(metric for metric in ALL_METRICS if metric.value in names)


def parse_styles(text: str | None) -> tuple[str, ...] | None:
    """The styles of a comma-separated list; None means the scoring's own choice.

    Raises:
        InputError: there is none in the list.
    """
    if text is None:
        return None
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    if not names:
        raise InputError(f"--styles {text!r}: no style is named. Give folders: --styles 00,04")
    return names
