"""FID against torchmetrics with feature=64 over its own Inception, on the same weights."""

import numpy as np
import pytest
import torch

import checker_references as theirs
from jdiff_checker.metrics.fid import InceptionStem, frechet_distance

RELATIVE = 1e-4
BATCH = 4
SETS = {"3 vs 25, 512 x 512": (3, 25, (512, 512)), "10 vs 10, wide": (10, 10, (400, 301)),
        "80 vs 100, small": (80, 100, (96, 96))}
"""References and images, and their size; the last sets have more members than features."""


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    with theirs.one_thread():
        yield


@pytest.fixture(scope="module")
def network(weights):
    file = weights / "fid/pt_inception-2015-12-05-6726825d.pth"
    return InceptionStem(file, torch.device("cpu"))


def drawn(
    references: int, images: int, size: tuple[int, int]
) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """References and images as bytes, in batches."""
    return tuple(
        [torch.cat([theirs.byte_tensor(image) for image in batch])
         for batch in batched(theirs.pictures([size] * count, seed=seed))]
        for count, seed in ((references, 4), (images, 5))
    )


def batched(images):
    return [images[start:start + BATCH] for start in range(0, len(images), BATCH)]


def features(network, batches):
    with torch.inference_mode():
        return torch.cat([network(batch) for batch in batches]).numpy()


def distance(metric, references, images):
    with torch.inference_mode():
        for batch in references:
            metric.update(batch, real=True)
        for batch in images:
            metric.update(batch, real=False)
        return float(metric.compute())


@pytest.mark.parametrize("name", SETS)
def test_distances_are_those_of_torchmetrics(weights, network, name):
    references, images = drawn(*SETS[name])
    expected = distance(theirs.inception_distance(weights), references, images)
    found = frechet_distance(features(network, references), features(network, images))
    assert expected > 1e-3
    assert found == pytest.approx(expected, rel=RELATIVE)


def test_features_are_those_of_torchmetrics_at_every_size(weights, network):
    inception = theirs.inception_distance(weights).inception
    for size, image in zip(theirs.SIZES, theirs.pictures(theirs.SIZES, seed=6), strict=True):
        found = features(network, [network.prepare(image)[None]])
        expected = inception(theirs.byte_tensor(image)).numpy()
        assert np.abs(found - expected).max() <= 1e-5, size


def test_a_set_is_at_no_distance_from_itself(network):
    vectors = features(network, drawn(4, 0, (96, 96))[0])
    assert frechet_distance(vectors, vectors[::-1]) == pytest.approx(0, abs=1e-10)


def test_the_limit_tells_resizing_without_antialias(weights, network):
    references, images = drawn(3, 4, (1000, 750))
    mistaken = distance(theirs.inception_distance(weights, antialias=False), references, images)
    found = frechet_distance(features(network, references), features(network, images))
    assert found != pytest.approx(mistaken, rel=10 * RELATIVE)


def test_the_limit_tells_another_divisor_of_the_covariance(weights, network):
    """Every image twice has the same mean, and the covariance divided by n - 1/2."""
    references, images = drawn(3, 4, (96, 96))
    mistaken = distance(theirs.inception_distance(weights), references * 2, images * 2)
    found = frechet_distance(features(network, references), features(network, images))
    assert found != pytest.approx(mistaken, rel=10 * RELATIVE)
