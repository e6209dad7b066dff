"""The result of a check, and `result.json`, the file that holds it.

The file has the official checker's keys, too (`dino_score`, `dino_summary`, `lpip_score`, ...).
They always hold the official scoring's numbers, whichever was asked for, so that scripts written
for them go on working.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from jdiff_checker.errors import InputError
from jdiff_checker.files import atomic_path
from jdiff_checker.scoring import Scoring


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Components(_Record):
    """The six metrics of one scoring; None where a metric was not asked for or has no value.

    `dino` (arXiv 2304.07193) and `hist`: -1 to 1, higher is better. `fid` (arXiv 1706.08500): 0
    and up, lower is better. `lpips` (arXiv 1801.03924): 0 to about 1, lower is better. `clip_iqa`
    (arXiv 2207.12396) and `clip_r` (arXiv 2103.00020): 0 to 1, higher is better.
    """

    dino: float | None = None
    hist: float | None = None
    fid: float | None = None
    lpips: float | None = None
    clip_iqa: float | None = None
    clip_r: float | None = None


class ClipR(_Record):
    """Whether an image's own prompt is among the five likeliest of the list."""

    label: str
    """The prompt looked for, in lower case."""
    correct: bool
    top5: list[tuple[str, float]]
    """The five likeliest prompts with their probabilities, likeliest first."""


class ImageScores(_Record):
    """One generated image."""

    file: str
    """Its name inside the style's folder of the upload."""
    prompt: str | None
    """The split's prompt it belongs to; None for an extra image."""
    sha256: str
    width: int
    height: int
    converted_from: str | None = None
    """Pillow's mode of a file that was not RGB."""
    dino: float | None = None
    """Mean of `dino_pairs`."""
    dino_pairs: dict[str, float] = Field(default_factory=dict)
    """Reference file name -> cosine similarity."""
    lpips: float | None = None
    """Mean of `lpips_pairs`."""
    lpips_pairs: dict[str, float] = Field(default_factory=dict)
    """Reference file name -> LPIPS distance."""
    hist: dict[Scoring, float] = Field(default_factory=dict)
    clip_iqa: dict[Scoring, float] = Field(default_factory=dict)
    clip_r: dict[Scoring, ClipR] = Field(default_factory=dict)


class ReferenceImage(_Record):
    """One sample image of a style."""

    file: str
    sha256: str
    width: int
    height: int
    converted_from: str | None = None


class StyleScores(_Record):
    """One style: its references, its images, and its means under both scorings.

    A style's own FID compares its few images alone; it says something beside other styles' values
    only. A scoring that leaves the style out (quirk 5) has no entry in `means`.
    """

    style: str
    prompts: int
    """How many prompts the split has for it."""
    references: list[ReferenceImage]
    images: list[ImageScores]
    means: dict[Scoring, Components]


class ScoringResult(_Record):
    """One scoring over all its styles."""

    scoring: Scoring
    styles: list[str]
    images: int
    components: Components
    final_score: float | None
    no_final_because: str | None = None
    """Why there is no final score; None when there is one."""
    incomplete: list[str] = Field(default_factory=list)
    """What was missing from the upload, one sentence each; empty when all was there."""
    notes: list[str] = Field(default_factory=list)
    """What this scoring does about each quirk."""


class Problem(_Record):
    """Something about the upload or the references that a person should know before the score."""

    kind: str
    style: str | None
    file: str | None
    message: str
    stops: list[Scoring] = Field(default_factory=list)
    """The scorings that a strict check refuses because of it."""


class WeightsRecord(_Record):
    """One file of weights that was used."""

    file: str
    """Its path inside the weights folder."""
    sha256: str
    published: bool
    """Whether this is the file the metric is defined with."""


class CheckResult(_Record):
    """Everything a check found out; see `check`."""

    schema_version: int = 1
    scoring: Scoring
    """The scoring that was asked for."""
    metrics: list[str]
    upload: str
    gt: str
    official: ScoringResult | None
    """None when the split has none of the official styles."""
    corrected: ScoringResult
    styles: list[StyleScores]
    problems: list[Problem]
    prompts: list[str]
    """CLIP-R's list, in lower case."""
    prompts_from: str
    weights: list[WeightsRecord]
    versions: dict[str, str]
    device: str
    started: str
    """ISO 8601, UTC."""
    seconds: float

    @property
    def chosen(self) -> ScoringResult:
        """The result of the scoring that was asked for."""
        if self.scoring is Scoring.OFFICIAL:
            assert self.official is not None
            return self.official
        return self.corrected

    @property
    def final_score(self) -> float | None:
        """The final score of the scoring that was asked for."""
        return self.chosen.final_score

    @property
    def unpublished_weights(self) -> list[str]:
        """Files of weights that are not the published ones; scores from them compare to nothing."""
        return [record.file for record in self.weights if not record.published]

    def image_path(self, style: str, file: str) -> Path:
        """Where a generated image lies."""
        return Path(self.upload) / style / file

    def reference_path(self, style: str, file: str) -> Path:
        """Where a reference image lies."""
        return Path(self.gt) / style / "images" / file


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
