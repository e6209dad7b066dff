"""The whole check, from two folders to a typed result."""

from __future__ import annotations

import datetime
import os
import platform
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

import numpy as np

from jdiff_checker.aggregation import Texts, clip_r_labels, score_all, score_style
from jdiff_checker.environment import require_torch
from jdiff_checker.errors import InputError
from jdiff_checker.features.cache import FeatureCache
from jdiff_checker.features.device import batch_size, choose_device, exact_arithmetic
from jdiff_checker.features.extraction import Extraction
from jdiff_checker.features.networks import networks
from jdiff_checker.files import user_cache
from jdiff_checker.inputs.prompts import prompts_of_split, read_prompt_list
from jdiff_checker.inputs.survey import Survey, missing_from, refuse_incomplete, styles_of, survey
from jdiff_checker.metrics import clip_iqa, clip_r
from jdiff_checker.metrics.lpips import SqueezeNetLpips
from jdiff_checker.result import CheckResult, Problem
from jdiff_checker.scoring import ALL_METRICS, QUIRKS, Metric, Scoring
from jdiff_checker.weights.folder import WeightsFolder

OnProgress = Callable[[str, int, int], None]
"""Told what is going on, how much of it is done, and how much there is."""

_Member = TypeVar("_Member", Metric, Scoring)

_LIBRARIES = ("jdiff-checker", "torch", "torchvision", "transformers", "open_clip_torch", "lpips",
              "opencv-python-headless", "numpy", "pillow")


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

    Both scorings are computed; `scoring` says whose completeness is insisted on and whose final
    score `result.final_score` is. Nothing is downloaded.

    Args:
        upload: holds `<NN>/<Prompt>.png`.
        gt: the split: `<NN>/images/*` and `<NN>/prompt.json`.
        scoring: `official` or `corrected`; see `QUIRKS`.
        metrics: some of `dino`, `hist`, `fid`, `lpips`, `clip-iqa`, `clip-r`. Only all six together
            make a final score.
        styles: folders to score instead of the scoring's own choice.
        prompts: CLIP-R's list, one a line; the default is every prompt of the split.
        weights: the weights folder; the default is `JDIFF_WEIGHTS` or a folder in the user's cache.
        allow_missing: score what is there instead of refusing an incomplete upload.
        allow_unpublished_weights: accept other weights than the published; the result is marked.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        workers: decoding threads; the default is the number of CPUs, 8 at most.
        cache: file of features from earlier checks; the default is in the user's cache folder.
        use_cache: False neither reads nor writes that file.
        on_problems: shown what was found odd or missing, before anything is scored or refused.
        on_progress: told how far the check is.

    Returns:
        Scores of every image, style and scoring; ranges and directions are with `Components`.

    Raises:
        UploadError: the upload is incomplete, or an image cannot be read.
        WeightsError: weights are missing, damaged or not the published ones.
        BrokenEnvironmentError: torch is missing, or is jtorch.
        InputError: another argument cannot be used.
    """
    started, begun = datetime.datetime.now(datetime.UTC), time.monotonic()
    require_torch()
    for name, given in (("metrics", metrics), ("styles", styles)):
        if isinstance(given, str):  # or its letters would be taken for the list
            raise InputError(f"{name}={given!r}: give a list, {name}=[{given!r}].")
    scoring = _member(Scoring, scoring, "scoring")
    wanted = {_member(Metric, given, "metric") for given in metrics}
    if not wanted:
        raise InputError("metrics: none is named. Give at least one, or leave it out for all.")
    chosen = [metric for metric in ALL_METRICS if metric in wanted]
    workers = workers or min(8, os.cpu_count() or 1)
    seen = survey(
        Path(upload), Path(gt), styles=styles, workers=workers,
        on_progress=lambda done, total: on_progress("Looking over the files", done, total),
    )
    on_problems(seen.problems)
    covered = {each: styles_of(each, seen, styles) for each in Scoring}
    if not covered[scoring]:
        raise InputError(
            f"{gt}: none of the official checker's styles 00 to 14. Name the styles with --styles, "
            "or use --scoring corrected, which takes all."
        )
    if not allow_missing:
        refuse_incomplete(seen, scoring)
    if prompts is None:
        prompt_list, prompts_from = prompts_of_split(Path(gt)), f"every prompt of {gt}"
    else:
        prompt_list, prompts_from = read_prompt_list(Path(prompts)), str(prompts)
    if Metric.CLIP_R in chosen and not prompt_list:
        raise InputError(f"{gt}: no prompts for CLIP-R to choose from. Give some: --prompts FILE.")

    folder = WeightsFolder.locate(Path(weights) if weights is not None else None)
    records = folder.require(chosen, allow_unpublished=allow_unpublished_weights)
    if Metric.LPIPS in chosen:
        records.append(SqueezeNetLpips.heads())
    on_progress("Starting torch", 0, 0)
    place = choose_device(device)
    exact_arithmetic()
    file = None
    if use_cache:
        file = Path(cache) if cache is not None else user_cache() / "features.sqlite"
    total = sum(len(style.references) + len(style.images) for style in seen.styles)
    done = 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        on_progress("Scoring images", done, total)

    def on_load(network: str) -> None:
        on_progress(f"Loading {network}", done, total)

    with FeatureCache(file) as remembered:
        extraction = Extraction(
            networks(chosen, folder.root, records, place, on_load), remembered, place,
            batch=batch_size(place), workers=workers, on_images=advance,
        )
        texts = _texts(extraction, chosen, seen, prompt_list)
        scored = {}
        for style in seen.styles:
            features = extraction.style(style.references,
                                        [image.picture for image in style.images])
            scorings = [each for each in Scoring if style.style in covered[each]]
            scored[style.style] = score_style(style, features, texts, scorings)
    results = {
        each: score_all(
            each, [scored[name] for name in covered[each]], chosen,
            incomplete=missing_from(seen, each, covered[each]),
            notes=_notes(each, chosen, styles is not None, len(prompt_list)),
        )
        for each in Scoring if covered[each]
    }
    return CheckResult(
        scoring=scoring,
        metrics=[metric.value for metric in chosen],
        upload=str(Path(upload).resolve()),
        gt=str(Path(gt).resolve()),
        official=results.get(Scoring.OFFICIAL),
        corrected=results[Scoring.CORRECTED],
        styles=[style.scores for style in scored.values()],
        problems=list(seen.problems),
        prompts=list(prompt_list),
        prompts_from=prompts_from,
        weights=records,
        versions={"python": platform.python_version()} | {name: version(name)
                                                          for name in _LIBRARIES},
        device=str(place),
        started=started.isoformat(timespec="seconds"),
        seconds=round(time.monotonic() - begun, 3),
    )


def _texts(
    extraction: Extraction, metrics: Sequence[Metric], seen: Survey, prompts: Sequence[str]
) -> Texts:
    anchors = None
    if Metric.CLIP_IQA in metrics:
        embedded = extraction.texts(Metric.CLIP_IQA, clip_iqa.ANCHORS)
        anchors = np.stack([embedded[anchor] for anchor in clip_iqa.ANCHORS])
    if Metric.CLIP_R not in metrics:
        return Texts(anchors=anchors)
    labels = list(dict.fromkeys([*prompts, *clip_r_labels(seen.styles)]))
    return Texts(prompts, extraction.texts(Metric.CLIP_R, labels), extraction.logit_scale(),
                 anchors)


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


def _member(kind: type[_Member], given: _Member | str, what: str) -> _Member:
    try:
        return kind(given)
    except ValueError as error:
        names = ", ".join(kind)
        raise InputError(f"no {what} {given!r}. There are {names}.") from error
