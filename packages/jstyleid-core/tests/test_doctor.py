"""The checks of the machine: on this one, and on machines with faults."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cuda_toolkit import compiler, toolkit_in_one_folder
from jstyleid_core import doctor
from jstyleid_core.doctor import Check, run_checks
from jstyleid_core.runtime import Device, toolkit
from nvidia_smi import card, install, part
from original_layout import SMALL, Shapes, checkpoint, write_file


def test_the_doctor_finds_this_machine_fit() -> None:
    checks = {check.name: check for check in run_checks("cpu")}
    assert all(check.ok for check in checks.values()), checks
    assert checks["Convolution"].details["library"] == "oneDNN"
    assert checks["Reduction"].ok
    assert checks["Jittor"].details["compiled"]
    json.dumps([check.details for check in checks.values()])


def test_the_doctor_tells_the_fix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("cc_path", "/nowhere/g++")
    monkeypatch.setenv("JSTYLEID_MODEL", "/nowhere/model")
    checks = {check.name: check for check in run_checks("cpu")}
    assert not checks["C++ compiler"].ok
    assert "install g++" in (checks["C++ compiler"].fix or "")
    assert not checks["Model"].ok
    assert "JSTYLEID_MODEL" in (checks["Model"].fix or "")


@pytest.mark.parametrize(("shapes", "fix"), [
    (checkpoint(SMALL["sd15"]), None),
    ({"conditioner.embedders.1.model.ln_final.weight": (4,)}, "holds Stable Diffusion XL"),
])
def test_a_single_file_is_looked_at(
    checks: Callable[..., dict[str, Check]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    shapes: Shapes, fix: str | None,
) -> None:
    """Offline, since the vocabulary that it needs is no matter of the machine."""
    file = write_file(tmp_path / "model.safetensors", shapes)
    monkeypatch.setenv("JSTYLEID_MODEL", str(file))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    found = checks("cpu")["Model"]
    assert (found.ok, str(file) in found.value) == (fix is None, True)
    assert fix is None or fix in (found.fix or "")


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Check]]:
    """The checks by name, with Jittor taken as started and its two computations as right."""

    def run(device: Device = "auto", **replaced: Callable[[], Check]) -> dict[str, Check]:
        monkeypatch.setattr(doctor, "_start", lambda *_: Check("Jittor", True, "started"))
        for name in ("convolution", "reduction"):
            right = Check(name.title(), True, "right")
            monkeypatch.setattr(doctor, f"_{name}", replaced.get(name, lambda right=right: right))
        return {check.name: check for check in run_checks(device)}

    return run


def test_a_kernel_that_does_not_compile_is_a_failed_check(
    checks: Callable[..., dict[str, Check]], capfd: pytest.CaptureFixture[str]
) -> None:
    def fails() -> Check:
        os.write(2, b"In file included from x.cu:3\n"
                    b"\x1b[01m\x1b[Klimits.h:11:10:\x1b[m\x1b[K fatal error: npp.h: No such file\n"
                    b"compilation terminated.\n")
        raise RuntimeError("Wrong inputs arguments, Please refer to examples(help(jt.sync)).\n"
                           "Reason: Run cmd failed: nvcc x.cu -o x.so")

    found = checks(reduction=fails)
    assert found["Convolution"].ok
    assert found["Reduction"] == Check(
        "Reduction", False, "limits.h:11:10: fatal error: npp.h: No such file",
        found["Reduction"].fix)
    assert "the lines about CUDA below" in (found["Reduction"].fix or "")
    # What the compiler said is still to be read where native code writes.
    assert "compilation terminated." in capfd.readouterr().err


def test_an_error_without_a_message_of_the_compiler(
    checks: Callable[..., dict[str, Check]]
) -> None:
    def fails() -> Check:
        raise RuntimeError("helper_cuda.h:128\nCUDA error at convolve.cc:9 code=700\n(illegal)")

    found = checks(convolution=fails)["Convolution"]
    assert (found.ok, found.value) == (False, "CUDA error at convolve.cc:9 code=700")


@pytest.mark.parametrize("error", [RuntimeError("no device"), OSError("libcudart.so.12: no file")])
def test_a_jittor_that_does_not_start_is_a_failed_check(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def start(*_: Any) -> None:
        raise error

    monkeypatch.setattr("jstyleid_core.runtime.startup.start", start)
    found = {check.name: check for check in run_checks("cpu")}["Jittor"]
    assert (found.ok, found.value) == (False, f"does not start: {error}")
    assert "remove " in (found.fix or "")


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes this machine one with cards and a toolkit."""
    monkeypatch.setattr(toolkit, "_SYSTEM_INCLUDE", tmp_path / "none")
    monkeypatch.setattr(toolkit, "_SYSTEM_LIBRARIES", tmp_path / "none")
    monkeypatch.setattr(toolkit, "_wheels", list)
    monkeypatch.setenv("JITTOR_HOME", str(tmp_path))

    def make(cards: list[dict[str, Any]], version: str = "12.4", whole: bool = True) -> None:
        install({"cards": cards}, tmp_path / "smi", monkeypatch)
        make_one = toolkit_in_one_folder if whole else compiler
        monkeypatch.setenv("nvcc_path", str(make_one(tmp_path / "cuda", version)))

    return make


X = card(0, "GPU-aa", "NVIDIA X", "8.6")


def test_what_the_doctor_says_of_cuda(
    checks: Callable[..., dict[str, Check]], machine: Callable[..., None], tmp_path: Path
) -> None:
    mig = card(1, "GPU-bb", "NVIDIA A100", "8.0",
               parts=[part("MIG-cc", "1g.5gb", (7, 0), "4864 MiB")])
    shared = card(2, "GPU-dd", "NVIDIA Y", "8.9", memory="[N/A]")
    machine([X, mig, shared])
    found = checks("cuda")
    assert all(check.ok for check in found.values()), found
    said = {name: check.value for name, check in found.items()}
    assert said["CUDA"] == f"toolkit 12.4, compiler {tmp_path}/cuda/bin/nvcc"
    assert said["cuDNN"] == f"9.13.1 in {tmp_path}/cuda/lib64"
    assert said["CUDA driver"] == "535.129.03, runs CUDA up to 12.2"
    assert said["GPU 0"] == "NVIDIA X, compute capability 8.6, 24.0 of 24.0 GB free"
    assert said["GPU 1, MIG 0"] == (
        "NVIDIA A100 MIG 1g.5gb, compute capability 8.0, 4.8 of 4.8 GB free")
    assert said["GPU 2"] == (
        "NVIDIA Y, compute capability 8.9, memory not reported by the driver")
    assert found["GPU 0"].details == {
        "index": 0, "uuid": "GPU-aa", "capability": "8.6", "free_bytes": 24576 * 2**20,
        "total_bytes": 24576 * 2**20}
    json.dumps([check.details for check in found.values()])


@pytest.mark.parametrize(
    ("cards", "described", "name", "fix"),
    [
        ([card(0, "GPU-aa", "NVIDIA V100", "7.0")], {}, "CUDA",
         "a card of compute capability 7.0 is to be used; this project and CUDA 12.4 need 7.5"),
        ([card(0, "GPU-aa", "NVIDIA X", "[N/A]")], {}, "CUDA",
         "NVIDIA's driver is too old. Update the driver"),
        ([X], {"whole": False}, "CUDA", "is not complete: cublas.h or libcublas.so"),
        ([X], {"version": "13.0"}, "CUDA driver",
         "the driver does not run CUDA 13: update the driver, or install a toolkit of CUDA 12"),
    ],
)
def test_what_does_not_fit_is_a_failed_check(
    checks: Callable[..., dict[str, Check]], machine: Callable[..., None],
    cards: list[dict[str, Any]], described: dict[str, Any], name: str, fix: str,
) -> None:
    machine(cards, **described)
    failed = [check for check in checks().values() if not check.ok]
    assert [check.name for check in failed] == [name]
    assert fix in (failed[0].fix or "")
    # For a machine that is meant for the CPU it is no failure.
    assert checks("cpu")[name].ok


def test_cards_that_are_newer_or_older_than_the_toolkit(
    checks: Callable[..., dict[str, Check]], machine: Callable[..., None]
) -> None:
    """The first one computes; the newer one with what the driver translates."""
    machine([card(0, "GPU-aa", "NVIDIA 5090", "12.0"), card(1, "GPU-bb", "NVIDIA H", "9.0"),
             card(2, "GPU-cc", "NVIDIA GT", "3.5")])
    found = checks()
    assert all(found[f"GPU {number}"].ok for number in range(3))
    assert "12.0, 24.0 of 24.0 GB free; newer than the toolkit" in found["GPU 0"].value
    assert found["GPU 1"].value.endswith("free")
    assert found["GPU 2"].value.endswith("; too old: 7.5 and more can be used")


def test_cards_that_cannot_be_told_apart(
    checks: Callable[..., dict[str, Check]], machine: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    machine([X, card(1, "GPU-bb", "NVIDIA Y", "8.9")])
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    monkeypatch.setenv("CUDA_DEVICE_ORDER", "FASTEST_FIRST")
    found = checks()["CUDA"]
    assert not found.ok
    assert "CUDA_DEVICE_ORDER=PCI_BUS_ID" in (found.fix or "")
