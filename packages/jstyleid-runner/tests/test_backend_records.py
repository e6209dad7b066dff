"""The backend is a setting of a run: recorded, compared, and the native one where none is named."""

import json
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngImageFile, PngInfo

from jstyleid_core import runtime
from jstyleid_core.errors import InputError
from jstyleid_core.weights.checkpoint import CheckpointSource
from jstyleid_dreambooth.training.prior import class_images
from jstyleid_dreambooth.training.settings import TrainingSettings
from jstyleid_runner.planning.provenance import KEY, read_provenance
from jstyleid_runner.reports.progress import LineDisplay
from jstyleid_runner.scheduling.executor import TaskProgress
from jstyleid_runner.settings import RunSettings
from jstyleid_runner.worker import worker as worker_module
from jstyleid_runner.worker.worker import WorkerSpec
from jstyleid_runner.workflows.execution import RunRequest
from jstyleid_runner.workflows.run import run_split
from jstyleid_runner.workflows.session import RunCounts

MakeRequest = Callable[..., RunRequest]
FakeModelClass = Callable[..., Any]
Invoke = Callable[..., tuple[int, str]]


def run(request: RunRequest, model: Any, display: LineDisplay) -> Any:
    run_split(request, model, display, RunCounts())
    return model


def age(path: Path) -> None:
    """Make a picture what an older version wrote, which named no backend."""
    facts = json.loads(json.dumps(read_provenance(path)))
    facts.pop("backend", None)
    facts.get("content", {}).pop("backend", None)
    text = PngInfo()
    text.add_text(KEY, json.dumps(facts, sort_keys=True))
    with Image.open(path) as image:
        image.load()
    image.save(path, pnginfo=text)


@pytest.mark.parametrize("backend", ["native", "jdiffusion"])
def test_it_is_recorded(
    backend: str, make_request: MakeRequest, fake_model: FakeModelClass, display: LineDisplay
) -> None:
    request = make_request(backend=backend)
    run(request, fake_model(), display)
    assert json.loads(request.folder.record.read_text())["settings"]["backend"] == backend
    assert read_provenance(request.folder.picture("00", "Ring"))["content"]["backend"] == backend
    assert read_provenance(request.folder.content("00", "Ring"))["backend"] == backend


def test_another_one_is_another_setting(
    make_request: MakeRequest, fake_model: FakeModelClass, display: LineDisplay
) -> None:
    run(make_request(), fake_model(), display)
    with pytest.raises(InputError, match='backend: "native" there, "jdiffusion" now'):
        run(make_request(backend="jdiffusion"), fake_model(), display)
    forced = make_request(backend="jdiffusion", force=True)
    assert run(forced, fake_model(), display).evaluations == forced.plan.evaluations


def test_a_folder_that_names_none_is_the_native_ones(
    make_request: MakeRequest, fake_model: FakeModelClass, display: LineDisplay
) -> None:
    request = make_request()
    run(request, fake_model(), display)
    record = json.loads(request.folder.record.read_text())
    del record["settings"]["backend"]
    request.folder.record.write_text(json.dumps(record))
    for path in request.folder.root.rglob("*.png"):
        with Image.open(path) as image:
            ours = isinstance(image, PngImageFile) and KEY in image.info
        if ours:
            age(path)
    assert "backend" not in request.folder.picture("00", "Ring").read_bytes().decode("latin-1")
    assert run(request, fake_model(), display).evaluations == 0
    # Its contents are still good for pictures that are gone.
    request.folder.picture("00", "Ring").unlink()
    steps = request.settings.styleid.steps if request.settings.styleid else 0
    assert run(request, fake_model(), display).evaluations == steps + 2 * steps
    with pytest.raises(InputError, match='backend: "native" there, "jdiffusion" now'):
        run(replace(request, settings=make_request(backend="jdiffusion").settings), fake_model(),
            display)  # fmt: skip


def test_workers_are_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Those of this machine and those of a Ray cluster are sent the same worker."""
    settings = RunSettings.create(split="S", method="dreambooth", backend="jdiffusion", training={})
    worker = WorkerSpec(CheckpointSource("some/model"), "cpu", settings, (), tmp_path / "log")
    told = []
    monkeypatch.setattr(runtime, "redirect_native_output", lambda path: None)
    monkeypatch.setattr(worker_module, "start_compiled", lambda *given: told.append(given[-1]))
    monkeypatch.setattr(worker_module, "compile_training", lambda *given: told.append(given[-1]))
    pickle.loads(pickle.dumps(worker))().compile(TaskProgress(print))
    assert told == ["jdiffusion", "jdiffusion"]


def test_class_images_are_the_backends_own(tmp_path: Path) -> None:
    settings = TrainingSettings.create({"prior": {"images": 2, "prompt": "a cup"}})
    native, other = (class_images(settings, (), tmp_path, "abc", "float32", name)
                     for name in ("native", "jdiffusion"))  # fmt: skip
    assert native.folder != other.folder
    # As versions named it that knew one backend only: hours of drawing stay of use.
    assert native.folder.name == "b9494194b87aa3ec"
    assert [image.provenance["backend"] for image in other.images] == ["jdiffusion"] * 2


@pytest.mark.parametrize("words", [
    "train --gradient-checkpointing", "train --preset tuned",
    "run --gradient-checkpointing", "run --preset tuned",
])  # fmt: skip
def test_what_jdiffusion_cannot_is_refused_before_anything_starts(
    words: str, invoke: Invoke, data: Path, no_jittor: None
) -> None:
    code, stderr = invoke(*words.split(), "--split", "S", "--backend", "jdiffusion")
    assert code == 2
    assert "gradient checkpointing is not possible with --backend jdiffusion" in stderr
    assert "Give --no-gradient-checkpointing" in stderr
