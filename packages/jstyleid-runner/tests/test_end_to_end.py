"""The command with the embedded model: resumed, killed, interrupted, counted."""

import contextlib
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import all_ready
from jstyleid_runner.reports.progress import LineDisplay
from jstyleid_runner.scheduling.ledger import read_entries
from jstyleid_runner.scheduling.task import State
from jstyleid_runner.storage.layout import OutFolder
from jstyleid_runner.worker.worker import ImageWorker
from jstyleid_runner.workflows.execution import RunRequest
from jstyleid_runner.workflows.run import run_split
from jstyleid_runner.workflows.session import RunCounts

CONTENT, STEPS = 1, 2
SECONDS = 600


class Command:
    """`jstyleid run --method styleid` in a process of its own."""

    def __init__(self, checkpoint: Path, data: Path, out: Path) -> None:
        self.out = out
        options = {
            "--split": "S",
            "--method": "styleid",
            "--data": data,
            "--out": out,
            "--model": checkpoint,
            "--size": 64,
            "--steps": STEPS,
            "--content-steps": CONTENT,
            "--device": "cpu",
        }
        self.line = [sys.executable, "-m", "jstyleid_runner", "run"]
        self.line += [str(word) for pair in options.items() for word in pair]

    def with_two_workers(self) -> "Command":
        """The same, its workers begin together."""
        self.line[1:3] = [all_ready.__file__]
        self.line += ["--workers", "2"]
        return self

    def run(self) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.line, capture_output=True, text=True, timeout=SECONDS, check=False
        )

    def stop(self, how: signal.Signals, after: Callable[[], bool]) -> tuple[int, str]:
        """Start, send the signal as soon as `after` holds, and return exit code and stderr."""
        process = subprocess.Popen(
            self.line,
            stderr=subprocess.PIPE,
            text=True,
            # A shell that starts the tests in the background makes its children ignore Ctrl-C.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        deadline = time.monotonic() + SECONDS
        while not after() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        assert process.poll() is None, "the command ended before it could be stopped"
        process.send_signal(how)
        _, stderr = process.communicate(timeout=SECONDS)
        return process.returncode, stderr

    def retry(self) -> bool:
        """Let what was set aside be tried again; whether there was something."""
        line = [sys.executable, "-m", "jstyleid_runner", "retry", str(self.out)]
        done = subprocess.run(line, capture_output=True, text=True, timeout=SECONDS, check=True)
        return "to be tried again" in done.stdout

    def pictures(self) -> dict[str, bytes]:
        """Those that are finished: a kill may leave one that was being written."""
        return {str(p.relative_to(self.out)): p.read_bytes() for p in self.out.glob("*/[!.]*.png")}

    def all_pictures(self) -> dict[str, bytes]:
        """These, and what they were made from."""
        contents = self.out.glob(".jstyleid/contents/*/*")
        return self.pictures() | {str(p.relative_to(self.out)): p.read_bytes() for p in contents}

    def leftovers(self) -> list[Path]:
        return list(self.out.rglob("*.part*"))


@pytest.fixture(scope="session")
def finished(
    tmp_path_factory: pytest.TempPathFactory, checkpoint: Path, split_data: Path
) -> Command:
    """A run that nothing disturbed."""
    command = Command(checkpoint, split_data, tmp_path_factory.mktemp("finished"))
    result = command.run()
    assert result.returncode == 0, result.stderr
    return command


def test_pictures_have_the_right_names_and_sizes(finished: Command) -> None:
    assert sorted(finished.pictures()) == [
        "00/Ring.png",
        "00/Two Words.png",
        "04/Ring.png",
        "04/Two Words.png",
    ]
    for name in finished.pictures():
        with Image.open(finished.out / name) as picture:
            assert picture.size == (64, 64)
    # Different prompts and different references give different pictures.
    assert len(set(finished.pictures().values())) == 4


def test_a_second_run_recomputes_nothing(finished: Command) -> None:
    before = {path: path.stat().st_mtime_ns for path in finished.out.rglob("*.png")}
    result = finished.run()
    assert result.returncode == 0
    assert "4 there already; 0 UNet evaluations to do" in result.stderr
    assert "loading" not in result.stderr
    assert {path: path.stat().st_mtime_ns for path in finished.out.rglob("*.png")} == before


def test_killed_twice_and_run_again(
    tmp_path: Path, checkpoint: Path, split_data: Path, finished: Command
) -> None:
    command = Command(checkpoint, split_data, tmp_path)
    folder = OutFolder(tmp_path)
    code, _ = command.stop(signal.SIGKILL, folder.content("00", "Ring").exists)
    assert code == -signal.SIGKILL
    command.stop(signal.SIGKILL, lambda: len(command.pictures()) >= 2)
    assert finished.pictures().items() >= command.pictures().items()
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*/[!.]*.png")}
    assert 2 <= len(kept) < 4
    (folder.root / "04").mkdir(exist_ok=True)
    (folder.root / "04" / ".Ring.k1ll3d_0.part.png").write_bytes(b"half")
    result = command.run()
    assert result.returncode == 0, result.stderr
    assert command.pictures() == finished.pictures()
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert command.leftovers() == []


def test_ctrl_c_keeps_what_is_done(
    tmp_path: Path, checkpoint: Path, split_data: Path, finished: Command
) -> None:
    command = Command(checkpoint, split_data, tmp_path)
    code, stderr = command.stop(signal.SIGINT, OutFolder(tmp_path).picture("00", "Ring").exists)
    assert code == 130
    said = re.search(r"^stopped; (\d) of 4 done; run the same command to continue$", stderr, re.M)
    assert said
    # The signal may fall between a picture's appearance and its being counted.
    assert len(command.pictures()) - int(said[1]) in (0, 1)
    assert 1 <= len(command.pictures()) < 4
    assert "Traceback" not in stderr
    assert command.leftovers() == []
    assert command.run().returncode == 0
    assert command.pictures() == finished.pictures()


def test_a_checkpoint_that_is_not_there_is_found_before_jittor_starts(
    tmp_path: Path, split_data: Path
) -> None:
    start = time.monotonic()
    result = Command(tmp_path / "none", split_data, tmp_path / "out").run()
    assert result.returncode == 2
    assert f"no such checkpoint: {tmp_path / 'none'}" in result.stderr
    assert time.monotonic() - start < SECONDS
    assert "Traceback" not in result.stderr


def test_a_size_the_model_cannot_draw(tmp_path: Path, checkpoint: Path, split_data: Path) -> None:
    command = Command(checkpoint, split_data, tmp_path)
    command.line += ["--size", "100"]
    result = command.run()
    assert result.returncode == 2
    assert "multiples of 64" in result.stderr
    assert command.pictures() == {}


def test_two_workers_make_the_same_pictures(
    tmp_path: Path, checkpoint: Path, split_data: Path, finished: Command
) -> None:
    command = Command(checkpoint, split_data, tmp_path).with_two_workers()
    result = command.run()
    assert result.returncode == 0, result.stderr
    assert command.pictures() == finished.pictures()
    entries = read_entries(OutFolder(tmp_path).ledger)
    assert {entry.worker for entry in entries} == {"cpu0", "cpu1"}
    assert {entry.state for entry in entries} == {State.DONE}


def test_all_workers_killed_at_once(
    tmp_path: Path, checkpoint: Path, split_data: Path, finished: Command
) -> None:
    command = Command(checkpoint, split_data, tmp_path).with_two_workers()
    process = subprocess.Popen(command.line, stderr=subprocess.PIPE, text=True)
    killed: list[int] = []
    while process.poll() is None:
        if not killed and list(tmp_path.rglob("*.png")):
            for worker in _children(process.pid):
                os.kill(worker, signal.SIGKILL)
                killed.append(worker)
        time.sleep(0.02)
    assert process.stderr
    stderr = process.stderr.read()
    assert process.returncode == 0, stderr
    assert stderr.count(": lost, its process ended (signal 9)") == len(killed) == 2
    # Nothing of them is left: what Jittor forks ends with its worker.
    assert not [worker for worker in killed if Path(f"/proc/{worker}").exists()]
    assert command.pictures() == finished.pictures()
    assert command.leftovers() == []


def test_workers_killed_at_random_and_outputs_damaged(
    tmp_path: Path, checkpoint: Path, split_data: Path, finished: Command
) -> None:
    command = Command(checkpoint, split_data, tmp_path).with_two_workers()
    process = subprocess.Popen(command.line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    rng, killed, seen = random.Random(0), 0, 0
    while process.poll() is None:
        there = len(command.all_pictures())
        if there > seen and killed < 3 and (workers := _children(process.pid)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(rng.choice(workers), signal.SIGKILL)
                killed, seen = killed + 1, there
        time.sleep(0.01)
    assert killed == 3
    # One job may have been under way at all three kills, and was set aside.
    assert process.returncode == 0 or command.retry()
    name = min(command.pictures())
    picture, content = tmp_path / name, tmp_path / ".jstyleid" / "contents" / name
    spoilt = bytearray(picture.read_bytes())
    middle = len(spoilt) // 2
    spoilt[middle : middle + 8] = bytes(byte ^ 255 for byte in spoilt[middle : middle + 8])
    picture.write_bytes(spoilt)
    content.write_bytes(content.read_bytes()[:-100])
    result = command.run()
    assert result.returncode == 0, result.stderr
    assert command.all_pictures() == finished.all_pictures()
    assert command.leftovers() == []
    entries = read_entries(OutFolder(tmp_path).ledger)
    assert {entry.state for entry in entries} == {State.DONE}


def _children(pid: int) -> list[int]:
    """The worker processes of a run; the other child of a parent that spawns is no worker."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            # It may end while it is looked at.
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes():
                    found.append(int(child))
    return found


def test_a_second_run_in_the_same_folder_is_refused(
    tmp_path: Path, checkpoint: Path, split_data: Path
) -> None:
    command = Command(checkpoint, split_data, tmp_path)
    process = subprocess.Popen(command.line, stderr=subprocess.PIPE, text=True)
    folder = OutFolder(tmp_path)
    while not (folder.lock.exists() and folder.lock.read_text()):
        assert process.poll() is None
        time.sleep(0.01)
    second = command.run()
    assert second.returncode == 2
    assert f"another run, process {process.pid}, is at work there" in second.stderr
    process.send_signal(signal.SIGKILL)
    # Its worker, and all that Jittor forked, end too: else this would wait for their stderr.
    process.communicate(timeout=SECONDS)


class CountedEngine:
    """Notes the UNet evaluations of each call."""

    def __init__(self, engine: Any, costs: list[tuple[str, int, int]]) -> None:
        self._engine = engine
        self._costs = costs

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def generate(self, prompts: Sequence[str], *rest: object) -> Any:
        return self._counted("generate", len(prompts), prompts, *rest)

    def generate_in_style(self, prompts: Sequence[str], *rest: object) -> Any:
        return self._counted("generate_in_style", len(prompts), prompts, *rest)

    def invert_style(self, *arguments: object) -> Any:
        return self._counted("invert_style", 1, *arguments)

    def transfer(self, contents: Sequence[Image.Image], *rest: object) -> Any:
        return self._counted("transfer", len(contents), contents, *rest)

    def _counted(self, name: str, pictures: int, *arguments: object) -> Any:
        before = self._engine.model.evaluations
        result = getattr(self._engine, name)(*arguments)
        self._costs.append((name, pictures, self._engine.model.evaluations - before))
        return result


@pytest.fixture
def costs(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int, int]]:
    """What each call of the engine costs: its name, pictures, UNet evaluations."""
    noted: list[tuple[str, int, int]] = []
    prepare = ImageWorker.prepare

    def prepare_counted(worker: ImageWorker, progress: Any) -> None:
        prepare(worker, progress)
        worker.engine.engine = CountedEngine(worker.engine.engine, noted)

    monkeypatch.setattr(ImageWorker, "prepare", prepare_counted)
    return noted


@pytest.mark.parametrize("batch", [1, 2])
def test_unet_evaluations(
    inline_model: Any,
    make_request: Callable[..., RunRequest],
    display: LineDisplay,
    costs: list[tuple[str, int, int]],
    batch: int,
) -> None:
    content, n = 2, 3
    request = make_request(
        prompts=2, batch=batch, content_steps=content, styleid={"steps": n}, size=(64, 64)
    )
    run_split(request, inline_model, display, RunCounts())
    draw = ("generate", batch, 2 * content * batch)
    paint = ("transfer", batch, (n + n) * batch)
    assert costs == [("invert_style", 1, n), *[draw, paint] * (2 // batch)] * 2
    assert sum(cost for _, _, cost in costs) == request.plan.evaluations


@pytest.mark.parametrize(("way", "steps"), [
    ({"method": "direct"}, 2), ({"method": "styleid", "content_trajectory": True}, 3)])
@pytest.mark.parametrize("references", [1, 2])
def test_unet_evaluations_without_an_inversion_of_contents(
    inline_model: Any, make_request: Callable[..., RunRequest], display: LineDisplay,
    costs: list[tuple[str, int, int]], way: dict[str, Any], steps: int, references: int,
) -> None:
    """2 n a picture in one pass; n more where a recorded drawing is stylised."""
    n, batch = 3, 2
    request = make_request(
        prompts=2, batch=batch, content_steps=n, styleid={"steps": n}, size=(64, 64),
        reference=str(references), **way)
    run_split(request, inline_model, display, RunCounts())
    assert costs == 2 * [*[("invert_style", 1, n)] * references,
                         ("generate_in_style", batch, steps * n * batch)]
    assert sum(cost for _, _, cost in costs) == request.plan.evaluations
    pictures = [request.folder.picture(style.style, image.prompt)
                for style in request.plan.styles for image in style.images]
    assert len({path.read_bytes() for path in pictures}) == len(pictures) == 4
    assert not list(request.folder.hidden.glob("contents/*/*"))
    assert not list(request.folder.hidden.glob("styles/**/*.safetensors"))


def test_guidance_1_draws_with_one_evaluation_a_step(
    inline_model: Any,
    make_request: Callable[..., RunRequest],
    display: LineDisplay,
    costs: list[tuple[str, int, int]],
) -> None:
    request = make_request(styles=["00"], prompts=1, guidance=1.0, size=(64, 64))
    run_split(request, inline_model, display, RunCounts())
    assert sum(cost for _, _, cost in costs) == request.plan.evaluations


def test_transfer_and_a_kept_style(checkpoint: Path, split_data: Path, tmp_path: Path) -> None:
    images = split_data / "S" / "00" / "images"
    common = [sys.executable, "-m", "jstyleid_runner", "transfer"]
    common += [str(images / "apple.png"), str(images / "ball.png")]
    common += ["--model", str(checkpoint), "--size", "64x128", "--steps", "2", "--device", "cpu"]

    def transfer(*more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*common, *more], cwd=tmp_path, capture_output=True, text=True, check=False
        )

    kept = transfer("-o", "a.png", "--save-style", "style.safetensors")
    assert kept.returncode == 0, kept.stderr
    used = transfer("-o", "b.png", "--load-style", "style.safetensors")
    assert used.returncode == 0, used.stderr
    assert "inverting" in kept.stderr
    assert "inverting" not in used.stderr
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    stale = transfer("-o", "c.png", "--load-style", "style.safetensors", "--steps", "3")
    assert stale.returncode == 2
    assert "style.safetensors" in stale.stderr
    assert not (tmp_path / "c.png").exists()


def test_doctor_on_this_machine(checkpoint: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "jstyleid_runner", "doctor", "--json", "--device", "cpu"],
        env={**os.environ, "JSTYLEID_MODEL": str(checkpoint)},
        capture_output=True,
        text=True,
        check=False,
    )
    found = json.loads(result.stdout)
    assert found["ok"], found
    assert result.returncode == 0
    assert {"Jittor", "oneDNN", "CUDA", "Model"} <= {check["name"] for check in found["checks"]}


@pytest.mark.skipif("JSTYLEID_SPLIT_DATA" not in os.environ, reason="JSTYLEID_SPLIT_DATA not set")
def test_the_real_split(tmp_path: Path, checkpoint: Path) -> None:
    command = Command(checkpoint, Path(os.environ["JSTYLEID_SPLIT_DATA"]), tmp_path)
    command.line += ["--split", "B", "--styles", "00,04", "--prompts", "2"]
    assert command.run().returncode == 0
    assert len(command.pictures()) == 4
    assert "0 UNet evaluations to do" in command.run().stderr
