"""`jstyleid train` without a model: what is trained, kept, refused and replaced."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest

from jstyleid_core.errors import InputError
from jstyleid_dreambooth.training.checkpoints import TrainingState
from jstyleid_dreambooth.training.job import TrainingJob
from jstyleid_dreambooth.training.settings import TrainingSettings
from jstyleid_runner.planning.monitoring import USUAL, Monitoring
from jstyleid_runner.reports.progress import LineDisplay
from jstyleid_runner.storage.layout import LoRAFolder
from jstyleid_runner.storage.split import read_split
from jstyleid_runner.workflows.session import RunCounts
from jstyleid_runner.workflows.train import (
    DisplayedTraining,
    TrainRequest,
    train_loras,
    training_jobs,
)

MakeTraining = Callable[..., TrainRequest]
FakeModelClass = Callable[..., Any]


@pytest.fixture
def make_training(data: Path, tmp_path: Path) -> MakeTraining:
    """Build a request on the small split; keywords are settings, but for the request's own."""

    def make(
        packed: bool = False,
        force: bool = False,
        monitoring: Monitoring = USUAL,
        **changes: object,
    ) -> TrainRequest:
        settings = TrainingSettings.create({"steps": 5, "size": (64, 64), **changes})
        folder = LoRAFolder(tmp_path / "loras")
        folder.prepare()
        jobs = training_jobs(
            read_split(data, "S"),
            settings,
            folder,
            packed=packed,
            objects=(),
            monitoring=monitoring,
        )
        return TrainRequest(jobs, folder, "float32", force)

    return make


def train(request: TrainRequest, model: Any, display: LineDisplay) -> list[Path]:
    return train_loras(request, model, display, RunCounts())


def refused(request: TrainRequest, model: Any, display: LineDisplay) -> str:
    with pytest.raises(InputError) as caught:
        train(request, model, display)
    return str(caught.value)


def begun(job: TrainingJob, model: str, step: int, **changes: object) -> Path:
    """Leave a training that was stopped, with other settings."""
    recipe = job.recipe(model)
    recipe["settings"] = {**recipe["settings"], **changes}
    state = TrainingState(recipe, step, {}, None, np.zeros((step, 3)))
    return state.save(job.folder / "checkpoints")


def test_a_lora_a_style(
    make_training: MakeTraining, fake_model: FakeModelClass, tmp_path: Path
) -> None:
    request, model, stream, counts = make_training(), fake_model(), io.StringIO(), RunCounts()
    files = train_loras(request, model, LineDisplay(stream), counts)
    folder = tmp_path / "loras"
    assert files == [folder / id / "pytorch_lora_weights.safetensors" for id in ("00", "04")]
    assert (counts.done, counts.total, model.opened) == (2, 2, 1)
    assert "2 LoRAs; 30 UNet evaluations to do" in stream.getvalue()
    assert f"[2/2] {files[1]}" in stream.getvalue()
    record = json.loads(request.folder.record.read_text())
    assert record["model"]["fingerprint"] == "abc"


def test_what_is_finished_is_kept_and_no_model_loaded(
    make_training: MakeTraining, fake_model: FakeModelClass, display: LineDisplay
) -> None:
    files = train(make_training(), fake_model(), display)
    before, model = [file.stat().st_mtime_ns for file in files], fake_model()
    assert train(make_training(), model, display) == files
    assert (model.opened, model.trained) == (0, [])
    files[1].unlink()
    assert train(make_training(), model, display) == files
    assert (model.opened, model.trained) == (1, ["04"])
    assert files[0].stat().st_mtime_ns == before[0]


def test_a_stop_says_how_far_it_came(
    make_training: MakeTraining, fake_model: FakeModelClass, display: LineDisplay
) -> None:
    model, counts = fake_model(), RunCounts()

    def stop(name: str) -> None:
        if counts.done:
            raise KeyboardInterrupt

    model.before_call = stop
    with pytest.raises(KeyboardInterrupt):
        train_loras(make_training(), model, display, counts)
    assert (counts.done, counts.total) == (1, 2)
    again = fake_model()
    train(make_training(), again, display)
    assert again.trained == ["04"]


def test_a_pack_is_one_lora(
    make_training: MakeTraining, fake_model: FakeModelClass, display: LineDisplay, tmp_path: Path
) -> None:
    request = make_training(packed=True, monitoring=Monitoring(validate_every=2, first=1))
    [job] = request.jobs
    assert [image.parent.parent.name for image, _ in job.examples()] == ["00", "00", "04", "04"]
    assert job.validation
    assert job.validation.prompts == (
        ("00-Ring", "Ring in style_00"),
        ("04-Ring", "Ring in style_04"),
    )
    [file] = train(request, fake_model(), display)
    assert file.parent == tmp_path / "loras" / "pack-00-04"


def test_captions_are_prompts_of_both_commands(
    data: Path, make_training: MakeTraining, make_request: Callable[..., Any]
) -> None:
    (data / "S" / "04" / "images" / "ball.txt").write_text("a ball, [trigger]")
    [packed] = make_training(packed=True).jobs
    run = make_request(training={"steps": 5}, method="dreambooth", reference=None, styleid=None)
    jobs = [style.training(run.settings, run.folder) for style in run.plan.styles]
    for examples in (packed.examples(), [each for job in jobs for each in job.examples()]):
        assert [prompt for _, prompt in examples] == [
            "style_00", "style_00", "style_04", "a ball, style_04"]
    assert "a ball, style_04" in run.plan.texts(run.settings, run.folder)


def test_the_first_prompts_are_drawn_to_look_at(make_training: MakeTraining) -> None:
    request = make_training(monitoring=Monitoring(10, 5, validate_every=2, first=2))
    assert request.jobs[1].validation
    assert request.jobs[1].validation.prompts == (
        ("Ring", "Ring in style_04"),
        ("Hotel", "Hotel in style_04"),
    )
    assert (request.jobs[1].checkpoint_every, request.jobs[1].keep_checkpoints) == (10, 5)


def test_chosen_prompts_are_drawn_to_look_at(make_training: MakeTraining) -> None:
    prompts = ("A boat, at sea? in style_{style}", "a/b", "{style}", "..")
    monitoring = Monitoring(validate_every=2, prompts=prompts)
    [packed] = make_training(packed=True, monitoring=monitoring).jobs
    assert packed.validation
    assert packed.validation.prompts == (
        ("1-A-boat-at-sea-in-style_00", "A boat, at sea? in style_00"),
        ("1-A-boat-at-sea-in-style_04", "A boat, at sea? in style_04"),
        ("2-a-b", "a/b"), ("3-00", "00"), ("3-04", "04"), ("4", ".."),
    )


def test_other_settings_are_shown_and_refused(
    make_training: MakeTraining,
    fake_model: FakeModelClass,
    display: LineDisplay,
) -> None:
    request = make_training()
    kept = begun(request.jobs[1], "abc", 3, rank=8)
    [file] = train(TrainRequest(request.jobs[:1], request.folder), fake_model(), display)
    model = fake_model()
    assert refused(make_training(learning_rate=0.5), model, display).splitlines() == [
        f"{request.jobs[0].folder}: its LoRA was trained with other settings:",
        "  pytorch_lora_weights.safetensors is from another training",
        f"{request.jobs[1].folder}: its LoRA was trained with other settings:",
        "  settings.learning_rate: 0.0001 there, 0.5 now",
        "  settings.rank: 8 there, 4 now",
        "Choose another --out, or give --force to remove what is there and train anew.",
    ]
    assert model.opened == 0
    assert kept.exists()
    train(make_training(learning_rate=0.5, force=True), model, display)
    assert model.trained == ["00", "04"]
    assert not kept.exists()
    assert file.exists()


def test_more_steps_go_on_and_fewer_do_not(
    make_training: MakeTraining, fake_model: FakeModelClass, display: LineDisplay
) -> None:
    request = make_training()
    kept = begun(request.jobs[0], "abc", 4, steps=4)
    train(request, fake_model(), display)
    assert kept.exists()
    assert "steps: 4 done there, 3 now" in refused(make_training(steps=3), fake_model(), display)


def test_another_model_is_another_training(
    make_training: MakeTraining, fake_model: FakeModelClass, display: LineDisplay
) -> None:
    request = make_training()
    begun(request.jobs[0], "abc", 3)
    message = refused(request, fake_model("other time", "other weights"), display)
    assert 'model: "abc" there, "other weights" now' in message


def test_a_damaged_sample_is_found_before_the_model_is_loaded(
    data: Path, make_training: MakeTraining, fake_model: FakeModelClass, display: LineDisplay
) -> None:
    path, model = data / "S" / "04" / "images" / "ball.png", fake_model()
    path.write_bytes(path.read_bytes()[:100])
    assert str(path) in refused(make_training(), model, display)
    assert model.opened == 0


def test_a_sample_whose_name_says_no_object(
    data: Path, make_training: MakeTraining, fake_model: FakeModelClass, display: LineDisplay
) -> None:
    folder, model = data / "S" / "04" / "images", fake_model()
    (folder / "ball.png").rename(folder / "01.png")
    message = refused(make_training(prompt="{object} in {style}"), model, display)
    assert f"{folder / '01.png'}: its name says no object" in message
    assert model.opened == 0


def test_an_unreadable_record(
    make_training: MakeTraining, fake_model: FakeModelClass, display: LineDisplay
) -> None:
    request = make_training()
    request.folder.record.write_text("{}")
    message = refused(request, fake_model(), display)
    assert message.startswith(f"{request.folder.record}: not a record this version can read")


def test_what_a_training_costs_is_known_when_its_stages_begin() -> None:
    display = Mock()
    watch = DisplayedTraining(display, 30)
    watch.stage("drawing 2 class images", 4, 8)
    watch.stage("training 00", 4, 24)
    # One of five steps was done before.
    assert [call.args[0] for call in display.revise.call_args_list] == [8 - 30, 24]
