"""Computing as another processor would, with other threads, and as CUDA does."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

INSTRUCTIONS = {"SSE41": 1, "AVX2": 2, "AVX512_CORE": 4}
"""What oneDNN's kernels are held to (its DNNL_MAX_CPU_ISA), and with how many threads.

A processor without the last computes with what it has.
"""
THREADS = (1, 2, 4)


def compute_by_plain_operators(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use Jittor's own operators, which take float16 on the CPU too, until the end of a test."""
    import plain_kernels
    from jstyleid_core import kernels

    for name in ("attention", "conv2d", "gelu_gate", "group_norm", "layer_norm", "linear"):
        monkeypatch.setattr(kernels, name, getattr(plain_kernels, name))


def on_each_number_of_threads(compute: Callable[[], Any]) -> Iterator[Any]:
    """What `compute` returns with each of `THREADS`, on however many cores."""
    openmp = ctypes.CDLL("libgomp.so.1")
    before = openmp.omp_get_max_threads()
    try:
        for threads in THREADS:
            openmp.omp_set_num_threads(threads)
            yield compute()
    finally:
        openmp.omp_set_num_threads(before)


def check_with_instructions(instructions: str, *tests: Path) -> None:
    """Run tests in a process of their own that is held to these instructions; all must pass."""
    environment = {
        **os.environ, "DNNL_MAX_CPU_ISA": instructions,
        "OMP_NUM_THREADS": str(INSTRUCTIONS[instructions]),
    }
    environment.pop("JSTYLEID_REFERENCE_FRESH", None)  # the committed values are enough
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"]
    ran = subprocess.run([*command, *map(str, tests)], capture_output=True, text=True, check=False,
                         env=environment)
    assert ran.returncode == 0, ran.stdout[-6000:] + ran.stderr[-2000:]
