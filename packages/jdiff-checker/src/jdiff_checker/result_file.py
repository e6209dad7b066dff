"""`result.json`: the typed result, and beside it the official checker's keys.

The keys of the official file (`dino_score`, `dino_summary`, `lpip_score`, ...) always hold the
official scoring's numbers, whichever was asked for, so that scripts written for it go on working.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from jdiff_checker.errors import InputError
from jdiff_checker.files import atomic_path
from jdiff_checker.result import CheckResult, StyleScores
from jdiff_checker.scoring import Scoring


def write_result(result: CheckResult, path: Path) -> None:
    """Write `result` to `path`, whole or not at all.

    Raises:
        OutputError: the file cannot be written.
    """
    content = {**official_keys(result), **result.model_dump(mode="json")}
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n",
                             encoding="utf-8")


def read_result(path: Path) -> CheckResult:
    """Read a `result.json` that `write_result` wrote.

    Raises:
        InputError: there is no such file, or it is something else.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file. Give the result.json of a check.") from error
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not readable as JSON ({error}).") from error
    try:
        return CheckResult.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "the whole file"
        raise InputError(
            f"{path}: not a result of this program: {field}: {first['msg']}. "
            "Run jdiff-check again to write one."
        ) from error


def official_keys(result: CheckResult) -> dict[str, Any]:
    """The content of the official checker's own `result.json`, for the metrics there are.

    Its schema: per-pair lists for DINO, per-style numbers for the histogram, top-5 lists for
    CLIP-R, and a total each.
    """
    scored = result.official
    if scored is None:
        return {}
    styles = [style for style in result.styles if style.style in scored.styles]
    total = scored.components
    keys: dict[str, Any] = {}
    if total.dino is not None:
        keys["dino_score"] = total.dino
        keys["dino_summary"] = _dino_summary(styles) | {"total": total.dino}
        keys["dino_scores"] = {
            style.style: {image.file: list(image.dino_pairs.items()) for image in style.images}
            for style in styles
        }
    if total.hist is not None:
        keys["hist_score"] = total.hist
        keys["hist_summary"] = {"total": total.hist}
        keys["hist_scores"] = _means(styles, "hist")
    if total.fid is not None:
        keys["fid_score"] = total.fid
    if total.lpips is not None:
        keys["lpip_score"] = total.lpips
    if total.clip_iqa is not None:
        keys["clip_iqa_score"] = total.clip_iqa
        keys["clip_iqa_summary"] = _means(styles, "clip_iqa") | {"total": total.clip_iqa}
    if total.clip_r is not None:
        keys["clip_r_score"] = total.clip_r
        keys["clip_r_scores"] = _clip_r_scores(styles) | {"total_correct_ratio": total.clip_r}
    return keys


def printed_summary(result: CheckResult) -> dict[str, float]:
    """What the official program prints: its `clip_iqa_score` is the histogram's (quirk 6)."""
    keys = official_keys(result)
    names = ("dino_score", "hist_score", "fid_score", "lpip_score", "clip_iqa_score",
             "clip_r_score")
    summary = {name: keys[name] for name in names if name in keys}
    if "clip_iqa_score" in summary and "hist_score" in summary:
        summary["clip_iqa_score"] = summary["hist_score"]
    return summary


def _means(styles: list[StyleScores], field: str) -> dict[str, float]:
    return {style.style: getattr(style.means[Scoring.OFFICIAL], field) for style in styles}


def _dino_summary(styles: list[StyleScores]) -> dict[str, Any]:
    return {
        style.style: {image.file: image.dino for image in style.images}
        | {"total": style.means[Scoring.OFFICIAL].dino}
        for style in styles
    }


def _clip_r_scores(styles: list[StyleScores]) -> dict[str, Any]:
    return {
        style.style: {
            image.file: {
                "correct": image.clip_r[Scoring.OFFICIAL].correct,
                "result": image.clip_r[Scoring.OFFICIAL].top5,
            }
            for image in style.images
        }
        for style in styles
    }
