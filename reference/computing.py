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

INSTRUCTIONS = {"SSE4": ("no-avx", 1), "AVX2": ("no-avx512f", 4)}
"""Sets of instructions that are less than a processor may have. For each: what the kernels are
compiled without, in GCC's words, and the number of threads.
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
    without, threads = INSTRUCTIONS[instructions]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    environment.pop("JSTYLEID_REFERENCE_FRESH", None)  # the committed values are enough
    command = [sys.executable, __file__, without, "-q", "-x", "-p", "no:cacheprovider"]
    ran = subprocess.run([*command, *map(str, tests)], capture_output=True, text=True, check=False,
                         env=environment)
    assert ran.returncode == 0, ran.stdout[-6000:] + ran.stderr[-2000:]


def main() -> None:
    """Run pytest with kernels compiled without the instructions named first."""
    from jstyleid_core.kernels import code

    without, *arguments = sys.argv[1:]
    # Intrinsics that were compiled with all instructions cannot be used.
    code._HEADER = f'#pragma GCC target("{without}")\n#undef __F16C__\n{code._HEADER}'
    sys.exit(pytest.main(arguments))


if __name__ == "__main__":
    main()
