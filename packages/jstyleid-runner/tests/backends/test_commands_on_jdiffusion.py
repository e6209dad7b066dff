"""The commands on JDiffusion's networks: workers, class images, trainings and pictures are its."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from backend_choice import need_jdiffusion
from jstyleid_core.differences import differences
from jstyleid_dreambooth import read_lora
from jstyleid_runner.planning.provenance import read_provenance
from reference_sets import distance

Call = Callable[..., Any]

PICTURES = 2  # of 255: two trainings, drawings and stylisings are between them
# Of all layers together. The class images may be 1/255 apart, and a number whose gradient is next
# to nothing then goes a whole step of Adam the other way; test_training_on_either.py is sharper.
TRAINED = 0.1
RUN = ("run", "--train-steps", 2, "--rank", 2, "--content-steps", 1, "--steps", 2, "--styles", "00",
       "--prompts", 1)  # fmt: skip
TRAIN = ("train", "--styles", "00", "--steps", 2, "--rank", 2, "--crops", 1, "--prior",
         "--prior-images", 1)  # fmt: skip


@pytest.fixture(autouse=True)
def _needed() -> None:
    need_jdiffusion()


def pixels(path: Path) -> Any:
    return np.asarray(Image.open(path)).astype(int)


def test_a_run_trains_draws_and_stylises(tmp_path: Path, call: Call) -> None:
    """By a worker, a process of its own; what another backend made is not taken for its own."""
    made = {}
    for backend in ("native", "jdiffusion"):
        made[backend] = tmp_path / backend
        result = call(*RUN, "--out", made[backend], "--backend", backend)
        assert result.exit_code == 0, result.output
    native, other = (path / "00" / "Ring.png" for path in made.values())
    assert np.abs(pixels(native) - pixels(other)).max() <= PICTURES
    assert differences(read_provenance(native), read_provenance(other)) == [
        'content.backend: "native" there, "jdiffusion" now']

    again = call(*RUN, "--out", made["jdiffusion"], "--backend", "jdiffusion")
    assert "1 there already; 0 UNet evaluations to do" in again.stderr
    refused = call(*RUN, "--out", made["jdiffusion"])
    assert refused.exit_code == 2
    assert 'backend: "jdiffusion" there, "native" now' in refused.stderr


def test_a_training_with_class_images(tmp_path: Path, call: Call) -> None:
    loras = []
    for backend in ("native", "jdiffusion"):
        result = call(*TRAIN, "--out", tmp_path / backend, "--backend", backend)
        assert result.exit_code == 0, result.output
        loras.append(read_lora(Path(result.stdout.strip())).layers["unet"])
        [drawn] = (tmp_path / backend / ".jstyleid" / "class_images").rglob("*.png")
        with Image.open(drawn) as image:
            assert json.loads(image.info["jstyleid"])["backend"] == backend
    native, other = loras
    assert native.keys() == other.keys()
    outputs = [path for path in other if path.endswith("to_out.0")]
    assert outputs
    assert all(other[path].up.any() for path in outputs)
    expected, found = (np.concatenate([lora[path].up.ravel() for path in native])
                       for lora in (native, other))
    assert distance(found, expected) <= TRAINED
