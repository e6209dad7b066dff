"""The checks of `jstyleid doctor`: the requirements of a run, each with a fix."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jstyleid_core.backends.jdiffusion import environment
from jstyleid_core.errors import CheckpointError, setting
from jstyleid_core.progress import Preparing
from jstyleid_core.runtime import Backend, build, devices, onednn, requirements, startup, toolkit
from jstyleid_core.runtime.requirements import RuntimeSetupError

_LEAST_FREE = 2 * 2**30


@dataclass(frozen=True)
class Check:
    """One line of the report."""

    name: str
    ok: bool
    value: str
    fix: str | None = None
    """Remedy; only where `ok` is false."""
    details: dict[str, Any] = field(default_factory=dict)
    """The value as data, for `--json`."""


def run_checks(
    device: devices.Device = "auto", preparing: Preparing | None = None, backend: Backend = "native"
) -> list[Check]:
    """Check compiler, headers, numpy, Jittor, oneDNN, CUDA, models and disk space.

    Starts Jittor, and so compiles it on first use; `preparing` receives the progress. For
    JDiffusion the requirements of its environment and its import are checked, too.
    """
    checks = [
        Check("Python", True, f"{platform.python_version()} at {sys.executable}"),
        _attempt("C++ compiler", lambda: " - ".join(requirements.compiler())),
        _attempt("Python headers", requirements.python_config),
        _attempt("numpy", requirements.numpy_version),
        _attempt("oneDNN", _found_onednn),
    ]
    if backend == "jdiffusion":
        checks.append(_jdiffusion_environment())
    checks.append(_start(device, preparing))
    if checks[-1].ok:
        checks.append(_convolution())
        if backend == "jdiffusion" and all(check.ok for check in checks):
            checks.append(_attempt("JDiffusion", _imported_jdiffusion))
    checks += [*_cuda(device), _models(), *_space()]
    return checks


def _attempt(name: str, find: Callable[[], str]) -> Check:
    try:
        return Check(name, True, find())
    except RuntimeSetupError as error:
        return Check(name, False, "missing or unusable", str(error))


def _jdiffusion_environment() -> Check:
    """The missing distributions; if none, those of another version than the checked one."""
    wanted = environment.requirements()
    missing = [str(each) for each in wanted if not each.met]
    if missing:
        return Check("For JDiffusion", False, ", ".join(missing), environment.HOW)
    others = [str(each) for each in wanted if not each.as_checked]
    found = ", ".join(others) or f"all {len(wanted)} distributions as checked with"
    return Check("For JDiffusion", True, found)


def _imported_jdiffusion() -> str:
    from jstyleid_core.backends.jdiffusion.importing import jdiffusion

    return f"imported from {Path(str(jdiffusion().__file__)).parent}"


def _found_onednn() -> str:
    library = onednn.find()
    return f"{library.version} (oneDNN 2.2.0) in {library.lib}"


def _start(device: devices.Device, preparing: Preparing | None) -> Check:
    try:
        version = requirements.jittor_version()
        started = time.monotonic()
        jittor = startup.start(device, preparing)
        seconds = time.monotonic() - started
        cache = startup.cache_folder()
    except RuntimeSetupError as error:
        return Check("Jittor", False, "does not start", str(error))
    where = "CUDA" if jittor.flags.use_cuda else "CPU"
    kernels = sum(1 for _ in cache.glob("**/jit/*.so"))
    return Check(
        "Jittor", True,
        f"{version} on {where}, started in {seconds:.1f} s, {kernels} kernels in {cache}",
        details={"version": version, "device": where.lower(), "cache": str(cache),
                 "compiled": build.is_built(cache), "kernels": kernels,
                 "threads": int(os.environ["OMP_NUM_THREADS"])},
    )


def _convolution() -> Check:
    """Convolve as the networks do, and compare with the definition."""
    import numpy as np

    from jstyleid_core.kernels import conv2d
    from jstyleid_core.runtime.jittor import jt

    rng = np.random.default_rng(0)
    x = rng.standard_normal((1, 8, 16, 16)).astype(np.float32)
    w = rng.standard_normal((8, 8, 3, 3)).astype(np.float32)
    with jt.no_grad():
        y = conv2d(jt.array(x), jt.array(w), padding=(1, 1)).numpy()
    padded = np.pad(x[0].astype(np.float64), ((0, 0), (1, 1), (1, 1)))
    exact = sum(np.einsum("oc,chw->ohw", w[:, :, i, j], padded[:, i : i + 16, j : j + 16])
                for i in range(3) for j in range(3))
    error = float(np.linalg.norm(y[0] - exact) / np.linalg.norm(exact))
    # The kernels are linked with the library: without one they do not start.
    library = "cuDNN" if jt.flags.use_cuda else "oneDNN"
    details = {"library": library, "relative_error": error}
    if error < 1e-3:
        return Check("Convolution", True, f"by {library}, relative error {error:.1e}", None,
                     details)
    return Check("Convolution", False, f"relative error {error:.1e}",
                 "the result is wrong: remove Jittor's cache folder and run again", details)


def _cuda(device: devices.Device) -> Iterator[Check]:
    cards = devices.visible_gpus()
    nvcc = toolkit.find_nvcc(startup.jittor_home())
    if not cards:
        # Fine on a machine meant for the CPU, a failure where CUDA was asked for.
        yield Check("CUDA", device != "cuda", "no card is visible",
                    None if device != "cuda" else
                    "install NVIDIA's driver, or unset CUDA_VISIBLE_DEVICES, or use "
                    f"{setting('device')} cpu")
        return
    usable = nvcc is not None or device == "cpu"
    yield Check("CUDA", usable, f"compiler {nvcc or 'not found'}",
                None if usable else toolkit.INSTALL, {"nvcc": str(nvcc) if nvcc else None})
    jittor = sys.modules.get("jittor")
    if nvcc and jittor is not None and device != "cpu":
        cudnn = getattr(jittor, "cudnn", None) is not None
        yield Check("cuDNN", cudnn, "found and used" if cudnn else "not found",
                    None if cudnn else toolkit.INSTALL)
    for index, card in enumerate(cards):
        yield Check(f"GPU {index}", True,
                    f"{card.name}, {card.free_bytes / 2**30:.1f} of "
                    f"{card.total_bytes / 2**30:.1f} GB free",
                    details={"free_bytes": card.free_bytes, "total_bytes": card.total_bytes})


def _models() -> Check:
    from huggingface_hub.constants import HF_HUB_CACHE

    from jstyleid_core.weights.checkpoint import find_downloaded, model_source

    source = model_source()
    details = {"source": source, "hub_cache": HF_HUB_CACHE}
    try:
        checkpoint = find_downloaded(source)
    except CheckpointError as error:
        return Check("Model", False, f"{source}: unusable", str(error), details)
    if checkpoint is None:
        return Check("Model", True, f"{source}: not here yet, will be downloaded to {HF_HUB_CACHE}",
                     details=details)
    return Check("Model", True, f"{source}: in {checkpoint}",
                 details={**details, "folder": str(checkpoint)})


def _space() -> Iterator[Check]:
    for name, folder in (("Disk, cache", startup.jittor_home()), ("Disk, here", Path.cwd())):
        free = shutil.disk_usage(folder).free
        ok = free >= _LEAST_FREE
        yield Check(name, ok, f"{free / 2**30:.0f} GB free in {folder}",
                    None if ok else f"free at least {_LEAST_FREE / 2**30:.0f} GB",
                    {"free_bytes": free})
