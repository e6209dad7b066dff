"""Whether the numbers of two results can be held against each other at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from jdiff_checker.result import CheckResult
from jdiff_checker.showing.values import DASH


def mismatches(a: CheckResult, b: CheckResult) -> list[str]:
    """Every way in which the two were not computed alike, one sentence each."""
    return [
        *_scoring(a, b),
        *_metrics(a, b),
        *_prompts(a, b),
        *_weights(a, b),
        *_references(a, b),
        *_torch(a, b),
    ]


def side_differences(a: CheckResult, b: CheckResult) -> list[str]:
    """Differences that should change nothing but late digits: other versions, the device."""
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
    return ["They hold different metrics: " + _only(a.metrics, b.metrics) + "."]


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


def _only(a: Sequence[str], b: Sequence[str]) -> str:
    parts = [f"only {name} has {', '.join(extra)}"
             for name, extra in (("A", sorted(set(a) - set(b))), ("B", sorted(set(b) - set(a))))
             if extra]
    return "; ".join(parts)


def _some(names: Sequence[str], most: int = 8) -> str:
    listed = ", ".join(names[:most])
    return listed if len(names) <= most else f"{listed} and {len(names) - most} more"
