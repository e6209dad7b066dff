"""`benchmarks/gpu/measure.py`, tiny, on the CPU, without torch: whole, resumed, failing."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from small_checkpoint import build

MEASURE = Path(__file__).parents[3] / "benchmarks" / "gpu" / "measure.py"
OURS = ("doctor", "networks", "transfer", "training", "run", "kernels")
THEIRS = ("reference", "training-reference", "kernels-reference")


def measure(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the command; its Python for torch sees no installed package."""
    command = [sys.executable, str(MEASURE), "--size", "tiny", "--device", "cpu", "--minutes", "60",
               "--out", str(folder / "out"), "--work", str(folder / "work"),
               "--torch-python", f"{sys.executable} -S", *options]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def read(folder: Path) -> Any:
    return json.loads((folder / "out" / "measurements.json").read_text())


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with everything measured."""
    folder = tmp_path_factory.mktemp("measured")
    ran = measure(folder)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return folder


def test_every_part_of_this_project_has_figures(measured: Path) -> None:
    parts = read(measured)["parts"]
    assert {name: parts[name]["state"] for name in OURS} == dict.fromkeys(OURS, "done")
    found = {name: parts[name]["result"] for name in OURS}
    assert set(found["networks"]["unet"]) == {"64.1", "64.4", "128.1", "128.4"}
    for times in found["networks"]["unet"].values():
        assert 0 < times["graph_seconds"] <= times["host_seconds"] <= times["seconds"]
    assert found["transfer"]["64.4"]["seconds"] > 0
    assert found["run"]["gpus.0"]["seconds_per_picture"] > 0
    plain, checkpointing = (found["training"][name] for name in ("plain", "checkpointing"))
    assert plain["losses"][0] == pytest.approx(checkpointing["losses"][0], rel=1e-5)
    assert all(times["seconds"] > 0 for times in found["kernels"].values())


def test_without_torch_the_report_says_what_to_install(measured: Path) -> None:
    parts = read(measured)["parts"]
    for name in THEIRS:
        assert parts[name]["state"] == "left out"
        assert parts[name]["reason"].startswith("not installed: pip install torch diffusers")
    report = (measured / "out" / "measurements.md").read_text()
    assert "Not compared, for lack of the part reference: not installed" in report
    assert "| 64 px, batch 1 |" in report


def test_the_same_command_again_repeats_nothing(measured: Path) -> None:
    before = read(measured)["parts"]
    ran = measure(measured, "--only", *OURS)
    assert (ran.returncode, ran.stdout.splitlines()[:-1]) == (0, [])
    assert read(measured)["parts"] == before


def test_a_report_of_another_checkpoint_is_not_continued(measured: Path, tmp_path: Path) -> None:
    ran = measure(measured, "--model", str(tmp_path))
    assert ran.returncode == 2
    assert "--again" in ran.stderr


def test_a_part_that_fails_is_recorded_and_the_others_go_on(tmp_path: Path) -> None:
    checkpoint = build("sd21-v", tmp_path / "checkpoint")
    (checkpoint / "unet" / "diffusion_pytorch_model.safetensors").write_bytes(b"damaged")
    ran = measure(tmp_path, "--model", str(checkpoint), "--only", "transfer", "kernels")
    assert ran.returncode == 1
    parts = read(tmp_path)["parts"]
    assert (parts["transfer"]["state"], parts["kernels"]["state"]) == ("failed", "done")
    assert "diffusion_pytorch_model.safetensors" in parts["transfer"]["reason"]


def test_parts_that_do_not_fit_are_named(tmp_path: Path) -> None:
    ran = measure(tmp_path, "--minutes", "0.01")
    assert ran.returncode == 0
    for name in OURS:
        assert "no time left of --minutes 0.01" in read(tmp_path)["parts"][name]["reason"]
