"""Class images are jobs of a run: drawn once by all workers together, before any training."""

import itertools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import jstyleid_runner
from all_ready import AllReady
from jstyleid_core.weights.checkpoint import CheckpointSource
from jstyleid_runner.cli import app
from jstyleid_runner.executors.process import cpu_slots
from jstyleid_runner.planning.class_images import class_folder
from jstyleid_runner.planning.monitoring import USUAL
from jstyleid_runner.planning.plan import Plan
from jstyleid_runner.reports.progress import LineDisplay
from jstyleid_runner.scheduling.estimates import CostModel, forecast
from jstyleid_runner.scheduling.ledger import read_entries
from jstyleid_runner.scheduling.task import Stage, State
from jstyleid_runner.storage.layout import LoRAFolder
from jstyleid_runner.storage.split import read_split
from jstyleid_runner.workflows.execution import RunRequest
from jstyleid_runner.workflows.model import ModelSource
from jstyleid_runner.workflows.run import run_split
from jstyleid_runner.workflows.session import RunCounts
from jstyleid_runner.workflows.train import TrainRequest, train_loras, training_jobs
from jstyleid_runner.workflows.workers import LocalWorkers

MakeRequest = Callable[..., RunRequest]
FakeModelClass = Callable[..., Any]

IMAGES, CLASS_STEPS, TRAINING, CONTENT = 5, 2, 4, 3
DRAW, ENCODE = "plain generate", ["posterior"] * IMAGES
"""The calls of the engine that draw one of them, and that encode all."""
SOURCES = Path(jstyleid_runner.__file__).parent


@pytest.fixture
def prior() -> dict[str, object]:
    """Settings of a run that trains its LoRAs with prior preservation, and only draws."""
    return {
        "method": "dreambooth", "styleid": None, "reference": None,
        "training": {"steps": TRAINING, "size": (64, 64), "rank": 2, "crops": 1,
                     "prior": {"images": IMAGES, "steps": CLASS_STEPS}},
    }  # fmt: skip


def run(request: RunRequest, model: Any, display: LineDisplay) -> list[str]:
    """The calls of the model's engine."""
    calls: list[str] = []
    before = getattr(model, "before_call", None)

    def called(name: str) -> None:
        calls.append(name)
        if before:
            before(name)

    model.before_call = called
    run_split(request, model, display, RunCounts())
    return calls


def files(request: RunRequest, *patterns: str) -> dict[str, bytes]:
    root = request.folder.root
    found = sorted(path for pattern in patterns for path in root.glob(pattern))
    return {str(path.relative_to(root)): path.read_bytes() for path in found}


def class_files(request: RunRequest) -> dict[str, bytes]:
    return files(request, ".jstyleid/class_images/*/*")


def test_the_plan_draws_them_before_any_training(make_request: MakeRequest, prior: Any) -> None:
    plan: Plan = make_request(**prior).plan
    jobs = list(plan.jobs)
    assert [job.id for job in jobs[:7]] == [
        *(f"class/{number:04}" for number in range(IMAGES)), "class/latents", "lora/00"]
    assert jobs[IMAGES].needs == tuple(job.id for job in jobs[:IMAGES])
    trains = [job for job in jobs if job.id.startswith("lora/")]
    assert [job.needs for job in trains] == [("class/latents",)] * 2
    assert plan.evaluations == (
        IMAGES * 2 * CLASS_STEPS + 2 * TRAINING * 2 * 3 + 6 * 2 * CONTENT)
    alone = make_request(styles=["04"], **prior).plan
    assert len(plan.shared) == 1
    assert alone.shared == plan.shared
    assert make_request(method="styleid").plan.shared == ()


def test_they_are_no_concern_of_other_files() -> None:
    names = re.compile("class_?(image|folder|latent|plan)", re.IGNORECASE)
    found = {str(path.relative_to(SOURCES)) for path in SOURCES.rglob("*.py")
             if names.search(path.read_text())}
    assert found == {
        "planning/class_images.py", "planning/plan.py", "worker/payloads.py",
        "options/clean.py",  # the option --class-images
    }


def test_workers_share_them(make_request: MakeRequest, prior: Any) -> None:
    training = {**prior["training"], "prior": {"images": 200, "steps": CLASS_STEPS}}
    tasks = make_request(**{**prior, "training": training}).plan.tasks
    costs = CostModel(dict.fromkeys(Stage, 1.0))
    drawing = sum(task.cost for task in tasks if task.stage is Stage.SHARED)
    rest = sum(task.cost for task in tasks if task.stage is not Stage.SHARED)
    assert forecast(tasks, {}, costs, 1, 4) == drawing + rest
    assert forecast(tasks, {}, costs, 8, 4) < drawing / 8 + rest


def test_a_run_draws_each_once_and_resumes(
    make_request: MakeRequest, fake_model: FakeModelClass, display: LineDisplay, prior: Any
) -> None:
    whole, model = make_request(out="whole", **prior), fake_model()
    calls = run(whole, model, display)
    assert model.evaluations == whole.plan.evaluations
    assert calls[: 2 * IMAGES + 1] == [*[DRAW] * IMAGES, *ENCODE, "train"]
    assert len(class_files(whole)) == IMAGES + 1
    # Stopped at the last of them: it alone is drawn by the next run.
    request, stopped, begun = make_request(**prior), fake_model(), itertools.count(1)

    def stop(name: str) -> None:
        if next(begun) == IMAGES:
            raise KeyboardInterrupt

    stopped.before_call = stop
    with pytest.raises(KeyboardInterrupt):
        run(request, stopped, display)
    calls = run(request, fake_model(), display)
    assert calls.count(DRAW) == 1
    assert class_files(request) == class_files(whole)
    assert files(request, "*/*.png") == files(whole, "*/*.png")
    # In the ledger they are tasks like any other.
    entries = {entry.id: entry for entry in read_entries(request.folder.ledger)}
    assert entries["class/0002"].output
    assert {entry.state for entry in entries.values()} == {State.DONE}


def test_what_is_damaged_or_gone_is_drawn_again(
    make_request: MakeRequest, fake_model: FakeModelClass, display: LineDisplay, prior: Any
) -> None:
    request = make_request(**prior)
    run(request, fake_model(), display)
    before = class_files(request)
    [folder] = class_folder(request.folder).iterdir()

    def train_again() -> list[str]:
        (request.folder.lora("04") / "pytorch_lora_weights.safetensors").unlink()
        request.folder.picture("04", "Ring").unlink()
        return run(request, fake_model(), display)

    # With their latents there, nothing of them is needed.
    assert train_again() == ["train", "generate"]
    spoilt = bytearray((folder / "0001.png").read_bytes())
    spoilt[-30] ^= 255
    (folder / "0001.png").write_bytes(spoilt)
    (folder / "0003.png").unlink()
    (folder / "latents.safetensors").write_bytes(b"cut off")
    assert train_again() == [DRAW, DRAW, *ENCODE, "train", "generate"]
    assert class_files(request) == before


def test_without_a_training_left_they_are_not_missed(
    make_request: MakeRequest, fake_model: FakeModelClass, display: LineDisplay, prior: Any
) -> None:
    request = make_request(**prior)
    run(request, fake_model(), display)
    for path in class_folder(request.folder).rglob("*.*"):
        path.unlink()
    request.folder.picture("04", "Ring").unlink()
    assert DRAW not in run(request, fake_model(), display)


def test_changed_settings_draw_others(
    make_request: MakeRequest, fake_model: FakeModelClass, display: LineDisplay, prior: Any
) -> None:
    run(make_request(**prior), fake_model(), display)
    training = {**prior["training"], "seed": 7}
    forced = make_request(force=True, **{**prior, "training": training})
    assert run(forced, fake_model(), display).count(DRAW) == IMAGES
    assert len(list(class_folder(forced.folder).iterdir())) == 2


def test_plan_shows_them(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["plan", "--split", "S", "--preset", "tuned", "--jobs"]
    shown = CliRunner().invoke(app, words, catch_exceptions=False).stdout
    assert " 50  class/0299\n" in shown
    assert shown.count("class/0007") == 2
    assert ", class/0007 and 292 more\n" in shown
    assert "\n6400  lora/00  after class/latents\n" in shown.replace("   ", "")
    assert [line.split() for line in shown.splitlines() if line.startswith("class ")] == [
        ["class", "301", "15000", "301", "15000"]]


class TwoWorkers(ModelSource):
    """The real model, by two processes."""

    def executor(self, *told: Any) -> Any:
        return AllReady(super().executor(*told), 2)


def test_two_workers_and_a_training_alone_get_the_same_to_the_bit(
    make_request: MakeRequest, inline_model: Any, checkpoint: Path, display: LineDisplay,
    prior: Any, data: Path, tmp_path: Path,
) -> None:  # fmt: skip
    one = make_request(out="one", prompts=1, dtype="float32", **prior)
    run_split(one, inline_model, display, RunCounts())
    two = make_request(out="two", prompts=1, batch=2, dtype="float32", **prior)
    workers = TwoWorkers(
        CheckpointSource(str(checkpoint)), "cpu", display, LocalWorkers(cpu_slots(2)))
    run_split(two, workers, display, RunCounts())
    drawn = [entry for entry in read_entries(two.folder.ledger) if entry.stage == Stage.SHARED]
    assert {entry.worker for entry in drawn} == {"cpu0", "cpu1"}
    assert class_files(two) == class_files(one)
    lora = "pytorch_lora_weights.safetensors"
    trained = {style: (one.folder.lora(style) / lora).read_bytes() for style in ("00", "04")}
    assert trained == {style: (two.folder.lora(style) / lora).read_bytes() for style in trained}
    # A training that has nobody to draw them for it does so itself, by the same code.
    folder = LoRAFolder(tmp_path / "loras")
    folder.prepare()
    assert one.settings.training
    jobs = training_jobs(read_split(data, "S"), one.settings.training, folder, packed=False,
                         objects=("apple", "ball"), monitoring=USUAL)
    train_loras(TrainRequest(jobs, folder, "float32"), inline_model, display, RunCounts())
    [alone] = class_folder(folder).iterdir()
    assert {path.name: path.read_bytes() for path in alone.iterdir()} == {
        Path(name).name: content for name, content in class_files(one).items()}
    assert {style: (folder.lora(style) / lora).read_bytes() for style in trained} == trained
