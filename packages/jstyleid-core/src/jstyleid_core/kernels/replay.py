"""Computations on CUDA that are captured once and replayed with other inputs (CUDA graphs).

An evaluation of Stable Diffusion's UNet starts 700 kernels, and a fast card is done with each
before the host has started the next. A replay starts all of them at once.

It reads and writes the same addresses each time. They therefore lie in memory that is lent to
nothing but replays, as long as there is one. Replays share it, inputs and outputs included: one
runs after the other, each behind the copies of its inputs and before those of its outputs.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Callable, Hashable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any
from weakref import WeakSet

from jstyleid_core.kernels.code import cuda_kernel, runs_on_cpu
from jstyleid_core.runtime.jittor import Var, jt

Compute = Callable[[Sequence[Var]], Sequence[Var]]
"""Arrays to arrays. Other arrays that it reads, such as weights, must stay where they are."""

_STREAM = ctypes.c_void_p(2)
"""`cudaStreamPerThread`, on which everything is started (see `runtime.toolkit`)."""
_RELAXED = 2
"""`cudaStreamCaptureModeRelaxed`: a capture may allocate memory."""


class Replay:
    """One captured computation.

    Args:
        compute: has been computed before with inputs like these, so that its kernels are compiled.
        inputs: arrays of the shapes and types of all later inputs.
    """

    def __init__(self, compute: Compute, inputs: Sequence[Var]) -> None:
        given = [x.copy() for x in inputs]
        jt.sync(given)
        outputs = list(compute(given))
        self._graph = _capture(outputs)
        self._shapes = [tuple(x.shape) for x in outputs]
        self._dtypes = [str(x.dtype) for x in outputs]
        arrays = [*given, *outputs]
        reads, writes = range(len(given)), range(len(given), len(arrays))
        self._call(f"keep({_list('in', reads)}, {_list('in', writes)})", [(1,)], ["float32"],
                   arrays)[0].sync()

    def __call__(self, inputs: Sequence[Var]) -> list[Var]:
        """The results for other inputs, as new arrays."""
        given, results = _list("in", range(len(inputs))), _list("out", range(len(self._shapes)))
        return self._call(f"start({given}, {results})", self._shapes, self._dtypes, inputs)

    def _call(
        self, call: str, shapes: Sequence[Sequence[int]], dtypes: Sequence[str],
        inputs: Sequence[Var],
    ) -> list[Var]:
        """Call a method of this graph, `replay::Graph` in C++."""
        return cuda_kernel(shapes, dtypes, inputs, "replay",
                           f'replay::graphs[data["graph"]].{call};',
                           {"graph": float(self._graph.value or 0)})

    def close(self) -> None:
        """Give the captured computation back to CUDA; it is not called any more."""
        _check(_runtime().cudaGraphExecDestroy(self._graph))


def _list(prefix: str, numbers: range) -> str:
    """Names of arrays as a list of C++."""
    return "{" + ", ".join(f"{prefix}{number}" for number in numbers) + "}"


class Replays:
    """The replays of one network, made as its computations come.

    All belong to one size of inputs; with another size, all memory is given back first. On the CPU,
    and with the environment variable `JSTYLEID_REPLAY=0`, everything is computed plainly.
    """

    def __init__(self) -> None:
        self._known: dict[Hashable, Replay | None] = {}
        self._size: tuple[int, ...] = ()
        _in_this_process.add(self)

    def run(self, kind: Hashable, compute: Compute, inputs: Sequence[Var]) -> list[Var]:
        """The results of `compute(inputs)`: computed the first time, captured the second.

        Args:
            kind: says what is computed. Equal kinds differ in their inputs only.
            compute: the computation, without gradients.
            inputs: its inputs; the shape of the first is the size.
        """
        if runs_on_cpu() or os.environ.get("JSTYLEID_REPLAY") == "0":
            return list(compute(inputs))
        size = tuple(inputs[0].shape)
        if size != self._size:
            self.forget()
            self._size = size
        key = (kind, tuple((tuple(x.shape), str(x.dtype)) for x in inputs))
        replay = self._known.get(key)
        if replay is None:
            jt.sync(list(inputs))
            if key not in self._known:
                self._known[key] = None
                return _computed(compute, inputs)
            with _own_memory():
                replay = self._known[key] = Replay(compute, inputs)
        return replay(inputs)

    def forget(self) -> None:
        """Drop all replays and give their memory back: weights or layers have changed.

        Those of other networks in this process are dropped, too, since the memory is theirs as
        well.
        """
        if not self._known:
            return
        jt.sync_all(True)  # what was replayed, but not computed yet
        for each in _in_this_process:
            for replay in each._known.values():
                if replay is not None:
                    replay.close()
            each._known.clear()
        jt.gc()
        _run("replay::release();")


_in_this_process: WeakSet[Replays] = WeakSet()


def _computed(compute: Compute, inputs: Sequence[Var]) -> list[Var]:
    """The results of a plain computation in the memory of replays, outside of it."""
    with _own_memory():
        results = list(compute(inputs))
        jt.sync(results)
    results = [result.copy() for result in results]
    jt.sync(results)
    return results


@contextlib.contextmanager
def _own_memory() -> Iterator[None]:
    """What is computed in the block lies in the memory of replays."""
    _install_memory()
    jt.flags.use_stat_allocator = 1
    try:
        yield
    finally:
        jt.flags.use_stat_allocator = 0


@cache
def _install_memory() -> None:
    _run("replay::install();")


def _run(call: str) -> None:
    cuda_kernel([[1]], ["float32"], [], "replay", call)[0].sync()


def _capture(outputs: Sequence[Var]) -> ctypes.c_void_p:
    """The starts of all kernels that compute `outputs`, as a graph that can be launched.

    Raises:
        RuntimeError: something in the computation cannot be captured.
    """
    runtime, graph, made = _runtime(), ctypes.c_void_p(), ctypes.c_void_p()
    _check(runtime.cudaStreamBeginCapture(_STREAM, _RELAXED))
    try:
        jt.sync(list(outputs))
    finally:  # where the computation fails, its error counts
        code = runtime.cudaStreamEndCapture(_STREAM, ctypes.byref(graph))
    _check(code)
    # `cudaGraphInstantiate` has other arguments in CUDA 11.
    _check(runtime.cudaGraphInstantiateWithFlags(ctypes.byref(made), graph, ctypes.c_ulonglong(0)))
    _check(runtime.cudaGraphDestroy(graph))
    return made


@cache
def _runtime() -> Any:
    return ctypes.CDLL(str(Path(jt.compiler.cuda_home) / "lib64" / "libcudart.so"))


def _check(code: int) -> None:
    if code:
        describe = _runtime().cudaGetErrorString
        describe.restype = ctypes.c_char_p
        raise RuntimeError(f"CUDA could not capture a computation: {describe(code).decode()}")
