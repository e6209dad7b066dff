"""DINO against transformers: its DINOv2 behind its own image processor, on the same weights."""

import numpy as np
import pytest
import torch
from PIL import Image

import checker_references as theirs
from jdiff_checker.metrics.dino import Dinov2, similarities

LIMIT = 1e-5


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    with theirs.one_thread():
        yield


@pytest.fixture(scope="module")
def images():
    return theirs.pictures(theirs.SIZES, seed=1)


@pytest.fixture(scope="module")
def network(weights):
    return Dinov2(weights / "dinov2-base", torch.device("cpu"))


@pytest.fixture(scope="module")
def ours(network, images):
    with torch.inference_mode():
        return network(torch.stack([network.prepare(image) for image in images]))


@pytest.fixture(scope="module")
def expected(weights, images):
    return theirs.dino_features(weights, images)


def worst(first: torch.Tensor, second: torch.Tensor) -> float:
    return float((first - second).abs().max())


def test_features_are_those_of_transformers_at_every_size(ours, expected):
    assert ours.shape == (len(theirs.SIZES), 64)
    for size, row, other in zip(theirs.SIZES, ours, expected, strict=True):
        assert worst(row, other) <= LIMIT, size


def all_cosines(images: torch.Tensor, references: torch.Tensor) -> list[list[float]]:
    """torch's, one pair after the other."""
    return [[float(torch.nn.functional.cosine_similarity(image, reference, dim=0))
             for reference in references] for image in images]


def test_cosines_of_images_and_references_are_those_of_transformers(ours, expected):
    found = similarities(ours[3:].numpy(), ours[:3].numpy())
    assert found == pytest.approx(np.array(all_cosines(expected[3:], expected[:3])), abs=LIMIT)


def test_cosines_of_any_vectors_are_those_of_torch():
    """The small network's vectors all point one way; these do not, and one is zero."""
    vectors = torch.randn(6, 64, generator=torch.Generator().manual_seed(0))
    vectors[0] *= 1000
    vectors[1] = 0
    found = similarities(vectors[:4].numpy(), vectors[3:].numpy())
    assert found.min() < -0.05
    assert found.max() > 0.99
    assert found == pytest.approx(np.array(all_cosines(vectors[:4], vectors[3:])), abs=LIMIT)


def test_an_image_is_the_same_to_it_alone_and_among_others(network, ours, images):
    with torch.inference_mode():
        for image, row in zip(images, ours, strict=True):
            assert worst(network(network.prepare(image)[None])[0], row) <= LIMIT


@pytest.mark.parametrize("wrong", [
    {"resample": Image.Resampling.BILINEAR},
    {"size": {"shortest_edge": 224}},
    {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]},
    {"normed": False},
], ids=["bilinear", "no-margin", "other-colours", "before-the-last-norm"])
def test_the_limit_tells_a_wrong_recipe(weights, images, ours, wrong):
    mistaken = theirs.dino_features(weights, images[:3], **wrong)
    for row, other in zip(ours[:3], mistaken, strict=True):
        assert worst(row, other) > 10 * LIMIT
