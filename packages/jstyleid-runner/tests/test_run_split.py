"""A run with a model that paints noise: what is made, kept and recorded."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jstyleid_runner.planning.class_images import class_folder
from jstyleid_runner.planning.provenance import read_provenance
from jstyleid_runner.reports.progress import LineDisplay
from jstyleid_runner.scheduling.ledger import Ledger, read_entries
from jstyleid_runner.scheduling.scheduler import ATTEMPTS
from jstyleid_runner.scheduling.task import State
from jstyleid_runner.workflows.execution import IncompleteError, RunRequest, describe_output
from jstyleid_runner.workflows.run import run_split
from jstyleid_runner.workflows.session import RunCounts, log_to

MakeRequest = Callable[..., RunRequest]
FakeModelClass = Callable[..., Any]

CONTENT, STEPS = 3, 4
"""Steps of `make_request`."""


def run(request: RunRequest, model: Any, display: LineDisplay) -> RunCounts:
    counts = RunCounts()
    run_split(request, model, display, counts)
    return counts


def pictures(request: RunRequest) -> dict[str, bytes]:
    root = request.folder.root
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.glob("*/*.png"))}


def times(request: RunRequest) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in request.folder.root.rglob("*.png")}


def test_a_run_makes_each_picture_with_the_evaluations_the_plan_says(
    make_request: MakeRequest, fake_model: FakeModelClass, display: LineDisplay
) -> None:
    request, model = make_request(), fake_model()
    counts = run(request, model, display)
    assert list(pictures(request)) == [
        f"{style}/{prompt}.png"
        for style in ("00", "04")
        for prompt in ("Hotel", "Ring", "Two Words")
    ]
    assert (counts.done, counts.total) == (6, 6)
    assert model.evaluations == 2 * STEPS + 6 * (2 * CONTENT + 2 * STEPS)
    assert model.evaluations == request.plan.evaluations


def test_a_second_run_does_not_even_load_the_model(
    make_request: MakeRequest, fake_model: FakeModelClass, display: LineDisplay
) -> None:
    request = make_request()
    run(request, fake_model(), display)
    before, model = times(request), fake_model()
    counts = run(request, model, display)
    assert (model.opened, counts.done) == (0, 6)
    assert times(request) == before


def test_batches_give_the_same_pictures(
    make_request: MakeRequest, fake_model: FakeModelClass, display: LineDisplay
) -> None:
    one, three = make_request(out="one"), make_request(out="three", batch=2)
    run(one, fake_model(), display)
    model = fake_model()
    run(three, model, display)
    assert pictures(one) == pictures(three)
    assert model.evaluations == one.plan.evaluations


def test_only_what_is_missing_is_made(
    make_request: MakeRequest, fake_model: FakeModelClass, display: LineDisplay
) -> None:
    request = make_request()
    run(request, fake_model(), display)
    before = pictures(request)
    request.folder.picture("04", "Ring").unlink()
    model = fake_model()
    run(request, model, display)
    # Its content is there still, and style 00 is not inverted.
    assert model.evaluations == STEPS + 2 * STEPS
    assert pictures(request) == before


@pytest.mark.parametrize("keep", [0, 30, 200])
def test_a_truncated_picture_is_made_again(
    make_request: MakeRequest, fake_model: FakeModelClass, display: LineDisplay, keep: int
) -> None:
    request = make_request()
    run(request, fake_model(), display)
    before = pictures(request)
    path = request.folder.picture("00", "Hotel")
    path.write_bytes(path.read_bytes()[:keep])
    run(request, fake_model(), display)
    assert pictures(request) == before


def test_a_damaged_content_is_drawn_again(
    make_request: MakeRequest, fake_model: FakeModelClass, display: LineDisplay
) -> None:
    request = make_request()
    run(request, fake_model(), display)
    before = pictures(request)
    content = request.folder.content("00", "Hotel")
    spoilt = bytearray(content.read_bytes())
    spoilt[-30] ^= 255
    content.write_bytes(spoilt)
    request.folder.picture("00", "Hotel").unlink()
    model = fake_model()
    run(request, model, display)
    assert model.evaluations == STEPS + 2 * CONTENT + 2 * STEPS
    assert pictures(request) == before


@pytest.mark.parametrize("at", range(1, 15))
def test_stopped_anywhere_and_run_again(
    make_request: MakeRequest, fake_model: FakeModelClass, display: LineDisplay, at: int
) -> None:
    whole = make_request(out="whole")
    run(whole, fake_model(), display)

    request, model, calls = make_request(), fake_model(), []

    def stop_at(name: str) -> None:
        calls.append(name)
        if len(calls) == at:
            raise KeyboardInterrupt

    model.before_call = stop_at
    counts = RunCounts()
    with pytest.raises(KeyboardInterrupt):
        run_split(request, model, display, counts)
    assert counts.done == len(pictures(request)) == calls[:-1].count("transfer")
    again = fake_model()
    run(request, again, display)
    assert pictures(request) == pictures(whole)
    contents_kept = calls[:-1].count("generate")
    styles_left = 2 - (counts.done >= 3)
    assert again.evaluations == (
        styles_left * STEPS + (6 - contents_kept) * 2 * CONTENT + (6 - counts.done) * 2 * STEPS
    )


@pytest.mark.parametrize("failure", [RuntimeError, MemoryError])
@pytest.mark.parametrize("at", range(1, 15))
def test_a_job_that_fails_once_is_done_again(
    make_request: MakeRequest,
    fake_model: FakeModelClass,
    display: LineDisplay,
    at: int,
    failure: type[Exception],
) -> None:
    whole = make_request(out="whole")
    run(whole, fake_model(), display)
    request, model, calls = make_request(), fake_model(), []

    def fail_at(name: str) -> None:
        calls.append(name)
        if len(calls) == at:
            raise failure("not this time")

    model.before_call = fail_at
    assert run(request, model, display).done == 6
    assert pictures(request) == pictures(whole)


def test_a_job_that_fails_for_good_is_set_aside_and_the_rest_is_done(
    make_request: MakeRequest, fake_model: FakeModelClass, display: LineDisplay
) -> None:
    whole = make_request(out="whole")
    run(whole, fake_model(), display)
    request, model, calls = make_request(), fake_model(), []

    def fail(name: str) -> None:
        calls.append(name)
        if name == "generate" and calls.count("generate") <= ATTEMPTS:
            raise RuntimeError("broken")

    model.before_call = fail
    counts = RunCounts()
    with pytest.raises(IncompleteError) as caught:
        run_split(request, model, display, counts)
    assert str(caught.value) == (
        "5 of 6 pictures are there; 1 jobs were set aside:\n"
        f"  content/00/Ring: RuntimeError: broken\nSee {request.folder.log}. jstyleid retry "
        f"{request.folder.root} lets them be tried again."
    )
    # It is not tried again unasked.
    again, called = fake_model(), []
    again.before_call = called.append
    with pytest.raises(IncompleteError):
        run(request, again, display)
    assert "generate" not in called
    with Ledger(request.folder.ledger) as ledger:
        assert ledger.retry() == ["content/00/Ring"]
    run(request, fake_model(), display)
    assert pictures(request) == pictures(whole)


def test_what_the_ledger_says(
    make_request: MakeRequest, fake_model: FakeModelClass, display: LineDisplay
) -> None:
    request = make_request(styles=["00"], prompts=1)
    run(request, fake_model(), display)
    entries = read_entries(request.folder.ledger)
    assert [(entry.id, entry.state, entry.attempts, entry.worker) for entry in entries] == [
        (id, State.DONE, 1, "here") for id in ("style/00", "content/00/Ring", "picture/00/Ring")
    ]
    assert entries[0].output is None
    path = request.folder.picture("00", "Ring")
    assert entries[2].output == describe_output(
        path, request.folder.root, hashlib.sha256(path.read_bytes()).hexdigest()
    )
    # Pictures that are there though the ledger is not are found again.
    request.folder.ledger.unlink()
    model = fake_model()
    run(request, model, display)
    assert model.opened == 0
    assert [(e.state, e.output) for e in read_entries(request.folder.ledger)] == [
        (State.DONE, entry.output) for entry in entries
    ]


def test_leftovers_of_a_killed_run_are_removed(
    make_request: MakeRequest, fake_model: FakeModelClass, display: LineDisplay
) -> None:
    request = make_request()
    leftovers = [
        request.folder.root / "00" / ".Ring.abcd_123.part.png",
        request.folder.hidden / ".run.0a1b2c3d.part.json",
        request.folder.content("04", "").parent / ".Ring.xyz_wvut.part.png",
        class_folder(request.folder) / "0123abcd" / ".0001.abcd_123.part.png",
    ]
    mine = request.folder.root / "00" / ".Ring.part.png"
    for path in (*leftovers, mine):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"half")
    run(request, fake_model(), display)
    assert not any(path.exists() for path in leftovers)
    assert mine.exists()


def test_more_styles_can_be_added_later(
    make_request: MakeRequest, fake_model: FakeModelClass, display: LineDisplay
) -> None:
    run(make_request(styles=["00"], prompts=1), fake_model(), display)
    model = fake_model()
    counts = run(make_request(), model, display)
    assert counts.done == 6
    assert model.evaluations == 2 * STEPS + 5 * (2 * CONTENT + 2 * STEPS)


def test_what_is_recorded(
    make_request: MakeRequest, fake_model: FakeModelClass, display: LineDisplay
) -> None:
    request = make_request(reference="ball")
    run(request, fake_model(), display)
    record = json.loads(request.folder.record.read_text())
    assert record["settings"] == request.settings.model_dump(mode="json")
    assert record["model"] == {
        "source": "some/model",
        "stamp": "unchanged",
        "fingerprint": "abc",
    }
    assert {style: found["name"] for style, found in record["references"].items()} == {
        "00": "ball.png",
        "04": "ball.png",
    }
    names = {"jstyleid-runner", "jstyleid-dreambooth", "jstyleid-core", "jittor"}
    assert set(record["versions"]) == names
    facts = read_provenance(request.folder.picture("00", "Ring"))
    assert facts["reference"]["name"] == "ball.png"
    assert facts["content"]["prompt"] == "Ring"


def test_the_record_keeps_the_references_of_styles_run_before(
    make_request: MakeRequest, fake_model: FakeModelClass, display: LineDisplay
) -> None:
    run(make_request(styles=["00"], prompts=1), fake_model(), display)
    request = make_request(styles=["04"], prompts=1)
    run(request, fake_model(), display)
    assert set(json.loads(request.folder.record.read_text())["references"]) == {"00", "04"}


def test_each_style_gets_a_sheet_again_when_it_is_missing(
    make_request: MakeRequest, fake_model: FakeModelClass, display: LineDisplay
) -> None:
    request = make_request()
    run(request, fake_model(), display)
    sheet = request.folder.sheet("04")
    drawn = sheet.read_bytes()
    sheet.unlink()
    model = fake_model()
    run(request, model, display)
    assert model.opened == 0
    assert sheet.read_bytes() == drawn


def test_a_stopped_run_leaves_no_sheet_that_shows_less_than_there_is(
    make_request: MakeRequest, fake_model: FakeModelClass, display: LineDisplay
) -> None:
    run(make_request(prompts=1), fake_model(), display)
    request, model, calls = make_request(), fake_model(), []

    def stop(name: str) -> None:
        calls.append(name)
        if calls.count("transfer") == 2:
            raise KeyboardInterrupt

    model.before_call = stop
    with pytest.raises(KeyboardInterrupt):
        run(request, model, display)
    assert not request.folder.sheet("00").exists()
    assert request.folder.sheet("04").exists()


def test_the_log_has_a_line_a_job_and_says_what_was_stopped(
    make_request: MakeRequest, fake_model: FakeModelClass, display: LineDisplay
) -> None:
    request, model = make_request(styles=["00"], prompts=1), fake_model()

    def stop(name: str) -> None:
        if name == "transfer":
            raise KeyboardInterrupt

    model.before_call = stop
    with log_to(request.folder.log), pytest.raises(KeyboardInterrupt):
        run(request, model, display)
    lines = request.folder.log.read_text().splitlines()
    assert [line.split(" ", 3)[3].split(" in ")[0] for line in lines[1:]] == [
        "style/00: done",
        "content/00/Ring: done",
        "picture/00/Ring: not done: KeyboardInterrupt",
    ]
