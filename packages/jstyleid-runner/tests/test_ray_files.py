"""What goes with orders to other machines, how it is kept there, and what comes back."""

import fcntl
import socket
import sys
import tempfile
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest

from jstyleid_core.errors import InputError
from jstyleid_core.weights.checkpoint import CheckpointSource
from jstyleid_dreambooth.training.job import StyleImages, TrainingJob
from jstyleid_dreambooth.training.prior import ClassImage
from jstyleid_dreambooth.training.settings import TrainingSettings
from jstyleid_runner.executors.process import CompileGate
from jstyleid_runner.executors.ray import cluster as ray_cluster
from jstyleid_runner.executors.ray.cluster import Cluster
from jstyleid_runner.executors.ray.files import (
    NodeCache,
    SyncedFolder,
    bring_back,
    relocated,
    together,
)
from jstyleid_runner.options.common import WorkerOptions
from jstyleid_runner.planning.class_images import class_folder
from jstyleid_runner.settings import RunSettings
from jstyleid_runner.storage.layout import OutFolder
from jstyleid_runner.worker.payloads import (
    ClassImagePayload,
    ClassLatentsPayload,
    GeneratePayload,
    InvertPayload,
    Payload,
    TrainPayload,
    TransferPayload,
)
from jstyleid_runner.worker.worker import WorkerSpec
from jstyleid_runner.workflows.workers import ray_workers

OUT = OutFolder(Path("/scheduler/out"))
DATA = Path("/scheduler/data")


def payloads() -> list[Payload]:
    """One of each kind, with every path it can have."""
    invert = InvertPayload("style/00", "00", 2, (DATA / "ball.png",), (OUT.inverted("00"),))
    contents = (OUT.content("00", "Ring"), OUT.content("00", "Hotel"))
    training = TrainingJob(
        (StyleImages("00", (DATA / "ball.png", DATA / "apple.png")),),
        TrainingSettings(), OUT.lora("00"), class_folder(OUT),
        class_latents=class_folder(OUT) / "latents.safetensors")
    image = ClassImage("a ball", 1, 2, 7.5, (64, 64), {})
    lora = OUT.lora("00") / "pytorch_lora_weights.safetensors"
    facts: Any = {}
    return [
        ClassImagePayload("class/0", 2, image),
        ClassLatentsPayload("class/latents", (class_folder(OUT) / "0000.png",)),
        TrainPayload(training),
        invert,
        GeneratePayload("content/00/Ring", 2, "Ring", 1, lora, (DATA / "ball.png",), facts, (),
                        None),
        TransferPayload("picture/00/Ring", 2, contents[0], invert, facts, contents),
    ]


def paths_in(value: Any) -> list[Path]:
    if isinstance(value, Path):
        return [value]
    if isinstance(value, tuple):
        return [path for part in value for path in paths_in(part)]
    if is_dataclass(value):
        return [path for field in fields(value) for path in paths_in(getattr(value, field.name))]
    return []


def test_there_is_a_payload_of_each_kind() -> None:
    assert {type(payload) for payload in payloads()} == set(Payload.__subclasses__())


@pytest.mark.parametrize("payload", payloads(), ids=lambda payload: type(payload).__name__)
def test_every_file_of_a_payload_goes_along_and_no_path_stays(payload: Payload) -> None:
    files = payload.files()
    known = {*files.read, *files.once, *files.folders, *files.held}
    # A run draws its class images itself, so that a training needs no folder of them.
    assert set(paths_in(payload)) - known <= {class_folder(OUT)}
    moved = relocated(payload, lambda path: Path("/node") / path.name)
    assert type(moved) is type(payload)
    assert len(paths_in(moved)) == len(paths_in(payload))
    assert all(path.parent == Path("/node") for path in paths_in(moved))


def test_nor_a_path_of_the_worker() -> None:
    lora = OUT.lora("00") / "pytorch_lora_weights.safetensors"
    settings = RunSettings.create(split="S", method="styleid", reference="first",
                                  styleid={"steps": 2})
    worker = WorkerSpec(CheckpointSource("/models/sd"), "cpu", settings, (lora,), OUT.native_log)
    assert worker.files().read == (lora,)
    moved = relocated(worker, lambda path: Path("/node") / path.name)
    assert moved.loras == (Path("/node") / lora.name,)
    assert moved.native_log == Path("/node") / OUT.native_log.name
    assert moved.source == CheckpointSource("/models/sd")


def test_files_of_payloads_that_are_done_together_go_once() -> None:
    transfer = payloads()[-1]
    assert together([transfer.files(), transfer.files()]) == together([transfer.files()])


def test_a_folder_is_brought_back_as_it_changes(tmp_path: Path) -> None:
    there, here = tmp_path / "there", tmp_path / "here"
    (there / "checkpoints").mkdir(parents=True)
    (there / "checkpoints" / "step-1").write_text("1")
    synced = SyncedFolder(here, there)
    assert synced.changes() == ({}, ())
    (there / "checkpoints" / "step-2").write_text("2")
    (there / "checkpoints" / ".step-3.part").write_text("half")
    changed, gone = synced.changes()
    assert (changed, gone) == ({Path("checkpoints/step-2"): b"2"}, ())
    bring_back(here, {Path("checkpoints/step-1"): b"1", **changed}, gone)
    (there / "checkpoints" / "step-1").unlink()
    changed, gone = synced.changes()
    assert (changed, gone) == ({}, (Path("checkpoints/step-1"),))
    bring_back(here, changed, gone)
    assert [path.name for path in here.rglob("*.*")] == []
    assert [path.name for path in here.rglob("step*")] == ["step-2"]


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_the_last_worker_to_leave_clears_the_depot(temporary: Path) -> None:
    one, two = NodeCache("run", "node", "cpu0"), NodeCache("run", "node", "cpu1")
    assert one.kept("abc", "a.png") == two.kept("abc", "a.png")
    assert one.held(Path("/x/style")) == two.held(Path("/x/style"))
    assert one.made("payload", Path("/x")) != two.made("payload", Path("/x"))
    one.leave()
    assert two.own.is_dir()
    two.leave()
    assert list(temporary.iterdir()) == []


def test_what_killed_workers_left_is_cleared_by_the_next(temporary: Path) -> None:
    killed, at_work = NodeCache("old", "node", "cpu0"), NodeCache("other", "node", "cpu0")
    fcntl.flock(killed._lock, fcntl.LOCK_UN)  # as the kernel does at its end
    NodeCache("new", "node", "cpu0")
    assert not killed.root.exists()
    assert at_work.own.is_dir()


def test_one_worker_compiles_and_another_takes_over_where_it_is_lost() -> None:
    machine = CompileGate()
    assert [machine.may_start(name) for name in ("a", "b", "c")] == [True, False, False]
    assert machine.lost("c") == []
    assert machine.lost("a") == ["b"]
    assert not machine.may_start("a")
    assert machine.compiled() == ["a"]
    assert machine.may_start("c")
    assert machine.lost("b") == []


def worker_options(**given: Any) -> WorkerOptions:
    values = {"engine": "ray", "address": None, "device": "auto", "gpus": None, "workers": None}
    return WorkerOptions(**{**values, **given})


def test_a_worker_on_each_card_of_a_cluster_unless_told_otherwise() -> None:
    cards = Cluster(gpus=3, cpus=8)
    assert ray_workers(worker_options(), cards).workers == ("gpu0", "gpu1", "gpu2")
    assert ray_workers(worker_options(gpus=2), cards).workers == ("gpu0", "gpu1")
    assert ray_workers(worker_options(gpus=0, workers=2), cards).workers == ("cpu0", "cpu1")
    assert ray_workers(worker_options(device="cpu"), cards).workers == ("cpu0",)
    assert not ray_workers(worker_options(workers=4), Cluster(gpus=0, cpus=4)).on_gpus


@pytest.mark.parametrize(("given", "cluster", "said"), [
    ({"gpus": 4}, Cluster(3, 8), "--gpus 4: the Ray cluster has 3 GPUs"),
    ({"device": "cuda"}, Cluster(0, 8), "--device cuda: the Ray cluster has no GPUs"),
    ({"workers": 9}, Cluster(0, 8), "--workers 9: the Ray cluster has 8 CPUs"),
    ({"workers": 2}, Cluster(1, 8), "--workers 2: is for the CPU"),
    ({"gpus": 0, "device": "cuda"}, Cluster(1, 8), "contradict"),
])
def test_more_than_the_cluster_has(given: Any, cluster: Cluster, said: str) -> None:
    with pytest.raises(InputError, match=said):
        ray_workers(worker_options(**given), cluster)


Invoke = Callable[..., tuple[int, str]]


@pytest.mark.parametrize(("words", "said"), [
    (["--address", "a:1"], "--address a:1: belongs to --engine ray."),
    (["--engine", "ray", "--address", "ray://a:1"], "--address ray://a:1: must be host:port"),
    (["--engine", "ray", "--address", "localhost"], "--address localhost: must be host:port"),
    (["--engine", "ray", "--address", "127.0.0.1:9"], "--address 127.0.0.1:9: nothing answers "
     "there ([Errno 111] Connection refused). Start the cluster with `ray start --head`"),
    (["--engine", "ray", "--gpus", "1", "--device", "cpu"], "contradict each other"),
])
def test_options_that_cannot_be(
    invoke: Invoke, data: Path, no_jittor: None, words: list[str], said: str
) -> None:
    pytest.importorskip("ray")
    code, stderr = invoke("run", "--split", "S", "--method", "styleid", *words)
    assert code == 2
    assert said in stderr


def test_what_answers_is_no_ray_cluster(
    invoke: Invoke, data: Path, no_jittor: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ray")
    monkeypatch.setattr(ray_cluster, "_HEALTH", 3.0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        code, stderr = invoke("run", "--split", "S", "--engine", "ray", "--address", address)
    assert code == 2
    assert f"--address {address}: what answers there is no Ray cluster" in stderr


def test_without_ray(
    invoke: Invoke, data: Path, no_jittor: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    code, stderr = invoke("run", "--split", "S", "--engine", "ray")
    assert code == 2
    assert stderr.endswith("--engine ray: Ray is not installed. Install it: pip install "
                           "'jstyleid-runner[ray]'")


def test_generate_takes_the_engine_with_a_split_only(invoke: Invoke, no_jittor: None) -> None:
    code, stderr = invoke("generate", "a lighthouse", "-o", "a.png", "--engine", "ray")
    assert code == 2
    assert "--engine: belongs to --split" in stderr
