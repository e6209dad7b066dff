"""Whether kernels are compiled here already, and how many threads compile those that are not.

Jittor's compiling threads change its graph at the same time, without a lock. Seldom, about once in
thousands of processes, that is a segmentation fault, and minutes pass until the process ends. Where
the kernels lie in the cache, threads gain nothing: they are used while a machine is warmed only.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jstyleid_core import __version__

_THREADS = 16  # Jittor's own default


def mark(cache: Path, what: str, backend: str, cuda: bool) -> Path:
    """The file that says that `what` is compiled for a backend, device and this version."""
    return cache / f"jstyleid-{__version__}-{backend}-{what}-for-{'cuda' if cuda else 'cpu'}"


def settle(jittor: Any, cache: Path) -> None:
    """Let a Jittor that was just started compile one by one if this machine is warm."""
    warm = mark(cache, "kernels", "*", bool(jittor.flags.use_cuda))
    if any(cache.glob(warm.name)):
        jittor.flags.use_parallel_op_compiler = 0


@contextlib.contextmanager
def warming(jittor: Any) -> Iterator[None]:
    """Compile with many threads in the block, and one by one after it."""
    jittor.flags.use_parallel_op_compiler = _THREADS
    try:
        yield
    finally:
        jittor.flags.use_parallel_op_compiler = 0
