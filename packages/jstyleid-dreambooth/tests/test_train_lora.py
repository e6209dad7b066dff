"""A whole training on the embedded model: what it writes, and how it is stopped and resumed."""

from __future__ import annotations

import itertools
import json
import math
import signal
import struct
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from jstyleid_core.errors import InputError
from jstyleid_dreambooth import LoRAs, LoRASettings, read_lora
from jstyleid_dreambooth.training.checkpoints import finished_lora
from jstyleid_dreambooth.training.job import (
    StyleImages,
    TrainingJob,
    Validation,
    objects_of,
)
from jstyleid_dreambooth.training.learner import Learner
from jstyleid_dreambooth.training.settings import TrainingSettings
from jstyleid_dreambooth.training.train import TrainingError, train_lora

SETTINGS = {"steps": 6, "rank": 2, "size": (128, 128), "learning_rate": 1e-3, "dropout": 0.1,
            "enlarge": 1.04, "crops": 3}
PRIOR = {"prior": {"images": 3, "steps": 2, "prompt": "an image of {object}"}}
NAME = "pytorch_lora_weights.safetensors"


class Notes:
    """A watcher that keeps what it was told, and may do something at a step."""

    def __init__(self, at_step: Callable[[int], None] = lambda step: None) -> None:
        self.said: list[str] = []
        self.stages: list[tuple[str, int, int]] = []
        self.details: list[str] = []
        self._at_step = at_step

    def note(self, text: str) -> None:
        self.said.append(text)

    def preparing(self, what: str, done: int, total: int) -> None:
        self.said.append(f"{what} {done}/{total}")

    def stage(self, name: str, steps: int, evaluations: int) -> None:
        self.stages.append((name, steps, evaluations))

    def step(self, detail: str = "") -> None:
        if detail:
            self.details.append(detail)
            self._at_step(len(self.details))


def samples(folder: Path, style: str, colour: tuple[int, int, int]) -> StyleImages:
    """Three pictures of one colour, the last one twice as wide as high."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number, (name, width) in enumerate((("red_apple", 150), ("ball", 170), ("cup", 300))):
        picture = Image.effect_mandelbrot((width, 140), (-2, -1, 1, 1), 30 + number)
        paths.append(folder / f"{name}.png")
        Image.blend(picture.convert("RGB"), Image.new("RGB", picture.size, colour), 0.6).save(
            paths[-1])
    return StyleImages(style, tuple(paths))


@pytest.fixture
def make_job(tmp_path: Path) -> Callable[..., TrainingJob]:
    """Build a job on three pictures; keywords are settings, but for the folder."""

    def make(folder: str = "out", **changes: Any) -> TrainingJob:
        style = samples(tmp_path / "00", "00", (200, 30, 30))
        settings = TrainingSettings.create({**SETTINGS, **changes})
        objects = objects_of({"00": style.images}) if settings.prior else ()
        return TrainingJob((style,), settings, tmp_path / folder, tmp_path / "class", objects, 2)

    return make


@pytest.fixture
def trained_anew(
    model: Any, loras: LoRAs, make_job: Callable[..., TrainingJob]
) -> Callable[..., bytes]:
    """The bytes of the LoRA that an undisturbed training gives."""
    numbers = itertools.count()

    def train(**changes: Any) -> bytes:
        job = make_job(f"undisturbed-{next(numbers)}", **changes)
        return train_lora(job, model, loras, Notes()).read_bytes()

    return train


def test_what_a_training_writes(
    model: Any, loras: LoRAs, make_job: Callable[..., TrainingJob], unet_answer: Any,
    trained_anew: Callable[..., bytes]
) -> None:
    base = unet_answer()
    loras.create("bystander", LoRASettings(rank=1))
    prompts = (("Ring", "Ring in style_00"), ("2-boat", "a boat"))
    job = replace(make_job(**PRIOR), validation=Validation(3, prompts, 2), keep_checkpoints=1)
    watch = Notes()
    path = train_lora(job, model, loras, watch)
    assert path == job.folder / NAME
    assert loras.mix == {"bystander": 1.0}
    assert np.array_equal(unet_answer(), base)  # the LoRA is gone, and no weight has moved
    about = read_lora(path).about
    assert {key: about[key] for key in ("prompt", "styles", "steps", "seed", "rank", "alpha")} == {
        "prompt": "style_{style}", "styles": "00", "steps": "6", "seed": "0", "rank": "2",
        "alpha": "2"}
    assert about["base_model"] == model.name
    assert {key: about[f"modelspec.{key}"] for key in ("title", "architecture", "resolution")} == {
        "title": "00", "architecture": "stable-diffusion/lora", "resolution": "128x128"}
    assert (about["ss_max_train_steps"], about["ss_network_dim"]) == ("6", "2")
    assert "(validation.png)" in (job.folder / "README.md").read_text()
    assert watch.stages == [("drawing 3 class images", 6, 12), ("training 00", 6, 6 * 2 * 3)]
    assert len(watch.details) == 6
    assert watch.details[0].startswith("loss ")
    assert " lr 0.001, " in watch.details[0]
    drawn = sorted((job.folder / "validation").rglob("*.png"))
    assert [str(path.relative_to(job.folder / "validation")) for path in drawn] == [
        f"step-{step:06}/{name}.png" for step in (3, 6) for name in ("2-boat", "Ring")]
    assert len({path.read_bytes() for path in drawn}) == 4  # the LoRA has moved in between
    assert f"step 6: {job.folder / 'validation.png'}" in watch.said
    with Image.open(job.folder / "validation.png") as sheet:
        # Three samples below each other, and beside them two columns of two.
        assert sheet.size == (8 + 3 * 200, 8 + 3 * 221)
    with Image.open(job.folder / "loss.png") as curve:
        assert curve.size == (960, 540)
    assert [p.name for p in (job.folder / "checkpoints").iterdir()] == ["step-000006.safetensors"]
    # Pictures and checkpoints on the way change no bit.
    assert path.read_bytes() == trained_anew(**PRIOR)

    events = EventAccumulator(str(job.folder / "events"))
    events.Reload()
    losses = events.Scalars("train/loss")
    assert [event.step for event in losses] == [1, 2, 3, 4, 5, 6]
    assert f"loss {losses[0].value:.4f}" in watch.details[0]
    for name in ("Ring", "2-boat"):
        assert [event.step for event in events.Images(f"validation/{name}")] == [3, 6]

    before = path.stat().st_mtime_ns
    watch = Notes()
    assert train_lora(job, model, loras, watch) == path
    assert (path.stat().st_mtime_ns, watch.stages, watch.said) == (before, [], [])
    assert finished_lora(job, model.fingerprint) == path
    assert finished_lora(job, "another") is None


@pytest.mark.parametrize("changes", [{}, {
    "gradient_checkpointing": True, "caption_dropout": 0.3, "warmup_steps": 2,
    "schedule": "cosine", "buckets": True, "batch": 2, **PRIOR}])
def test_killed_and_resumed_is_the_same_to_the_bit(
    model: Any, loras: LoRAs, make_job: Callable[..., TrainingJob],
    trained_anew: Callable[..., bytes], changes: dict[str, Any]
) -> None:
    class Killed(BaseException):
        """As SIGKILL: nothing is saved any more."""

    def kill(step: int) -> None:
        if step == 5:
            raise Killed

    job = make_job(**changes)
    with pytest.raises(Killed):
        train_lora(job, model, loras, Notes(kill))
    assert loras.mix == {}
    watch = Notes()
    path = train_lora(job, model, loras, watch)
    assert ("samples of 00 by size: 128x64 (1), 128x128 (2)" in watch.said) is bool(changes)
    assert len(watch.details) == 2  # 5 and 6: the checkpoint is of step 4
    assert path.read_bytes() == trained_anew(**changes)


def test_weights_and_biases_without_a_server(
    model: Any, loras: LoRAs, make_job: Callable[..., TrainingJob],
    trained_anew: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")

    def stop(step: int) -> None:
        if step == 3:
            raise RuntimeError("stopped")

    job = replace(make_job(steps=4), wandb="styles", checkpoint_every=2,
                  validation=Validation(2, (("Ring", "Ring in style_00"),), 1))
    with pytest.raises(RuntimeError, match="stopped"):
        train_lora(job, model, loras, Notes(stop))
    path = train_lora(job, model, loras, Notes())
    assert path.read_bytes() == trained_anew(steps=4)
    runs = sorted((job.folder / "wandb").glob("offline-run-*/run-*.wandb"))
    assert len(runs) == 2
    assert len({run.name for run in runs}) == 1  # one run, gone on with
    for run, steps, picture in zip(runs, ((1, 2, 3), (3, 4)), (2, 4), strict=True):
        entries = entries_of(run)
        assert [entry["_step"] for entry in entries] == list(steps)
        for entry in entries:
            assert {"train/loss", "train/grad_norm", "train/learning_rate"} <= entry.keys()
        [drawn] = [entry for entry in entries if "validation/Ring.path" in entry]
        assert drawn["_step"] == picture
        logged = run.parent / "files" / drawn["validation/Ring.path"]
        with Image.open(logged) as one, Image.open(
                job.folder / f"validation/step-{picture:06}/Ring.png") as other:
            assert np.array_equal(np.asarray(one), np.asarray(other))
    wrong = replace(make_job("wrong", steps=1), wandb="st/yles")
    with pytest.raises(InputError, match=r"^wandb st/yles: .* Invalid project name 'st/yles': "):
        train_lora(wrong, model, loras, Notes())


def entries_of(run: Path) -> list[dict[str, Any]]:
    """What a run of Weights & Biases has logged, from its file: a LevelDB log of messages."""
    from wandb.proto.wandb_internal_pb2 import Record

    data, at, message, entries = run.read_bytes(), 7, b"", []
    while at + 7 <= len(data):
        if (left := 2**15 - at % 2**15) < 7:  # the end of a block, where no part begins
            at += left
            continue
        _, length, kind = struct.unpack("<IHB", data[at : at + 7])
        message += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # whole, or its last part
            record = Record.FromString(message)
            message = b""
            if record.WhichOneof("record_type") == "history":
                entries.append({item.key or ".".join(item.nested_key): json.loads(item.value_json)
                                for item in record.history.item})
    return entries


def test_ctrl_c_ends_the_step_and_keeps_it(
    model: Any, loras: LoRAs, make_job: Callable[..., TrainingJob],
    trained_anew: Callable[..., bytes]
) -> None:
    job, watch = make_job(), Notes(lambda step: signal.raise_signal(signal.SIGINT)
                                   if step == 3 else None)
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            train_lora(job, model, loras, watch)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, handler)
    assert any("stopping after this step" in said for said in watch.said)
    assert (job.folder / "checkpoints" / "step-000003.safetensors").exists()
    assert train_lora(job, model, loras, Notes()).read_bytes() == trained_anew()


def test_more_steps_go_on_from_the_end(
    model: Any, loras: LoRAs, make_job: Callable[..., TrainingJob],
    trained_anew: Callable[..., bytes]
) -> None:
    train_lora(make_job(steps=4), model, loras, Notes())
    watch = Notes()
    path = train_lora(make_job(steps=6), model, loras, watch)
    assert len(watch.details) == 2
    assert path.read_bytes() == trained_anew()


def test_each_setting_that_should_matter_does(trained_anew: Callable[..., bytes]) -> None:
    different: dict[str, Any] = {
        "as it is": {}, "seed": {"seed": 1}, "clipping": {"max_grad_norm": 1e-3},
        "accumulation": {"accumulation": 2}, "batch": {"batch": 2}, "prior": PRIOR,
        "prior weight": {"prior": {**PRIOR["prior"], "weight": 0.1}}, "crops": {"enlarge": 1.2},
        "B's rate": {"up_rate_ratio": 4.0}, "decay": {"weight_decay": 1.0},
        "schedule": {"schedule": "cosine"}, "prompt": {"prompt": "a {object}"},
        "dropout": {"dropout": 0.0}, "caption dropout": {"caption_dropout": 0.5},
        "buckets": {"buckets": True},
    }
    values = {name: _numbers(trained_anew(**changes, steps=3)) for name, changes
              in different.items()}
    for one, other in itertools.combinations(values, 2):
        assert not np.array_equal(values[one], values[other]), (one, other)


def test_buckets_change_nothing_for_square_samples(
    model: Any, loras: LoRAs, make_job: Callable[..., TrainingJob]
) -> None:
    found = []
    for buckets in (False, True):
        job, watch = make_job(f"buckets-{buckets}", buckets=buckets, batch=2, steps=3), Notes()
        for path in job.styles[0].images:
            with Image.open(path) as image:
                image.crop((0, 0, 140, 140)).save(path)
        found.append(_numbers(train_lora(job, model, loras, watch).read_bytes()))
        assert ("samples of 00 by size: 128x128 (3)" in watch.said) is buckets
    assert np.array_equal(*found)


def _numbers(file: bytes) -> np.ndarray[Any, Any]:
    start = 8 + int.from_bytes(file[:8], "little")
    return np.frombuffer(file[start:], np.float32)


def test_class_images_are_drawn_once(
    model: Any, loras: LoRAs, make_job: Callable[..., TrainingJob]
) -> None:
    job = make_job(**PRIOR)
    train_lora(job, model, loras, Notes())
    [folder] = job.class_folder.iterdir()
    drawn = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert sorted(drawn) == ["0000.png", "0001.png", "0002.png", "latents.safetensors"]
    other, watch = replace(job, folder=job.folder.with_name("other")), Notes()
    train_lora(other, model, loras, watch)
    assert [name for name, _, _ in watch.stages] == ["training 00"]
    assert {name: (folder / name).stat().st_mtime_ns for name in drawn} == drawn
    # What was being drawn when it was stopped is completed.
    (folder / "latents.safetensors").unlink()
    (folder / "0001.png").unlink()
    watch = Notes()
    train_lora(replace(job, folder=job.folder.with_name("third")), model, loras, watch)
    assert watch.stages[0] == ("drawing 1 class images", 2, 4)


def test_latents_that_were_made_beforehand(
    model: Any, loras: LoRAs, make_job: Callable[..., TrainingJob]
) -> None:
    job = make_job(**PRIOR)
    whole = train_lora(job, model, loras, Notes()).read_bytes()
    [folder] = job.class_folder.iterdir()
    latents, watch = folder.rename(folder.with_name("elsewhere")) / "latents.safetensors", Notes()
    told = replace(job, folder=job.folder.with_name("other"), class_latents=latents)
    assert train_lora(told, model, loras, watch).read_bytes() == whole
    assert [name for name, _, _ in watch.stages] == ["training 00"]
    assert not folder.exists()
    latents.write_bytes(latents.read_bytes()[:-9])
    with pytest.raises(InputError, match=r"latents\.safetensors: damaged"):
        train_lora(replace(told, folder=job.folder.with_name("third")), model, loras, Notes())


def test_a_loss_that_is_no_number_stops_and_keeps_the_last_checkpoint(
    model: Any, loras: LoRAs, make_job: Callable[..., TrainingJob],
    monkeypatch: pytest.MonkeyPatch
) -> None:
    job = make_job()
    step = Learner.step

    def spoiled(self: Learner, batches: Any) -> Any:
        if self.optimizer.steps == 4:
            batches = [replace(batch, weights=batch.weights * np.float32(math.nan))
                       for batch in batches]
        return step(self, batches)

    monkeypatch.setattr(Learner, "step", spoiled)
    with pytest.raises(TrainingError) as caught:
        train_lora(job, model, loras, Notes())
    checkpoint = job.folder / "checkpoints" / "step-000004.safetensors"
    assert str(caught.value) == (
        f"training 00, step 5: the loss is nan. The last good checkpoint is {checkpoint}; try a "
        "lower lr, a smaller max_grad_norm, or dtype float32, in another folder.")
    assert checkpoint.exists()
    assert not (job.folder / NAME).exists()
    assert loras.mix == {}


def test_a_folder_of_another_training(
    model: Any, loras: LoRAs, make_job: Callable[..., TrainingJob]
) -> None:
    path = train_lora(make_job(), model, loras, Notes())
    written = path.read_bytes()
    with pytest.raises(InputError) as caught:
        train_lora(make_job(rank=3, seed=5), model, loras, Notes())
    assert str(caught.value) == (
        f"{path.parent}: holds a training with other settings:\n"
        "  settings.rank: 2 there, 3 now\n  settings.seed: 0 there, 5 now\n"
        "Give these settings, choose another folder, or remove this one.")
    with pytest.raises(InputError, match="steps: 6 done there, 4 now"):
        train_lora(make_job(steps=4), model, loras, Notes())
    assert path.read_bytes() == written
    for checkpoint in (path.parent / "checkpoints").iterdir():
        checkpoint.unlink()
    with pytest.raises(InputError, match=r"weights\.safetensors is from another training"):
        train_lora(make_job(seed=5), model, loras, Notes())


def test_damaged_files(
    model: Any, loras: LoRAs, make_job: Callable[..., TrainingJob]
) -> None:
    job = make_job()
    path = train_lora(job, model, loras, Notes())
    written = path.read_bytes()
    path.write_bytes(written[:-9])
    watch = Notes()
    assert train_lora(job, model, loras, watch).read_bytes() == written
    assert watch.details == []  # from the last checkpoint
    path.unlink()
    newest = job.folder / "checkpoints" / "step-000006.safetensors"
    newest.write_bytes(newest.read_bytes()[:-9])
    with pytest.raises(InputError, match=r"step-000006\.safetensors: not a checkpoint .* Remove"):
        train_lora(job, model, loras, Notes())
    newest.unlink()
    watch = Notes()
    assert train_lora(job, model, loras, watch).read_bytes() == written
    assert len(watch.details) == 2
    job.styles[0].images[1].write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"ball\.png: not a picture"):
        train_lora(replace(job, folder=job.folder.with_name("new")), model, loras, Notes())


def test_a_pack_of_styles(model: Any, loras: LoRAs, make_job: Callable[..., TrainingJob],
                          tmp_path: Path) -> None:
    job = make_job()
    both = replace(job, styles=(*job.styles, samples(tmp_path / "03", "03", (20, 40, 220))))
    assert both.name == "pack-00-03"
    about = read_lora(train_lora(both, model, loras, Notes())).about
    assert about["styles"] == "00, 03"


@pytest.fixture(autouse=True)
def _no_gradients_left(model: Any) -> Iterator[None]:
    yield
    assert all(var.is_stop_grad() for var in model.unet.parameters())
