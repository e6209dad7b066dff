"""Drawing with LoRAs that are given, and from a mean, with a model that paints noise."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sd_parsers import ParserManager

from jstyleid_core.errors import InputError
from jstyleid_core.image_files import open_image
from jstyleid_core.images import fit, mean_image
from jstyleid_dreambooth import LoRAWeights, LowRank, write_lora
from jstyleid_runner.planning.provenance import read_provenance
from jstyleid_runner.reports.progress import LineDisplay
from jstyleid_runner.workflows.execution import RunRequest
from jstyleid_runner.workflows.run import run_split
from jstyleid_runner.workflows.session import RunCounts

MakeRequest = Callable[..., RunRequest]
FakeModelClass = Callable[..., Any]

CONTENT, STEPS = 3, 4
"""Steps of `make_request`."""
DRAWING = {"method": "dreambooth", "styleid": None, "reference": None}
LAYER = LowRank(np.ones((1, 2), np.float32), np.ones((2, 1), np.float32), 1)


@pytest.fixture
def lora(tmp_path: Path) -> Path:
    """Some LoRA file."""
    return write_lora(tmp_path / "some.safetensors", LoRAWeights({"unet": {"conv_in": LAYER}}))


def run(request: RunRequest, model: Any, display: LineDisplay) -> RunCounts:
    counts = RunCounts()
    run_split(request, model, display, counts)
    return counts


def pixels(path: Path) -> bytes:
    return open_image(path).tobytes()


def test_a_given_lora_is_used_and_nothing_trained(
    make_request: MakeRequest,
    fake_model: FakeModelClass,
    display: LineDisplay,
    lora: Path,
) -> None:
    request = make_request(styles=["00"], loras={"00": lora}, **DRAWING)
    model = fake_model()
    run(request, model, display)
    assert model.evaluations == 3 * 2 * CONTENT
    facts = read_provenance(request.folder.picture("00", "Ring"))
    digest = hashlib.sha256(lora.read_bytes()).hexdigest()
    assert facts["content"]["lora"] == {"name": "some.safetensors", "sha256": digest}
    # Another file under the same name is another LoRA.
    write_lora(lora, LoRAWeights({"unet": {"conv_out": LAYER}}))
    with pytest.raises(InputError, match=r"content\.lora\.sha256: "):
        run(request, fake_model(), display)


def test_other_tools_read_the_settings_of_a_result(
    data: Path, make_request: MakeRequest, fake_model: FakeModelClass, display: LineDisplay,
    lora: Path,
) -> None:
    request = make_request(styles=["00"], loras={"00": lora}, template="{prompt} in style_{style}",
                           method="styleid-dreambooth", start="mean", strength=0.7)
    run(request, fake_model(), display)
    picture = request.folder.picture("00", "Ring")
    facts = read_provenance(picture)
    drawing = facts["content"]
    read = ParserManager().parse(picture)
    assert read is not None
    assert (read.full_prompt, read.samplers[0].model.name) == ("Ring in style_00", "some/model")
    assert read.samplers[0].parameters == {
        "steps": str(CONTENT), "cfg_scale": "7.5", "seed": str(drawing["seed"])}
    reference = facts["reference"]
    assert {
        "Denoising strength": "0.7",
        "StyleID reference": reference["name"],
        "StyleID reference hash": reference["sha256"][:10],
        "StyleID gamma": str(facts["styleid"]["gamma"]),
        "StyleID layers": "7-11",
    }.items() <= read.metadata.items()
    with Image.open(picture) as image:
        digest = hashlib.sha256(lora.read_bytes()).hexdigest()
        assert f'Lora hashes: "some: {digest[:10]}"' in image.info["parameters"]


def test_a_lora_that_does_not_fit_is_found_before_the_first_picture(
    make_request: MakeRequest,
    fake_model: FakeModelClass,
    display: LineDisplay,
    lora: Path,
) -> None:
    other = lora.with_name("other.safetensors")
    other.write_bytes(lora.read_bytes())
    request = make_request(loras={"00": lora, "04": other}, **DRAWING)
    model, calls = fake_model(), []
    model.before_call = calls.append
    run(request, model, display)
    assert calls[:3] == ["check_lora", "check_lora", "generate"]


def test_a_start_from_the_mean_of_the_samples(
    data: Path, make_request: MakeRequest, fake_model: FakeModelClass, display: LineDisplay
) -> None:
    plain, request = make_request(out="plain"), make_request(start="mean", strength=0.7)
    run(plain, fake_model(), display)
    model = fake_model()
    run(request, model, display)
    # 0.7 of three steps are two.
    assert model.evaluations == request.plan.evaluations == 2 * STEPS + 6 * (2 * 2 + 2 * STEPS)
    content = request.folder.content("00", "Ring")
    assert pixels(content) != pixels(plain.folder.content("00", "Ring"))
    samples = sorted((data / "S" / "00" / "images").iterdir())
    facts = read_provenance(request.folder.content("00", "Ring"))
    assert facts["start"] == {
        "mean_of": {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in samples},
        "strength": 0.7,
    }
    mean = mean_image([fit(open_image(path), (64, 64)) for path in samples])
    assert mean in model.engine.starts
