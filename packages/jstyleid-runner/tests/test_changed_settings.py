"""A folder made with something else: refused with the reason, replaced only when forced."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from jstyleid_core.errors import InputError
from jstyleid_runner.reports.progress import LineDisplay
from jstyleid_runner.workflows.execution import RunRequest
from jstyleid_runner.workflows.run import run_split
from jstyleid_runner.workflows.session import RunCounts

MakeRequest = Callable[..., RunRequest]
FakeModelClass = Callable[..., Any]

STEPS = 4
"""Steps of `make_request`."""


def run(request: RunRequest, model: Any, display: LineDisplay) -> RunCounts:
    counts = RunCounts()
    run_split(request, model, display, counts)
    return counts


def pictures(request: RunRequest) -> dict[str, bytes]:
    root = request.folder.root
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.glob("*/*.png"))}


def refused(request: RunRequest, model: Any, display: LineDisplay) -> str:
    with pytest.raises(InputError) as caught:
        run(request, model, display)
    return str(caught.value)


def test_changed_settings_are_shown_and_refused(
    make_request: MakeRequest, fake_model: FakeModelClass, display: LineDisplay
) -> None:
    request = make_request()
    run(request, fake_model(), display)
    before, model = pictures(request), fake_model()
    changed = make_request(styleid={"steps": 4, "gamma": 0.3}, guidance=5.0)
    message = refused(changed, model, display)
    assert message.splitlines() == [
        f"--out {request.folder.root}: its pictures were made with other settings:",
        "  guidance: 7.5 there, 5.0 now",
        "  styleid.gamma: 0.75 there, 0.3 now",
        "Choose another --out, or give --force to replace the pictures.",
    ]
    assert model.opened == 0
    assert pictures(request) == before


def test_force_replaces_what_changed_and_keeps_what_did_not(
    make_request: MakeRequest, fake_model: FakeModelClass, display: LineDisplay
) -> None:
    run(make_request(), fake_model(), display)
    stronger = {"steps": 4, "gamma": 0.3}
    forced, model = make_request(styleid=stronger, force=True), fake_model()
    run(forced, model, display)
    # The contents do not depend on gamma.
    assert model.evaluations == 2 * STEPS + 6 * 2 * STEPS
    fresh = make_request(styleid=stronger, out="fresh")
    run(fresh, fake_model(), display)
    assert pictures(forced) == pictures(fresh)
    again = fake_model()
    run(make_request(styleid=stronger, force=True), again, display)
    assert again.opened == 0


def test_force_draws_contents_again_when_they_change(
    make_request: MakeRequest, fake_model: FakeModelClass, display: LineDisplay
) -> None:
    run(make_request(), fake_model(), display)
    forced, model = make_request(guidance=3.0, force=True), fake_model()
    run(forced, model, display)
    assert model.evaluations == forced.plan.evaluations
    fresh = make_request(guidance=3.0, out="fresh")
    run(fresh, fake_model(), display)
    assert pictures(forced) == pictures(fresh)


def test_a_forced_run_that_was_stopped_does_not_pass_old_pictures_for_new(
    make_request: MakeRequest, fake_model: FakeModelClass, display: LineDisplay
) -> None:
    run(make_request(), fake_model(), display)
    model = fake_model()

    def stop(name: str) -> None:
        if name == "transfer":
            raise KeyboardInterrupt

    model.before_call = stop
    changed = {"styleid": {"steps": 4, "gamma": 0.3}}
    with pytest.raises(KeyboardInterrupt):
        run(make_request(force=True, **changed), model, display)
    message = refused(make_request(**changed), fake_model(), display)
    assert "6 pictures there were not made as this run would make them" in message
    assert "styleid.gamma: 0.75 there, 0.3 now" in message
    assert "  and 1 more" in message


def test_another_model_is_refused_by_its_fingerprint(
    make_request: MakeRequest, fake_model: FakeModelClass, display: LineDisplay
) -> None:
    run(make_request(), fake_model(), display)
    message = refused(make_request(), fake_model("other time", "other weights"), display)
    assert "model: some/model there, some/model now" in message


@pytest.mark.parametrize("stamp", ["other time", None])
def test_the_same_weights_elsewhere_are_the_same_model(
    make_request: MakeRequest, fake_model: FakeModelClass, display: LineDisplay, stamp: str | None
) -> None:
    run(make_request(), fake_model(), display)
    model = fake_model(stamp, "abc")
    run(make_request(), model, display)
    assert (model.opened, model.evaluations) == (0, 0)


def test_pictures_of_somebody_else_are_not_overwritten(
    make_request: MakeRequest, fake_model: FakeModelClass, display: LineDisplay
) -> None:
    request = make_request()
    path = request.folder.picture("00", "Ring")
    path.parent.mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(path)
    before = path.read_bytes()
    message = refused(request, fake_model(), display)
    assert f"{path}: not made by jstyleid run" in message
    assert path.read_bytes() == before


def test_a_changed_reference_is_noticed(
    data: Path, make_request: MakeRequest, fake_model: FakeModelClass, display: LineDisplay
) -> None:
    run(make_request(), fake_model(), display)
    Image.new("RGB", (70, 70), "red").save(data / "S" / "04" / "images" / "apple.png")
    message = refused(make_request(), fake_model(), display)
    assert "3 pictures there were not made as this run would" in message
    assert "reference.sha256" in message


def test_a_damaged_reference_is_found_before_any_work(
    data: Path, make_request: MakeRequest, fake_model: FakeModelClass, display: LineDisplay
) -> None:
    path = data / "S" / "04" / "images" / "apple.png"
    path.write_bytes(path.read_bytes()[:100])
    model = fake_model()
    assert str(path) in refused(make_request(), model, display)
    assert model.opened == 0


def test_an_unreadable_record(
    make_request: MakeRequest, fake_model: FakeModelClass, display: LineDisplay
) -> None:
    request = make_request()
    request.folder.record.write_text("{")
    message = refused(request, fake_model(), display)
    assert message.startswith(f"{request.folder.record}: not a record this version can read")
