"""The result of a check, and `result.json`, the file that holds it.

The file has the official checker's keys, too (`dino_score`, `dino_summary`, `lpip_score`, ...).
They always hold the official scoring's numbers, whichever was asked for, so that scripts written
for them go on working.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import from_json

from jdiff_checker.errors import InputError
from jdiff_checker.files import atomic_path, read_regular
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
    """CLIP-R of one image: whether its own prompt is among the five likeliest of the list."""

    label: str
    """The image's own prompt, in lower case."""
    correct: bool
    top5: list[tuple[str, float]]
    """The five likeliest prompts with their probabilities, likeliest first."""


class ImageScores(_Record):
    """One generated image."""

    file: str
    """File name inside the style's folder of the upload."""
    prompt: str | None
    """The matching prompt of the split; None for an extra image."""
    sha256: str
    width: int
    height: int
    converted_from: str | None = None
    """Pillow's mode of the file; None if the file is RGB."""
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

    The FID of one style compares few images; the value has a meaning only beside the values of
    other styles. A scoring that leaves the style out (quirk 5) has no entry in `means`.
    """

    style: str
    prompts: int
    """Number of prompts of the style."""
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
    """Reason for a missing final score; None if there is a final score."""
    incomplete: list[str] = Field(default_factory=list)
    """Missing parts of the upload, one sentence each; empty for a complete upload."""
    notes: list[str] = Field(default_factory=list)
    """Treatment of each quirk, one sentence each."""


class Problem(_Record):
    """A problem of the upload or of the references, reported before the score."""

    kind: str
    style: str | None
    file: str | None
    message: str
    stops: list[Scoring] = Field(default_factory=list)
    """Scorings that a strict check refuses because of this problem."""


class WeightsRecord(_Record):
    """A weights file that a check used."""

    file: str
    """Path inside the weights folder."""
    sha256: str
    published: bool
    """True for the file that defines the metric."""


class CheckResult(_Record):
    """The complete result of a check; see `check`."""

    schema_version: int = 1
    scoring: Scoring
    """The selected scoring."""
    metrics: list[str]
    upload: str
    gt: str
    official: ScoringResult | None
    """None if the split has none of the official styles."""
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

    @model_validator(mode="after")
    def _has_what_is_chosen(self) -> CheckResult:
        if self.scoring is Scoring.OFFICIAL and self.official is None:
            raise ValueError("its scoring is official, and there is no official result")
        return self

    @property
    def chosen(self) -> ScoringResult:
        """The result of the selected scoring."""
        if self.scoring is Scoring.OFFICIAL:
            assert self.official is not None
            return self.official
        return self.corrected

    @property
    def final_score(self) -> float | None:
        """The final score of the selected scoring."""
        return self.chosen.final_score

    @property
    def unpublished_weights(self) -> list[str]:
        """Weights files that are not the published ones; their scores are not comparable."""
        return [record.file for record in self.weights if not record.published]

    def image_path(self, style: str, file: str) -> Path:
        """Path of a generated image."""
        return Path(self.upload) / style / file

    def reference_path(self, style: str, file: str) -> Path:
        """Path of a reference image."""
        return Path(self.gt) / style / "images" / file


def write_result(result: CheckResult, path: Path) -> None:
    """Write `result` to `path`, whole or not at all.

    Raises:
        OutputError: the file cannot be written.
    """
    content = {**official_keys(result), **result.model_dump(mode="json")}
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n",
                             encoding="utf-8", errors="replace")  # names that are no UTF-8


def read_result(path: Path) -> CheckResult:
    """Read a `result.json` that `write_result` wrote.

    Raises:
        InputError: the file is missing, or is not a result.
    """
    try:
        # Python's own parser takes half a surrogate pair, which cannot be shown, and any depth.
        content = from_json(read_regular(path).decode("utf-8-sig"))
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
    """The keys of the official checker's `result.json`, for the computed metrics.

    Schema: per-pair lists for DINO, per-style numbers for the histogram, top-5 lists for
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
