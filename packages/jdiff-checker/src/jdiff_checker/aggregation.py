"""Aggregates features into scores: per image, per style, and over all styles of a scoring."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from jdiff_checker.features.cache import Vector
from jdiff_checker.features.extraction import StyleFeatures
from jdiff_checker.inputs.images import Picture
from jdiff_checker.inputs.survey import SurveyedStyle, UploadImage
from jdiff_checker.metrics import clip_iqa, clip_r, dino, fid, histogram
from jdiff_checker.result import (
    Components,
    ImageScores,
    ReferenceImage,
    ScoringResult,
    StyleScores,
)
from jdiff_checker.scoring import ALL_METRICS, Metric, Scoring, final_score


@dataclass(frozen=True)
class TextFeatures:
    """Features of texts, by the two CLIP networks."""

    prompts: Sequence[str] = ()
    """CLIP-R's list, in lower case."""
    prompt_embeddings: Mapping[str, Vector] = field(default_factory=dict)
    """Unit embedding of each prompt."""
    logit_scale: float = 1.0
    """Learned factor on CLIP-R's cosines."""
    anchors: Vector | None = None
    """Unit embeddings of CLIP-IQA's two anchors, (2, D)."""


@dataclass(frozen=True)
class ScoredStyle:
    """A style's scores, and the FID features that the comparison over all styles needs."""

    scores: StyleScores
    fid_references: list[Vector]
    fid_images: dict[Scoring, list[Vector]]


def score_style(
    style: SurveyedStyle, features: StyleFeatures, texts: TextFeatures, scorings: Iterable[Scoring]
) -> ScoredStyle:
    """Score one style under `scorings`, the scorings that cover the style."""
    references = [_reference(picture) for picture in style.references]
    images = [_image(image, style.references, features, texts) for image in style.images]
    fid_vectors = features.vectors.get(Metric.FID, {})
    fid_references = [fid_vectors[p.sha256] for p in style.references if fid_vectors]
    fid_images = {
        scoring: [fid_vectors[image.sha256] for image in _counted(images, scoring) if fid_vectors]
        for scoring in Scoring
    }
    means = {
        scoring: _means(_counted(images, scoring), scoring,
                        _fid(fid_references, fid_images[scoring]))
        for scoring in scorings
    }
    scores = StyleScores(style=style.style, prompts=len(style.prompts), references=references,
                         images=images, means=means)
    return ScoredStyle(scores, fid_references, fid_images)


def score_all(
    scoring: Scoring,
    styles: Sequence[ScoredStyle],
    metrics: Sequence[Metric],
    *,
    incomplete: list[str],
    notes: list[str],
) -> ScoringResult:
    """Combine the styles of one scoring into its result; styles without images are left out."""
    styles = [style for style in styles if _counted(style.scores.images, scoring)]
    means = [style.scores.means[scoring] for style in styles]
    images = [image for style in styles for image in _counted(style.scores.images, scoring)]
    # Quirk 3: the official loop keeps only the style it saw last.
    compared = styles if scoring is Scoring.CORRECTED else [
        style for style in styles if style.fid_images[scoring]
    ][-1:]
    components = Components(
        dino=_mean(mean.dino for mean in means),
        hist=_mean(mean.hist for mean in means),
        lpips=_mean(mean.lpips for mean in means),
        clip_iqa=_mean(mean.clip_iqa for mean in means),
        clip_r=_mean(float(image.clip_r[scoring].correct)
                     for image in images if image.clip_r),
        fid=_fid([vector for style in compared for vector in style.fid_references],
                 [vector for style in compared for vector in style.fid_images[scoring]]),
    )
    values = components.model_dump()
    lacking = [metric for metric in ALL_METRICS if values[metric.field] is None]
    return ScoringResult(
        scoring=scoring,
        styles=[style.scores.style for style in styles],
        images=len(images),
        components=components,
        final_score=None if lacking else final_score(**values),
        no_final_because=_reason(lacking, metrics) if lacking else None,
        incomplete=incomplete,
        notes=notes,
    )


def clip_r_labels(styles: Iterable[SurveyedStyle]) -> list[str]:
    """The prompt that each image should show, under both scorings."""
    return [
        label for style in styles for image in style.images
        for label in clip_r.labels(image.picture.name, image.prompt).values()
    ]


def _reference(picture: Picture) -> ReferenceImage:
    return ReferenceImage(file=picture.name, sha256=picture.sha256, width=picture.width,
                          height=picture.height, converted_from=picture.converted_from)


def _image(
    image: UploadImage, references: Sequence[Picture], features: StyleFeatures, texts: TextFeatures
) -> ImageScores:
    picture = image.picture
    vectors = {metric: known[picture.sha256] for metric, known in features.vectors.items()}
    theirs = {metric: [features.vectors[metric][reference.sha256] for reference in references]
              for metric in (Metric.DINO, Metric.HIST) if metric in vectors}
    names = [reference.name for reference in references]
    scores = ImageScores(file=picture.name, prompt=image.prompt, sha256=picture.sha256,
                         width=picture.width, height=picture.height,
                         converted_from=picture.converted_from)
    found: dict[str, object] = {}
    if references and Metric.DINO in vectors:
        cosines = dino.similarities(vectors[Metric.DINO][None], np.stack(theirs[Metric.DINO]))[0]
        found["dino_pairs"] = dict(zip(names, map(float, cosines), strict=True))
        found["dino"] = float(cosines.mean())
    if references and features.lpips:
        distances = [features.lpips[picture.sha256, reference.sha256] for reference in references]
        found["lpips_pairs"] = dict(zip(names, distances, strict=True))
        found["lpips"] = float(np.mean(distances))
    if references and Metric.HIST in vectors:
        found["hist"] = {
            scoring: histogram.score(vectors[Metric.HIST], theirs[Metric.HIST], scoring)
            for scoring in Scoring
        }
    if Metric.CLIP_IQA in vectors and texts.anchors is not None:
        halves = np.split(vectors[Metric.CLIP_IQA], 2)  # in the order of Scoring
        found["clip_iqa"] = {
            scoring: float(clip_iqa.quality(half[None], texts.anchors)[0])
            for scoring, half in zip(Scoring, halves, strict=True)
        }
    if Metric.CLIP_R in vectors:
        found["clip_r"] = {
            scoring: clip_r.recall(vectors[Metric.CLIP_R], label, texts.prompts,
                                   texts.prompt_embeddings, texts.logit_scale)
            for scoring, label in clip_r.labels(picture.name, image.prompt).items()
        }
    return scores.model_copy(update=found)


def _counted(images: Sequence[ImageScores], scoring: Scoring) -> list[ImageScores]:
    """The images that a scoring counts: all files, or those with a prompt (quirk 7)."""
    return [image for image in images
            if scoring is Scoring.OFFICIAL or image.prompt is not None]


def _means(images: list[ImageScores], scoring: Scoring, distance: float | None) -> Components:
    return Components(
        dino=_mean(image.dino for image in images),
        hist=_mean(image.hist.get(scoring) for image in images),
        lpips=_mean(image.lpips for image in images),
        clip_iqa=_mean(image.clip_iqa.get(scoring) for image in images),
        clip_r=_mean(float(image.clip_r[scoring].correct)
                     for image in images if image.clip_r),
        fid=distance,
    )


def _fid(references: list[Vector], images: list[Vector]) -> float | None:
    if not references or not images:
        return None
    return fid.frechet_distance(np.stack(references), np.stack(images))


def _mean(values: Iterable[float | None]) -> float | None:
    present = [value for value in values if value is not None]
    return float(np.mean(present)) if present else None


def _reason(lacking: list[Metric], metrics: Sequence[Metric]) -> str:
    unasked = [metric.label for metric in lacking if metric not in metrics]
    if unasked:
        return f"the final score needs all six metrics; {', '.join(unasked)} not asked for"
    names = ", ".join(metric.label for metric in lacking)
    return (f"no value for {names}: each needs images and references"
            + (", FID at least two of both" if Metric.FID in lacking else ""))
