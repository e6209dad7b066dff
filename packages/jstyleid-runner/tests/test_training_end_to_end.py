"""Training of the embedded model: alone and in a run, killed and resumed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SECONDS = 600


def pictures(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.glob("*/*.png")}


class Process:
    """A command in a process of its own, to be stopped."""

    def __init__(self, checkpoint: Path, data: Path, *words: object) -> None:
        line = [
            sys.executable,
            "-m",
            "jstyleid_runner",
            *words,
            "--split",
            "S",
            "--data",
            data,
            "--model",
            checkpoint,
            "--size",
            64,
            "--device",
            "cpu",
        ]
        self.line = [str(word) for word in line]

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
            start_new_session=True,
        )
        deadline = time.monotonic() + SECONDS
        while not after() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        assert process.poll() is None, "the command ended before it could be stopped"
        if how is signal.SIGINT:
            os.killpg(process.pid, how)  # as a terminal does: Jittor's processes get it, too
        else:
            process.send_signal(how)
        _, stderr = process.communicate(timeout=SECONDS)
        return process.returncode, stderr


def test_a_training_that_is_killed_and_stopped_gives_the_same_loras(
    tmp_path: Path, checkpoint: Path, split_data: Path, call: Callable[..., Any]
) -> None:
    options = [
        "train",
        "--steps",
        7,
        "--rank",
        2,
        "--crops",
        1,
        "--checkpoint-every",
        1,
        "--seed",
        3,
    ]
    undisturbed = call(*options, "--out", tmp_path / "whole")
    assert undisturbed.exit_code == 0, undisturbed.output
    loras = [Path(line) for line in undisturbed.stdout.splitlines()]
    assert [lora.parent.name for lora in loras] == ["00", "04"]

    out = tmp_path / "stopped"
    process = Process(checkpoint, split_data, *options, "--out", out)
    process.stop(signal.SIGKILL, (out / "00/checkpoints/step-000002.safetensors").exists)
    assert not (out / "00" / loras[0].name).exists()
    code, stderr = process.stop(
        signal.SIGINT, (out / "04/checkpoints/step-000003.safetensors").exists
    )
    assert code == 130
    assert "stopped; 1 of 2 LoRAs done; run the same command to continue" in stderr
    assert "Traceback" not in stderr
    finished = process.run()
    assert finished.returncode == 0, finished.stderr
    assert "2 LoRAs, 1 there already" in finished.stderr
    for lora in loras:
        assert (out / lora.parent.name / lora.name).read_bytes() == lora.read_bytes()
    assert not list(out.rglob("*.part*"))
    assert "loading" not in call(*options, "--out", out).stderr


def test_a_training_with_everything(tmp_path: Path, call: Callable[..., Any]) -> None:
    result = call(
        "train", "--out", tmp_path, "--pack", "00,04", "--preset", "tuned", "--steps", 3,
        "--rank", 2, "--crops", 1, "--prior-images", 2, "--sample-every", 2,
        "--validation-prompts", 1, "--gradient-checkpointing", "--schedule", "cosine",
        "--max-grad-norm", 0,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    folder = tmp_path / "pack-00-04"
    assert result.stdout == f"{folder / 'pytorch_lora_weights.safetensors'}\n"
    sheet = folder / "validation.png"
    assert sheet.is_file()
    assert f"step 2: {sheet}" in result.stderr
    assert len(list((tmp_path / ".jstyleid" / "class_images").rglob("*.png"))) == 2
    assert "drawing 2 class images" in result.stderr
    again = call("train", "--out", tmp_path, "--pack", "00,04", "--preset", "tuned")
    assert again.exit_code == 2
    assert "settings.prior.images: 2 there, 300 now" in again.stderr


def test_a_run_that_trains_is_killed_and_goes_on(
    tmp_path: Path, checkpoint: Path, split_data: Path, call: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    options = ["run", "--train-steps", 2, "--rank", 2, "--content-steps", 1, "--steps", 2]
    whole = call(*options, "--out", tmp_path / "whole")
    assert whole.exit_code == 0, whole.output
    out = tmp_path / "out"
    process = Process(checkpoint, split_data, *options, "--out", out)
    process.stop(signal.SIGKILL, (out / "00" / "Ring.png").exists)
    (lora,) = (out / ".jstyleid" / "loras").glob("*/*.safetensors")
    trained = lora.stat().st_mtime_ns
    assert process.run().returncode == 0
    assert pictures(out) == pictures(tmp_path / "whole")
    assert len(pictures(out)) == 4
    assert lora.stat().st_mtime_ns == trained
    # The card is beside the LoRA, and no part of what is scored.
    assert (lora.parent / "README.md").is_file()
    assert {path.suffix for path in (*out.glob("00/*"), *out.glob("04/*"))} == {".png"}
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    again = call(*options, "--out", out, "--open")
    assert "4 there already; 0 UNet evaluations to do" in again.stderr
    assert again.stdout.endswith(f"open it yourself: {out / 'gallery.html'}\n")
    assert "loading" not in again.stderr
    # Drawing a style leaves nothing behind in the model that the next one is trained on.
    alone = call(
        "train", "--styles", "04", "--steps", 2, "--rank", 2, "--out", tmp_path / "loras"
    )  # fmt: skip
    path = Path(alone.stdout.strip())
    assert path.read_bytes() == (out / ".jstyleid" / "loras" / "04" / path.name).read_bytes()


def test_ctrl_c_in_a_run_keeps_the_steps_of_its_training(
    tmp_path: Path, checkpoint: Path, split_data: Path
) -> None:
    folder = tmp_path / ".jstyleid" / "loras" / "00"
    options = ("--styles", "00", "--prompts", 1, "--steps", 1, "--content-steps", 1)
    process = Process(checkpoint, split_data, "run", "--train-steps", 90, *options, "--out",
                      tmp_path)  # fmt: skip
    begun: list[float] = []

    def training_for_a_second() -> bool:
        if not begun and (folder / "events").exists():
            begun.append(time.monotonic())
        return bool(begun) and time.monotonic() - begun[0] > 1

    code, stderr = process.stop(signal.SIGINT, training_for_a_second)
    assert code == 130
    assert "stopped; 0 of 1 done" in stderr
    [kept] = (folder / "checkpoints").iterdir()
    assert 1 <= int(kept.stem.removeprefix("step-")) < 90
