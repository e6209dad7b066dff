"""The complete check, from two folders to a typed result."""

from __future__ import annotations

import datetime
import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from jdiff_checker.aggregation import (
    ScoredStyle,
    TextFeatures,
    clip_r_labels,
    score_all,
    score_style,
)
from jdiff_checker.environment import require_torch
from jdiff_checker.errors import InputError
from jdiff_checker.features.cache import FeatureCache
from jdiff_checker.features.device import (
    batch_size,
    choose_device,
    exact_arithmetic,
    limit_threads,
)
from jdiff_checker.features.extraction import Extraction
from jdiff_checker.features.networks import networks
from jdiff_checker.files import user_cache
from jdiff_checker.inputs.prompts import prompts_of_split, read_prompt_list
from jdiff_checker.inputs.survey import (
    Survey,
    covered_styles,
    missing_from,
    refuse_incomplete,
    survey,
)
from jdiff_checker.machine import processors
from jdiff_checker.metrics import clip_iqa, clip_r
from jdiff_checker.metrics.lpips import SqueezeNetLpips
from jdiff_checker.result import CheckResult, Problem, ScoringResult, WeightsRecord
from jdiff_checker.scoring import ALL_METRICS, QUIRKS, Metric, Scoring
from jdiff_checker.weights.folder import WeightsFolder

if TYPE_CHECKING:
    import torch

OnProgress = Callable[[str, int, int], None]
"""Called with the current phase, the number of finished items, and their total."""

_Member = TypeVar("_Member", Metric, Scoring)
_Text = TypeVar("_Text", bound=str)

_LIBRARIES = ("jdiff-checker", "torch", "torchvision", "transformers", "open_clip_torch", "lpips",
              "opencv-python-headless", "numpy", "pillow")


@dataclass(frozen=True)
class CheckRequest:
    """The arguments of a check, validated; `check` documents them."""

    upload: Path
    gt: Path
    scoring: Scoring
    metrics: tuple[Metric, ...]
    """In the order of `ALL_METRICS`."""
    styles: tuple[str, ...] | None
    prompts: Path | None
    weights: Path | None
    allow_missing: bool
    allow_unpublished_weights: bool
    device: str
    workers: int
    cache: Path | None
    use_cache: bool

    def cache_file(self) -> Path | None:
        """The file of features; None keeps them in memory."""
        if not self.use_cache:
            return None
        try:
            return self.cache or user_cache() / "features.sqlite"
        except RuntimeError as error:
            raise InputError(
                f"no folder for the cache of features: {str(error).rstrip('.')}. Give a file with "
                "--cache, or --no-cache."
            ) from error


@dataclass(frozen=True)
class _Inputs:
    """The surveyed images and the prompts of a check."""

    survey: Survey
    styles: dict[Scoring, tuple[str, ...]]
    """Names of the styles that each scoring covers."""
    prompts: tuple[str, ...]
    """CLIP-R's list, in lower case."""
    prompts_from: str


def check(
    upload: str | os.PathLike[str],
    gt: str | os.PathLike[str],
    *,
    scoring: Scoring | str = Scoring.OFFICIAL,
    metrics: Sequence[Metric | str] = ALL_METRICS,
    styles: Sequence[str] | None = None,
    prompts: str | os.PathLike[str] | None = None,
    weights: str | os.PathLike[str] | None = None,
    allow_missing: bool = False,
    allow_unpublished_weights: bool = False,
    device: str = "auto",
    workers: int | None = None,
    cache: str | os.PathLike[str] | None = None,
    use_cache: bool = True,
    on_problems: Callable[[Sequence[Problem]], None] = lambda problems: None,
    on_progress: OnProgress = lambda what, done, total: None,
) -> CheckResult:
    """Score an upload against a split, as track 2 of the 4th Jittor AI challenge does.

    Both scorings are computed. `scoring` selects one of them: the upload must be complete for this
    scoring, and `result.final_score` is its final score. Nothing is downloaded.

    Args:
        upload: folder with `<NN>/<Prompt>.png`.
        gt: folder of the split, with `<NN>/images/*` and `<NN>/prompt.json`.
        scoring: `official` or `corrected`; see `QUIRKS`.
        metrics: some of `dino`, `hist`, `fid`, `lpips`, `clip-iqa`, `clip-r`. Only all six together
            make a final score.
        styles: folders to score instead of the scoring's own choice.
        prompts: file with CLIP-R's list, one prompt per line; the default is every prompt of the
            split.
        weights: the weights folder; the default is `JDIFF_WEIGHTS` or a folder in the user's cache.
        allow_missing: score the images that are present instead of refusing an incomplete upload.
        allow_unpublished_weights: accept weights that are not the published files; the result is
            marked.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        workers: number of decoding threads; the default is the number of processors,
            at most 8.
        cache: file that keeps features between checks; the default is in the user's cache folder.
        use_cache: False neither reads nor writes that file.
        on_problems: called with the problems found, before anything is scored or refused.
        on_progress: called with the phase, the number of finished items and their total.

    Returns:
        Scores of every image, style and scoring; ranges and directions are with `Components`.

    Raises:
        UploadError: the upload is incomplete, or an image cannot be read.
        WeightsError: weights are missing, damaged or not the published ones.
        BrokenEnvironmentError: torch is missing, or is jtorch.
        InputError: another argument cannot be used.
    """
    started, begun = datetime.datetime.now(datetime.timezone.utc), time.monotonic()
    require_torch()
    request = CheckRequest(
        upload=Path(upload), gt=Path(gt), scoring=_member(Scoring, scoring, "scoring"),
        metrics=_chosen_metrics(_listed("metrics", metrics)),
        styles=None if styles is None else tuple(_listed("styles", styles)),
        prompts=_path(prompts), weights=_path(weights), allow_missing=allow_missing,
        allow_unpublished_weights=allow_unpublished_weights, device=device,
        workers=workers or min(8, processors()), cache=_path(cache), use_cache=use_cache,
    )
    inputs = _read_inputs(request, on_problems, on_progress)
    folder = WeightsFolder.locate(request.weights)
    records = folder.require(request.metrics,
                             allow_unpublished=request.allow_unpublished_weights)
    if Metric.LPIPS in request.metrics:
        records.append(SqueezeNetLpips.heads())
    on_progress("Starting torch", 0, 0)
    place = choose_device(request.device)
    exact_arithmetic()
    limit_threads()
    scored = _score_styles(request, inputs, folder.root, records, place, on_progress)
    results = _score_all(request, inputs, scored)
    return CheckResult(
        scoring=request.scoring,
        metrics=[metric.value for metric in request.metrics],
        upload=str(request.upload.resolve()),
        gt=str(request.gt.resolve()),
        official=results.get(Scoring.OFFICIAL),
        corrected=results[Scoring.CORRECTED],
        styles=[style.scores for style in scored.values()],
        problems=list(inputs.survey.problems),
        prompts=list(inputs.prompts),
        prompts_from=inputs.prompts_from,
        weights=records,
        versions={"python": platform.python_version()} | {name: version(name)
                                                          for name in _LIBRARIES},
        device=str(place),
        started=started.isoformat(timespec="seconds"),
        seconds=round(time.monotonic() - begun, 3),
    )


def _listed(name: str, given: Sequence[_Text]) -> Sequence[_Text]:
    if isinstance(given, str):  # or its letters would be taken for the list
        raise InputError(f"{name}={given!r}: give a list, {name}=[{given!r}].")
    return given


def _chosen_metrics(given: Sequence[Metric | str]) -> tuple[Metric, ...]:
    wanted = {_member(Metric, name, "metric") for name in given}
    if not wanted:
        raise InputError("metrics: none is named. Give at least one, or leave it out for all.")
    return tuple(metric for metric in ALL_METRICS if metric in wanted)


def _member(kind: type[_Member], given: _Member | str, what: str) -> _Member:
    try:
        return kind(given)
    except ValueError as error:
        names = ", ".join(kind)
        raise InputError(f"no {what} {given!r}. There are {names}.") from error


def _path(given: str | os.PathLike[str] | None) -> Path | None:
    return None if given is None else Path(given)


def _read_inputs(
    request: CheckRequest, on_problems: Callable[[Sequence[Problem]], None],
    on_progress: OnProgress,
) -> _Inputs:
    """Survey the images and read the prompts; refuse an upload that cannot be scored."""
    gt = request.gt
    seen = survey(
        request.upload, gt, styles=request.styles, workers=request.workers,
        on_progress=lambda done, total: on_progress("Looking over the files", done, total),
    )
    on_problems(seen.problems)
    covered = {each: covered_styles(each, seen, request.styles) for each in Scoring}
    if not covered[request.scoring]:
        raise InputError(
            f"{gt}: none of the official checker's styles 00 to 14. Name the styles with --styles, "
            "or use --scoring corrected, which takes all."
        )
    if not request.allow_missing:
        refuse_incomplete(seen, request.scoring)
    if request.prompts is None:
        prompts, prompts_from = prompts_of_split(gt), f"every prompt of {gt}"
    else:
        prompts, prompts_from = read_prompt_list(request.prompts), str(request.prompts)
    if Metric.CLIP_R in request.metrics and not prompts:
        raise InputError(f"{gt}: no prompts for CLIP-R to choose from. Give some: --prompts FILE.")
    return _Inputs(seen, covered, prompts, prompts_from)


def _score_styles(
    request: CheckRequest, inputs: _Inputs, weights: Path, records: list[WeightsRecord],
    place: torch.device, on_progress: OnProgress,
) -> dict[str, ScoredStyle]:
    """Extract the features of every style, and score the style from them."""
    styles = inputs.survey.styles
    total = sum(len(style.references) + len(style.images) for style in styles)
    done = 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        on_progress("Scoring images", done, total)

    def on_load(network: str) -> None:
        on_progress(f"Loading {network}", done, total)

    with FeatureCache(request.cache_file()) as cache:
        extraction = Extraction(
            networks(request.metrics, weights, records, place, on_load), cache, place,
            batch=batch_size(place), workers=request.workers, on_images=advance,
        )
        texts = _texts(extraction, request.metrics, inputs)
        scored = {}
        for style in styles:
            features = extraction.style(style.references,
                                        [image.picture for image in style.images])
            scorings = [each for each in Scoring if style.style in inputs.styles[each]]
            scored[style.style] = score_style(style, features, texts, scorings)
    return scored


def _score_all(
    request: CheckRequest, inputs: _Inputs, scored: dict[str, ScoredStyle]
) -> dict[Scoring, ScoringResult]:
    """The result of each scoring that covers a style."""
    return {
        scoring: score_all(
            scoring, [scored[name] for name in names], request.metrics,
            incomplete=missing_from(inputs.survey, scoring, names),
            notes=_notes(scoring, request.metrics, request.styles is not None,
                         len(inputs.prompts)),
        )
        for scoring, names in inputs.styles.items() if names
    }


def _texts(extraction: Extraction, metrics: Sequence[Metric], inputs: _Inputs) -> TextFeatures:
    """Embed the anchors of CLIP-IQA and the prompts of CLIP-R, if these metrics are computed."""
    anchors = None
    if Metric.CLIP_IQA in metrics:
        embedded = extraction.texts(Metric.CLIP_IQA, clip_iqa.ANCHORS)
        anchors = np.stack([embedded[anchor] for anchor in clip_iqa.ANCHORS])
    if Metric.CLIP_R not in metrics:
        return TextFeatures(anchors=anchors)
    labels = list(dict.fromkeys([*inputs.prompts, *clip_r_labels(inputs.survey.styles)]))
    return TextFeatures(inputs.prompts, extraction.texts(Metric.CLIP_R, labels),
                 extraction.logit_scale(), anchors)


def _notes(
    scoring: Scoring, metrics: Sequence[Metric], selected: bool, prompts: int
) -> list[str]:
    notes = []
    for quirk in QUIRKS:
        if quirk.metric is not None and quirk.metric not in metrics:
            continue
        if quirk.number == 5 and selected:
            notes.append("as asked for: styles: those named, neither 00 to 14 nor all")
        elif scoring is Scoring.CORRECTED:
            notes.append(f"fixed: {quirk.subject}: {quirk.corrected}")
        else:
            notes.append(f"as official: {quirk.subject}: {quirk.official}")
    if Metric.CLIP_R in metrics and prompts <= clip_r.TOP:
        notes.append(f"CLIP-R says nothing here: with a list of {prompts} prompts every image's is "
                     f"among the {clip_r.TOP} likeliest")
    return notes
