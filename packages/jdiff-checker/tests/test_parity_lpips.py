"""LPIPS against torchmetrics with SqueezeNet and torchvision's transforms, on the same weights."""

from itertools import product

import numpy as np
import pytest
import torch
from PIL import Image

import checker_references as theirs
from jdiff_checker.metrics.lpips import SqueezeNetLpips, distances

LIMIT = 1e-6
REFERENCES = 2


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    with theirs.one_thread():
        yield


@pytest.fixture(scope="module")
def images():
    """Of every size; the last two are the first with one pixel and with all pixels changed."""
    drawn = theirs.pictures(theirs.SIZES, seed=7)
    pixels = np.array(drawn[0])
    pixels[100, 100] ^= 255
    one = Image.fromarray(pixels)
    return [*drawn, one, Image.fromarray(np.array(drawn[0]) ^ 1)]


@pytest.fixture(scope="module")
def network(weights):
    return SqueezeNetLpips(weights / "lpips/squeezenet1_1-b8a52dc0.pth", torch.device("cpu"))


@pytest.fixture(scope="module")
def ours(network, images):
    """(images, references) distances; the first images are the references."""
    with torch.inference_mode():
        vectors = network(torch.stack([network.prepare(image) for image in images]))
        return torch.stack([distances(vectors, vectors[place]) for place in range(REFERENCES)], 1)


def expected(weights, inputs):
    pairs = list(product(range(len(inputs)), range(REFERENCES)))
    first = inputs[[image for image, _ in pairs]]
    second = inputs[[reference for _, reference in pairs]]
    found = torch.tensor(theirs.lpips_distances(weights, first, second), dtype=torch.float64)
    return found.view(len(inputs), REFERENCES)


def test_every_pair_is_at_torchmetrics_distance(weights, images, ours):
    right = expected(weights, theirs.lpips_inputs(images))
    assert right[2:7].min() > 0.01
    assert 0 < right[7, 0] < 1e-3  # near images keep their digits
    difference = (ours.double() - right).abs()
    assert difference.max() <= LIMIT, difference
    near = difference[7:, 0] / right[7:, 0]
    assert near.max() <= 1e-3


def test_an_image_is_at_no_distance_from_itself(ours):
    assert ours[range(REFERENCES), range(REFERENCES)].tolist() == [0.0] * REFERENCES


def test_inputs_are_those_of_torchvision(network, images):
    inputs = torch.stack([network.prepare(image) for image in images])
    assert (inputs - theirs.lpips_inputs(images)).abs().max() <= LIMIT


def test_near_zero_features_are_normalised_with_torchmetrics_epsilon(
    weights, images, ours, tmp_path
):
    """The lpips package has another epsilon in another place; common features do not show it."""
    name = "lpips/squeezenet1_1-b8a52dc0.pth"
    tensors = torch.load(weights / name)
    assert not tensors["features.0.bias"].any()  # so that all later features shrink alike
    tensors["features.0.weight"] *= 1e-4
    (tmp_path / "lpips").mkdir()
    torch.save(tensors, tmp_path / name)
    network = SqueezeNetLpips(tmp_path / name, torch.device("cpu"))
    inputs = theirs.lpips_inputs(images[:REFERENCES])
    with torch.inference_mode():
        vectors = network(inputs)
    found = distances(vectors[:1], vectors[1]).item()
    right = expected(tmp_path, inputs)[0, 1].item()
    assert found == pytest.approx(right, rel=0, abs=LIMIT)
    # Without an epsilon the scale of the features would not matter.
    assert abs(right - ours[0, 1].item()) > 100 * LIMIT


@pytest.mark.parametrize("wrong", ["bicubic", "zero-to-one"])
def test_the_limit_tells_wrong_inputs(weights, images, ours, wrong):
    few = images[:REFERENCES]
    if wrong == "bicubic":
        inputs = theirs.lpips_inputs(few, theirs.BICUBIC)
    else:
        inputs = (theirs.lpips_inputs(few) + 1) / 2
    mistaken = expected(weights, inputs)
    others = ~torch.eye(REFERENCES, dtype=torch.bool)
    assert ((ours[:REFERENCES] - mistaken).abs()[others] > 10 * LIMIT).all()
