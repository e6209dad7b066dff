"""The methods that draw with LoRAs, with a model that paints noise."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from jstyleid_core.errors import InputError
from jstyleid_core.image_files import open_image
from jstyleid_dreambooth.training.checkpoints import TrainingState
from jstyleid_runner.planning.provenance import read_provenance
from jstyleid_runner.reports.progress import LineDisplay
from jstyleid_runner.workflows.execution import RunRequest
from jstyleid_runner.workflows.run import run_split
from jstyleid_runner.workflows.session import RunCounts, log_to

MakeRequest = Callable[..., RunRequest]
FakeModelClass = Callable[..., Any]

CONTENT, STEPS, TRAINING = 3, 4, 5
"""Steps of `make_request`, and of `training`."""


@pytest.fixture
def training() -> dict[str, object]:
    """Settings of a run that trains its LoRAs."""
    return {"method": "styleid-dreambooth", "training": {"steps": TRAINING, "size": (64, 64)}}


@pytest.fixture
def drawing(training: dict[str, object]) -> dict[str, object]:
    """The same, and what is drawn is the result."""
    return {**training, "method": "dreambooth", "styleid": None, "reference": None}


def run(request: RunRequest, model: Any, display: LineDisplay) -> RunCounts:
    counts = RunCounts()
    run_split(request, model, display, counts)
    return counts


def pictures(request: RunRequest) -> dict[str, bytes]:
    root = request.folder.root
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.glob("*/*.png"))}


def pixels(path: Path) -> bytes:
    return open_image(path).tobytes()


@pytest.mark.parametrize(("changes", "each"), [
    ({"method": "direct-dreambooth"}, 2 * CONTENT), ({"content_trajectory": True}, 3 * CONTENT)])
def test_what_is_drawn_in_its_style_is_trained_and_inverted_first(
    make_request: MakeRequest, fake_model: FakeModelClass, display: LineDisplay, training: Any,
    changes: dict[str, object], each: int,
) -> None:
    request = make_request(**{**training, "styleid": {"steps": CONTENT}, **changes})
    for style in request.plan.styles:
        assert not style.transfers
        for image in style.images:
            assert image.needs == (f"lora/{style.style}", f"style/{style.style}")
            assert (image.id, image.evaluations) == (
                f"picture/{style.style}/{image.prompt}", each)
    counts = run(request, fake_model(), display)
    assert counts.done == counts.total == len(pictures(request)) > 0
    made = pictures(request)
    assert not run(request, fake_model(), display).begun
    [path, *_] = sorted(request.folder.root.glob("*/*.png"))
    facts = read_provenance(path)
    assert facts["kind"] == "stylised"
    assert (facts["method"], facts.get("content_trajectory", False)) == (
        request.settings.method, request.settings.content_trajectory)
    assert facts["reference"]
    assert facts["content"]["lora"]
    path.unlink()
    run(request, fake_model(), display)
    assert pictures(request) == made


def test_each_style_is_trained_and_then_drawn_and_stylised(
    make_request: MakeRequest,
    fake_model: FakeModelClass,
    display: LineDisplay,
    training: Any,
) -> None:
    request, model = make_request(prompts=1, **training), fake_model()
    with log_to(request.folder.log):
        counts = run(request, model, display)
    assert (counts.done, counts.total) == (2, 2)
    assert model.evaluations == 2 * (3 * TRAINING + STEPS + 2 * CONTENT + 2 * STEPS)
    assert model.evaluations == request.plan.evaluations
    lines = request.folder.log.read_text().splitlines()
    assert [line.split(" ", 3)[3].split(" in ")[0] for line in lines[1:]] == [
        f"{job}: done"
        for style in ("00", "04")
        for job in (
            f"lora/{style}",
            f"style/{style}",
            f"content/{style}/Ring",
            f"picture/{style}/Ring",
        )
    ]


def test_drawn_pictures_are_the_result_of_dreambooth(
    make_request: MakeRequest,
    fake_model: FakeModelClass,
    display: LineDisplay,
    training: Any,
    drawing: Any,
) -> None:
    drawn, model = make_request(**drawing), fake_model()
    counts = run(drawn, model, display)
    assert counts.done == len(pictures(drawn)) == 6
    assert model.evaluations == drawn.plan.evaluations == 2 * 3 * TRAINING + 6 * 2 * CONTENT
    assert not drawn.folder.content("00", "Ring").parent.exists()
    # They are what the other method stylises.
    both = make_request(out="both", **training)
    run(both, fake_model(), display)
    for style in ("00", "04"):
        content = pixels(both.folder.content(style, "Ring"))
        assert content == pixels(drawn.folder.picture(style, "Ring"))
        assert content != pixels(both.folder.picture(style, "Ring"))


def test_the_sheet_of_dreambooth_shows_samples_and_results(
    make_request: MakeRequest, fake_model: FakeModelClass, display: LineDisplay, drawing: Any
) -> None:
    request = make_request(styles=["00"], **drawing)
    run(request, fake_model(), display)
    sheet = open_image(request.folder.sheet("00"))
    # Two samples below each other, three results beside them.
    assert (sheet.width, sheet.height) == (8 + 4 * 200, 8 + 2 * 221)


def test_every_batch_size_gives_the_same(
    make_request: MakeRequest, fake_model: FakeModelClass, display: LineDisplay, drawing: Any
) -> None:
    one, two = make_request(out="one", **drawing), make_request(out="two", batch=2, **drawing)
    run(one, fake_model(), display)
    run(two, fake_model(), display)
    assert pictures(one) == pictures(two)


@pytest.mark.parametrize("at", range(1, 13))
@pytest.mark.parametrize("method", ["dreambooth", "styleid-dreambooth"])
def test_stopped_anywhere_and_run_again(
    make_request: MakeRequest,
    fake_model: FakeModelClass,
    display: LineDisplay,
    training: Any,
    drawing: Any,
    method: str,
    at: int,
) -> None:
    settings = drawing if method == "dreambooth" else training
    whole = make_request(out="whole", prompts=2, **settings)
    run(whole, fake_model(), display)
    request, model, calls = make_request(prompts=2, **settings), fake_model(), []

    def stop_at(name: str) -> None:
        calls.append(name)
        if len(calls) == at:
            raise KeyboardInterrupt

    model.before_call = stop_at
    try:
        run(request, model, display)
    except KeyboardInterrupt:
        again, trained = fake_model(), []
        again.before_call = trained.append
        run(request, again, display)
        # What was trained is not trained again, and not needed where all is drawn.
        assert trained.count("train") == 2 - calls[:-1].count("train")
    else:
        assert len(calls) < at
    assert pictures(request) == pictures(whole)
    assert run(request, unused := fake_model(), display).done == 4
    assert unused.opened == 0


def test_a_lora_is_not_missed_when_everything_is_drawn(
    make_request: MakeRequest, fake_model: FakeModelClass, display: LineDisplay, training: Any
) -> None:
    request = make_request(styles=["00"], **training)
    run(request, fake_model(), display)
    before = pictures(request)
    (request.folder.lora("00") / "pytorch_lora_weights.safetensors").unlink()
    assert run(request, unused := fake_model(), display).done == 3
    assert unused.opened == 0
    request.folder.picture("00", "Ring").unlink()
    model = fake_model()
    run(request, model, display)
    assert model.evaluations == STEPS + 2 * STEPS
    assert pictures(request) == before


def test_what_is_recorded(
    make_request: MakeRequest,
    fake_model: FakeModelClass,
    display: LineDisplay,
    training: Any,
    drawing: Any,
) -> None:
    words = {
        "negative": "blurry",
        "template": "a {prompt}",
        "templates": {"04": "{style} {prompt}"},
    }
    both, drawn = make_request(out="both", **training), make_request(**drawing, **words)
    run(both, fake_model(), display)
    run(drawn, fake_model(), display)
    facts = read_provenance(both.folder.picture("04", "Ring"))
    assert (facts["kind"], facts["method"]) == ("stylised", "styleid-dreambooth")
    assert facts["content"]["text"] == "Ring"
    assert facts["content"]["start"] == "noise"
    job = both.plan.styles[1].training(both.settings, both.folder)
    assert job
    assert facts["content"]["lora"] == job.recipe("abc")
    facts = read_provenance(drawn.folder.picture("04", "Ring"))
    assert (facts["kind"], facts["method"]) == ("drawn", "dreambooth")
    assert "styleid" not in facts
    content = facts["content"]
    assert (content["text"], content["negative"]) == ("04 Ring", "blurry")
    assert read_provenance(drawn.folder.picture("00", "Ring"))["content"]["text"] == "a Ring"
    record = json.loads(drawn.folder.record.read_text())
    assert record["settings"]["training"]["steps"] == TRAINING
    assert record["references"] == {}


def test_a_changed_sample_makes_another_lora(
    data: Path,
    make_request: MakeRequest,
    fake_model: FakeModelClass,
    display: LineDisplay,
    training: Any,
) -> None:
    run(make_request(**training), fake_model(), display)
    Image.new("RGB", (70, 70), "red").save(data / "S" / "04" / "images" / "ball.png")
    with pytest.raises(InputError, match=r"content\.lora\.samples\.04\.ball\.png: "):
        run(make_request(**training), fake_model(), display)
    forced, model = make_request(force=True, **training), fake_model()
    run(forced, model, display)
    assert model.evaluations == 3 * TRAINING + STEPS + 3 * (2 * CONTENT + 2 * STEPS)


def test_what_is_left_of_another_training_makes_room(
    make_request: MakeRequest, fake_model: FakeModelClass, display: LineDisplay, training: Any
) -> None:
    request = make_request(styles=["00"], **training)
    job = request.plan.styles[0].training(request.settings, request.folder)
    assert job
    recipe = job.recipe("abc")
    recipe["settings"] = {**recipe["settings"], "rank": 9}
    state = TrainingState(recipe, 3, {}, None, np.zeros((3, 3)))
    kept = state.save(job.folder / "checkpoints")
    with log_to(request.folder.log):
        run(request, fake_model(), display)
    assert not kept.exists()
    assert "trained anew: settings.rank: 9 there, 4 now" in request.folder.log.read_text()


def test_a_damaged_sample_is_found_before_any_work(
    data: Path,
    make_request: MakeRequest,
    fake_model: FakeModelClass,
    display: LineDisplay,
    drawing: Any,
) -> None:
    path = data / "S" / "04" / "images" / "ball.png"
    path.write_bytes(path.read_bytes()[:100])
    model = fake_model()
    with pytest.raises(InputError, match=r"ball\.png: the picture is damaged"):
        run(make_request(**drawing), model, display)
    with pytest.raises(InputError, match=r"ball\.png: the picture is damaged"):
        run(make_request(start="mean"), model, display)
    assert model.opened == 0


def test_another_method_in_the_same_folder_is_refused(
    make_request: MakeRequest, fake_model: FakeModelClass, display: LineDisplay, drawing: Any
) -> None:
    run(make_request(), fake_model(), display)
    with pytest.raises(InputError) as caught:
        run(make_request(**drawing), fake_model(), display)
    lines = str(caught.value).splitlines()
    assert lines[1] == '  method: "styleid" there, "dreambooth" now'
    # The settings of a training are many.
    assert lines[13].startswith("  and ")
    assert len(lines) == 15
