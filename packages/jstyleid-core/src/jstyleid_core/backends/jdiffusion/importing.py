"""The import of JDiffusion, without its side effects on Jittor and on the process."""

from __future__ import annotations

import contextlib
import importlib
import io
import warnings
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

from jstyleid_core.backends.jdiffusion.environment import check
from jstyleid_core.runtime.jittor import jt
from jstyleid_core.runtime.startup import unchanged_process

# Switched by jtorch's import (amp_reg, th_mode) and by merely naming a `torch.device` (use_cuda).
_FLAGS = ("use_cuda", "amp_reg", "th_mode")


def jdiffusion() -> ModuleType:
    """The module JDiffusion; `diffusers` and `transformers` can be imported afterwards.

    Raises:
        RuntimeSetupError: the environment is not JDiffusion's.
    """
    check()
    with unchanged_process(), contained(), _cudnn():
        return importlib.import_module("JDiffusion")


@contextlib.contextmanager
def contained() -> Iterator[None]:
    """Run JDiffusion's code in the block, without changed flags and without output.

    Each time something is put on the CPU, jtorch prints so to standard output, where results go.
    """
    with (unchanged_flags(), contextlib.redirect_stdout(io.StringIO()),
          warnings.catch_warnings()):
        # Asking numpy for a type's limits, as CLIP's mask does, reports that Jittor flushes the
        # smallest numbers to zero.
        warnings.filterwarnings("ignore", "The value of the smallest subnormal", UserWarning)
        yield


@contextlib.contextmanager
def unchanged_flags() -> Iterator[None]:
    """Run the block and restore Jittor's device, precision and mode."""
    before: dict[str, Any] = {name: getattr(jt.flags, name) for name in _FLAGS}
    try:
        yield
    finally:
        for name, value in before.items():
            # Setting the device has effects of its own, so only where it was changed.
            if getattr(jt.flags, name) != value:
                setattr(jt.flags, name, value)


@contextlib.contextmanager
def _cudnn() -> Iterator[None]:
    """On the CPU, where Jittor has no cuDNN, an object on which the import can set a limit."""
    if jt.cudnn is not None:
        yield
        return
    jt.cudnn = SimpleNamespace(set_max_workspace_ratio=lambda ratio: None)
    try:
        yield
    finally:
        jt.cudnn = None
