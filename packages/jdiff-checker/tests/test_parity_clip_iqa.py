"""CLIP-IQA against torchmetrics over piq's CLIP, on the same weights, under both scorings."""

import numpy as np
import pytest
import torch

import checker_references as theirs
from jdiff_checker.metrics.clip_iqa import ANCHORS, ClipRN50, quality
from jdiff_checker.scoring import Scoring

LIMIT = 1e-5
SIZES = theirs.SIZES[:-1]  # CLIP-IQA does not resize: the largest takes seconds
DATA_RANGE = {Scoring.OFFICIAL: 1.0, Scoring.CORRECTED: 255.0}
"""What torchmetrics is told of images that hold 0 to 255 (quirk 4)."""


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    with theirs.one_thread():
        yield


@pytest.fixture(scope="module")
def images():
    return theirs.pictures(SIZES, seed=3)


@pytest.fixture(scope="module")
def ours(weights, images):
    """The package's scores by scoring."""
    file = weights / "clip-rn50/open_clip_model.safetensors"
    network = ClipRN50(file, torch.device("cpu"))
    anchors = network.embed_texts(list(ANCHORS)).numpy()
    with torch.inference_mode():
        vectors = np.stack([network(network.prepare(image)[None])[0].numpy() for image in images])
    halves = np.split(vectors, 2, axis=1)
    return {scoring: quality(half, anchors)
            for scoring, half in zip(Scoring, halves, strict=True)}


@pytest.fixture(scope="module")
def reference(weights, tmp_path_factory):
    return theirs.ClipIqa(weights, tmp_path_factory.mktemp("vocabulary"))


@pytest.mark.parametrize("scoring", Scoring)
def test_scores_are_those_of_torchmetrics_at_every_size(ours, reference, images, scoring):
    expected = reference(images, DATA_RANGE[scoring])
    assert len(set(expected)) == len(images)
    for size, score, other in zip(SIZES, ours[scoring], expected, strict=True):
        assert score == pytest.approx(other, abs=LIMIT), size


def test_the_scorings_differ_beyond_the_limit(ours):
    assert (np.abs(ours[Scoring.OFFICIAL] - ours[Scoring.CORRECTED]) > 100 * LIMIT).all()


@pytest.mark.parametrize("scoring", Scoring)
@pytest.mark.parametrize("wrong", ["with_exact_gelu", "with_positions"])
def test_the_limit_tells_a_wrong_network(ours, reference, images, scoring, wrong):
    mistaken = getattr(reference, wrong)()(images[:3], DATA_RANGE[scoring])
    assert np.abs(ours[scoring][:3] - mistaken).max() > 5 * LIMIT


@pytest.mark.parametrize("scoring", Scoring)
def test_the_limit_tells_images_that_were_resized(ours, reference, images, scoring):
    resized = [image.resize((224, 224)) for image in images]
    mistaken = reference(resized, DATA_RANGE[scoring])
    assert np.abs(ours[scoring] - mistaken).max() > 5 * LIMIT
