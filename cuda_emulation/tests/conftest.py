"""The emulated toolkit, and programs compiled with its nvcc and run."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from emulated import Program

PROGRAMS = Path(__file__).parent / "programs"
KERNELS = Path(__file__).parents[2] / "packages/jstyleid-core/src/jstyleid_core/kernels/cuda"


@pytest.fixture(scope="session")
def toolkit() -> Path:
    named = os.environ.get("CUDA_EMULATION_TOOLKIT")
    if not named or not (Path(named) / "bin" / "nvcc").is_file():
        pytest.fail("CUDA_EMULATION_TOOLKIT must name an emulated toolkit: "
                    "build one with `python cuda_emulation/build_toolkit.py EMULATED`")
    return Path(named)


@pytest.fixture(scope="session")
def program(toolkit: Path, tmp_path_factory: pytest.TempPathFactory) -> Program:
    """Runs a program of tests/programs, which is compiled for the CPU and checked for a card."""
    folder = tmp_path_factory.mktemp("programs")

    def run(name: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        made = folder / name
        if not made.exists():
            command = [str(toolkit / "bin" / "nvcc"), "-x", "cu", "-std=c++17", "-arch=sm_90",
                       f"-I{toolkit / 'include'}", f"-I{PROGRAMS}",
                       f"-I{KERNELS}", str(PROGRAMS / f"{name}.cu"),
                       "-o", str(made), f"-L{toolkit / 'lib64'}", "-lcublas", "-lcudnn", "-lcurand"]
            ran = subprocess.run(command, capture_output=True, text=True, check=False,
                                 env=os.environ | {"FAKE_NVCC": "both"})
            assert ran.returncode == 0, ran.stderr
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("FAKE_", "CUDA_VIS"))}
        return subprocess.run([str(made), *arguments], capture_output=True, text=True, check=False,
                              env=clean | environment)

    return run
