"""The checks of `jstyleid doctor`: the requirements of a run, each with a fix."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from jstyleid_core.backends.jdiffusion import environment
from jstyleid_core.errors import CheckpointError, setting
from jstyleid_core.progress import Preparing
from jstyleid_core.runtime import (
    Backend,
    Device,
    build,
    gpus,
    onednn,
    requirements,
    startup,
    toolkit,
)
from jstyleid_core.runtime.home import jittor_home
from jstyleid_core.runtime.processors import processors
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
    device: Device = "auto", preparing: Preparing | None = None, backend: Backend = "native"
) -> list[Check]:
    """Check compiler, headers, numpy, Jittor, oneDNN, CUDA, models and disk space.

    Starts Jittor, and so compiles it on first use; `preparing` receives the progress. For
    JDiffusion the requirements of its environment and its import are checked, too.
    """
    checks = _requirements()
    if backend == "jdiffusion":
        checks.append(_jdiffusion_environment())
    cuda = list(_cuda(device))  # before the start, which names the compiler in another way
    checks.append(_start(device, preparing))
    if checks[-1].ok:
        checks += [_computed("Convolution", _convolution), _computed("Reduction", _reduction)]
        if backend == "jdiffusion" and all(check.ok for check in checks):
            checks.append(_attempt("JDiffusion", _imported_jdiffusion))
    checks += [*cuda, _models(), *_space()]
    return checks


def quick_checks() -> list[Check]:
    """The checks that take seconds at most: Jittor is not started, and nothing is compiled."""
    return [*_requirements(), *_cuda("auto"), _models(), *_space()]


def _requirements() -> list[Check]:
    threads, there = processors(), os.cpu_count()
    return [
        _attempt("Python", lambda: f"{requirements.python_version()} at {sys.executable}"),
        Check("Processors", True, f"{threads} of {there}, as the system or a container allows"
              if threads != there else str(there), details={"usable": threads, "there": there}),
        _attempt("C++ compiler", lambda: " - ".join(requirements.compiler())),
        _attempt("Python headers", requirements.python_config),
        _attempt("numpy", requirements.numpy_version),
        _attempt("oneDNN", _found_onednn),
    ]


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


def _start(device: Device, preparing: Preparing | None) -> Check:
    try:
        version = requirements.jittor_version()
        started = time.monotonic()
        jittor = startup.start(device, preparing)
        seconds = time.monotonic() - started
        cache = startup.cache_folder()
    except RuntimeSetupError as error:
        return Check("Jittor", False, "does not start", str(error))
    except (RuntimeError, OSError, ImportError, AssertionError) as error:
        # What Jittor's own import raises, for example where a library does not fit the driver.
        return Check("Jittor", False, f"does not start: {_telling(str(error))}", _unfit())
    where = "CUDA" if jittor.flags.use_cuda else "CPU"
    kernels = sum(1 for _ in cache.glob("**/jit/*.so"))
    return Check(
        "Jittor", True,
        f"{version} on {where}, started in {seconds:.1f} s, {kernels} kernels in {cache}",
        details={"version": version, "device": where.lower(), "cache": str(cache),
                 "compiled": build.is_built(cache), "kernels": kernels,
                 "threads": int(os.environ["OMP_NUM_THREADS"])},
    )


def _computed(name: str, compute: Callable[[], Check]) -> Check:
    """The check that `compute` makes; failed where a kernel does not compile or does not run."""
    raised = None
    with tempfile.TemporaryFile() as said:
        # The compiler's message is not in the exception: Jittor writes it past Python to stderr.
        stderr = os.dup(2)
        os.dup2(said.fileno(), 2)
        try:
            check = compute()
        except RuntimeError as error:
            raised = str(error)
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
            said.seek(0)
            text = said.read()
            os.write(2, text)
    if raised is None:
        return check
    return Check(name, False, _telling(f"{text.decode(errors='replace')}\n{raised}"), _unfit())


def _telling(text: str) -> str:
    """The first two lines that say an error, or the last line if none does."""
    plain = re.sub(r"\x1b\[[0-9;]*[mK]", "", text)
    lines = [line.strip()[:200] for line in plain.splitlines() if line.strip()]
    return "\n".join([line for line in lines if "error" in line.lower()][:2] or lines[-1:])


def _unfit() -> str:
    """The fix where Jittor's code does not compile or run."""
    return (f"mend what the lines about CUDA below say, or use {setting('device')} cpu; if nothing "
            f"is wrong there, remove {jittor_home() / '.cache' / 'jittor'} and run again")


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


def _reduction() -> Check:
    """Find the largest number of each row, whose kernel on CUDA needs NPP's header, too."""
    import numpy as np

    from jstyleid_core.runtime.jittor import jt

    rows = np.random.default_rng(0).standard_normal((4, 1000)).astype(np.float32)
    right = bool((jt.array(rows).max(dim=1).numpy() == rows.max(axis=1)).all())
    return Check("Reduction", right, "as by numpy" if right else "the result is wrong",
                 None if right else _unfit())


def _cuda(device: Device) -> Iterator[Check]:
    """Toolkit, cuDNN, driver and cards, and whether they fit each other."""

    def check(name: str, value: str, fault: str | None = None, **details: Any) -> Check:
        # On a machine meant for the CPU nothing of this is a failure.
        ok = fault is None or device == "cpu"
        return Check(name, ok, value, None if ok else fault, details)

    try:
        cards = gpus.visible_gpus()
    except RuntimeSetupError as error:
        yield check("CUDA", "unusable", str(error))
        return
    if not cards:
        why = gpus.why_none_is_visible()
        yield Check("CUDA", device != "cuda", f"no card is visible: {why}",
                    None if device != "cuda" else
                    "install NVIDIA's driver, or unset CUDA_VISIBLE_DEVICES, or use "
                    f"{setting('device')} cpu")
        return
    kit = None
    try:
        home = jittor_home()
    except RuntimeSetupError:
        return  # the start of Jittor fails for this, and says why
    nvcc = toolkit.find_nvcc(home)
    if nvcc is None:
        yield check("CUDA", "compiler not found", toolkit.INSTALL, nvcc=None)
    else:
        try:
            kit = toolkit.prepare(nvcc, gpus.capabilities(cards[:1]), home / ".cache" / "jittor")
        except RuntimeSetupError as error:
            yield check("CUDA", f"compiler {nvcc}", str(error), nvcc=str(nvcc))
    if kit:
        version = ".".join(map(str, kit.version))
        yield check("CUDA", f"toolkit {version}, compiler {nvcc}", nvcc=str(nvcc), version=version)
        yield _cudnn(kit, check)
    if driver := gpus.driver():
        yield _driver(driver, kit, check)
    for card in cards:
        yield _card(card, kit, check)


def _cudnn(kit: toolkit.Toolkit, check: Callable[..., Check]) -> Check:
    version = ".".join(map(str, kit.cudnn))
    library = (kit.folder / "lib64" / "libcudnn.so").resolve()
    return check("cuDNN", f"{version} in {library.parent}", version=version, library=str(library))


def _driver(
    driver: gpus.Driver, kit: toolkit.Toolkit | None, check: Callable[..., Check]
) -> Check:
    newest = ".".join(map(str, driver.cuda)) if driver.cuda else "an unknown version"
    fault = None
    if kit and driver.cuda and kit.version[0] > driver.cuda[0]:
        # Within a major version old drivers run what newer toolkits compile.
        fault = (f"the driver does not run CUDA {kit.version[0]}: update the driver, or install a "
                 f"toolkit of CUDA {driver.cuda[0]}")
    return check("CUDA driver", f"{driver.version}, runs CUDA up to {newest}", fault,
                 version=driver.version, cuda=newest)


def _card(card: gpus.GPU, kit: toolkit.Toolkit | None, check: Callable[..., Check]) -> Check:
    name = f"GPU {card.index}" + ("" if card.instance is None else f", MIG {card.instance}")
    capability = f"{card.capability / 10:.1f}" if card.capability else None
    memory = "memory not reported by the driver"
    if card.free_bytes is not None and card.total_bytes is not None:
        memory = f"{card.free_bytes / 2**30:.1f} of {card.total_bytes / 2**30:.1f} GB free"
    value = f"{card.name}, compute capability {capability or 'unknown'}, {memory}"
    if kit and card.capability and card.capability < kit.oldest:
        value += f"; too old: {kit.oldest / 10} and more can be used"
    elif kit and card.capability and card.capability // 10 > kit.newest // 10:
        value += ("; newer than the toolkit: the driver translates each kernel at its first use, "
                  "which a newer toolkit makes unnecessary")
    return check(name, value, index=card.index, uuid=card.uuid, capability=capability,
                 free_bytes=card.free_bytes, total_bytes=card.total_bytes)


def _models() -> Check:
    from huggingface_hub.constants import HF_HUB_CACHE

    from jstyleid_core.weights.checkpoint import (
        checkpoint_source,
        find_checkpoint,
        find_downloaded,
    )

    source = checkpoint_source()
    details = {"source": str(source), "hub_cache": HF_HUB_CACHE}
    try:
        found = find_downloaded(source)
        if source.local:  # nothing is asked of the hub here
            local = find_checkpoint(source)
            _ = local.architecture, local.schedule_config
    except CheckpointError as error:
        return Check("Model", False, f"{source}: unusable", str(error), details)
    if found is None:
        return Check("Model", True, f"{source}: not here yet, will be downloaded to {HF_HUB_CACHE}",
                     details=details)
    return Check("Model", True, f"{source}: in {found[0]}",
                 details={**details, "folder": str(found[0])})


def _space() -> Iterator[Check]:
    places = [("Disk, here", Path.cwd)]
    # Where that is not known, the start of Jittor has failed and says why.
    with contextlib.suppress(RuntimeSetupError):
        places.insert(0, ("Disk, cache", partial(Path, jittor_home())))
    for name, find in places:
        try:
            folder = find()
            there = next(place for place in (folder, *folder.parents) if place.is_dir())
            free = shutil.disk_usage(there).free
        except OSError as error:  # it was removed, or is another user's
            yield Check(name, False, error.strerror or str(error),
                        "change to a folder that you may use")
            continue
        ok = free >= _LEAST_FREE
        yield Check(name, ok, f"{free / 2**30:.0f} GB free in {folder}",
                    None if ok else f"free at least {_LEAST_FREE / 2**30:.0f} GB",
                    {"free_bytes": free})
