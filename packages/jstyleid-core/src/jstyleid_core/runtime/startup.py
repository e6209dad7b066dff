"""Starting Jittor: check the machine, set the environment, compile if needed, import, tidy up.

The import of Jittor changes the whole process, and `unchanged_process` restores it: the import
turns off certificate checks for every HTTPS request, raises the recursion limit to a million and
the stack limit to 512 MB, and installs signal handlers with which Ctrl-C ends the process before
Python hears of it and a child's death by a signal ends its parent.

Jittor reports each round of kernel compilation with `std::cerr`, past Python's `sys.stderr`, and
has no switch for it. A command that draws its own progress sends that stream to a file with
`redirect_native_output`.
"""

from __future__ import annotations

import builtins
import contextlib
import importlib
import json
import os
import platform
import resource
import signal
import ssl
import sys
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, cast

from jstyleid_core.errors import InputError, setting
from jstyleid_core.progress import Preparing
from jstyleid_core.runtime import build, headers, onednn, requirements, toolkit
from jstyleid_core.runtime.build import ensure_built, forget
from jstyleid_core.runtime.choices import Device, DType
from jstyleid_core.runtime.devices import choose
from jstyleid_core.runtime.gpus import capabilities, installed_gpus, order_of_cards
from jstyleid_core.runtime.home import checked_home, home_of_jittor, jittor_home
from jstyleid_core.runtime.processors import processors
from jstyleid_core.runtime.requirements import RuntimeSetupError

_ENVIRONMENT = {
    "gdb_path": "",  # no debugger attached after a crash
    "use_mpi": "0",
    "use_nccl": "0",
    "FIX_TORCH_ERROR": "0",
    "log_silent": "1",
    # Threads that wait between kernels sleep: spinning, which is OpenMP's default, makes a small
    # network ten times slower, and a hundred times when another process wants the same cores.
    "OMP_WAIT_POLICY": "passive",
}

_SIGNALS = (signal.SIGINT, signal.SIGCHLD, signal.SIGQUIT, signal.SIGFPE, signal.SIGILL,
            signal.SIGBUS)
_FOR = "-for-"


def start(device: Device = "auto", preparing: Preparing | None = None) -> Any:
    """Import Jittor, ready to compute, and return the module; later calls return it at once.

    Nothing is downloaded and nothing is written outside Jittor's cache folder. On first use Jittor
    is compiled, which takes minutes; `preparing` receives the progress
    (printed to stderr by default).

    Args:
        device: `auto` takes CUDA where a card and a CUDA compiler are found, and later the device
            that was taken. The environment variable `JSTYLEID_DEVICE` replaces the first `auto`.
        preparing: called about twice a second while Jittor compiles.

    Raises:
        RuntimeSetupError: a requirement is missing; the message names the fix.
    """
    jittor = sys.modules.get("jittor")
    if jittor is None:
        if device == "auto":
            device = _device_from_environment()
        jittor = _first_start(device, preparing)
    if device == "cuda" and not jittor.has_cuda:
        raise RuntimeSetupError(
            f"{setting('device')} cuda: Jittor was started without CUDA in this process. "
            "Ask for CUDA before anything computes."
        )
    if device == "cpu":
        jittor.flags.use_cuda = 0
    return jittor


def default_dtype(device: Device = "auto") -> Literal["float32", "float16"]:
    """The default number format on a device; Jittor is not started.

    Raises:
        RuntimeSetupError: the device cannot be had.
    """
    wanted = _device_from_environment() if device == "auto" else device
    return "float32" if choose(wanted, jittor_home()).nvcc is None else "float16"


def check_dtype(dtype: DType, default: Literal["float32", "float16"]) -> None:
    """Check that a device computes in a number format.

    Args:
        dtype: number format.
        default: the device's own, see `default_dtype`.

    Raises:
        InputError: float16 on the CPU.
    """
    if dtype == "float16" and default == "float32":
        raise InputError(
            f"{setting('dtype')} float16 needs {setting('device')} cuda; the CPU computes in "
            "float32",
            fields=["dtype", "device"],
        )


def cache_folder() -> Path:
    """The folder inside Jittor's cache that belongs to this compiler, Python and installation."""
    with unchanged_process():
        return Path(importlib.import_module("jittor_utils").cache_path)


def _device_from_environment() -> Device:
    named = os.environ.get("JSTYLEID_DEVICE", "auto")
    if named not in ("auto", "cpu", "cuda"):
        raise RuntimeSetupError(f"JSTYLEID_DEVICE is {named!r}: it must be auto, cpu or cuda")
    return cast(Device, named)


def _first_start(device: Device, preparing: Preparing | None) -> Any:
    if sys.platform != "linux":
        raise RuntimeSetupError(f"{platform.system()} is not supported: only Linux is")
    requirements.python_version()
    numpy = requirements.numpy_version()
    version = requirements.jittor_version()
    compiler, compiler_version = requirements.compiler()
    config = requirements.python_config()
    home = checked_home([config])
    choice = choose(device, home)
    if choice.note:
        warnings.warn(choice.note, stacklevel=3)
    for name, value in (_ENVIRONMENT | order_of_cards()).items():
        os.environ.setdefault(name, value)
    os.environ["nvcc_path"] = ""
    with home_of_jittor(home):
        kit, target = None, "cpu"
        if choice.nvcc:
            # Jittor computes on the first card, and keeps one cache for all cards of the machine.
            every = capabilities(installed_gpus())
            kit = toolkit.prepare(Path(choice.nvcc), capabilities(choice.cards[:1]),
                                  home / ".cache" / "jittor", every)
            target = f"cuda{kit.version[0]}.{kit.version[1]}-sm_{'_'.join(map(str, every))}"
            for name, value in kit.environment.items():
                os.environ[name] = value
        library = _wire_onednn(home, needed=kit is None)
        os.environ["python_config_path"] = config
        os.environ.setdefault("OMP_NUM_THREADS", str(processors()))
        _keep_apart(requirements.instruction_set(compiler) + ("-cuda" if kit else ""))

        cache = cache_folder()
        stamp = json.dumps({
            "jittor": version, "numpy": numpy, "python": sys.executable, "cache": str(cache),
            "compiler": [compiler, compiler_version, os.environ.get("cc_flags", "")],
            "onednn": str(library.lib) if library else None,
            "toolkit": [str(kit.folder), kit.version, kit.cudnn, kit.environment] if kit else None,
        }, indent=1)
        ensure_built(cache, stamp, preparing, target)
        _ask_numpy_first()
        return _import_jittor(cache, kit)


def _ask_numpy_first() -> None:
    """Let numpy look up the limits of its number formats, which it keeps.

    Jittor makes the processor round the smallest numbers to zero. Later numpy would warn of that
    in matplotlib, or whatever asks for the limits.
    """
    import numpy as np

    for number in (np.float16, np.float32, np.float64):
        np.finfo(number)


def _wire_onednn(home: Path, needed: bool) -> onednn.OneDNN | None:
    try:
        library = onednn.find()
    except RuntimeSetupError:
        if needed:
            raise
        # Beside CUDA it has nothing to do, and Jittor would download it.
        os.environ["use_mkl"] = "0"
        return None
    onednn.wire(home, library)
    return library


def _keep_apart(instructions: str) -> None:
    """Give what is compiled for other instructions, or for CUDA, another folder in Jittor's cache.

    Jittor's own key holds the processor's model name, which says too little: code compiled on one
    "AMD EPYC" ends in an illegal instruction on another. And with CUDA it would import the core
    that was compiled without, from the folder above its own.
    """
    # Without a name Jittor takes the git branch of the folder it is installed in.
    name, _, inherited = os.environ.get("cache_name", "default").partition(_FOR)
    if inherited != instructions:
        os.environ["cache_name"] = f"{name}{_FOR}{instructions}"


def _import_jittor(cache: Path, kit: toolkit.Toolkit | None) -> Any:
    try:
        with unchanged_process():
            jittor = build.import_jittor()
    except SystemExit as error:
        # Jittor rebuilt its core and left. The library it had already loaded cannot be unloaded.
        forget(cache)
        raise RuntimeSetupError(
            "Jittor's cache was out of date and is being rebuilt. Run the same command again."
        ) from error
    except (ImportError, OSError, RuntimeError, AssertionError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # see `home_of_jittor`
        # A file in it was damaged, or CUDA's libraries do not fit the driver.
        reason = str(error).strip() or type(error).__name__
        raise RuntimeSetupError(
            f"Jittor does not start: {reason}. If it did before, its cache may be damaged: remove "
            f"{cache} and run the same command again, which compiles it anew. What else may be "
            "wrong the checks of `jstyleid doctor` say."
        ) from error
    if kit is not None:
        if not jittor.has_cuda or jittor.cudnn is None:
            raise RuntimeSetupError(f"Jittor found no usable CUDA with cuDNN. {toolkit.INSTALL}")
        jittor.flags.nvcc_flags = toolkit.kernel_flags(
            jittor.flags.nvcc_flags, kit.nvcc, kit.capabilities)
        jittor.flags.use_cuda = 1
        toolkit.set_stream(jittor)
        # With page-locked memory for the CPU, making an array waits for all work of the card, and
        # copies the array's new memory to the host first. Without, copies run beside the work.
        jittor.flags.use_cuda_host_allocator = 0
    elif jittor.compile_extern.mkl_ops is None:
        raise RuntimeSetupError("Jittor started without oneDNN: unset use_mkl and run again")
    else:
        headers.precompile(jittor, cache)
    build.settle(jittor, cache)
    return jittor


@contextlib.contextmanager
def unchanged_process() -> Iterator[None]:
    """Run the block; restore signal handlers, SSL context, filters of warnings and limits."""
    in_main_thread = threading.current_thread() is threading.main_thread()
    handlers = {number: signal.getsignal(number) for number in _SIGNALS}
    context = ssl._create_default_https_context
    recursion = sys.getrecursionlimit()
    stack = resource.getrlimit(resource.RLIMIT_STACK)
    flags = sys.getdlopenflags()
    # In a notebook, Jittor would print a line and send native output through Python.
    notebook = vars(builtins).pop("get_ipython", None)
    try:
        with warnings.catch_warnings():
            # Python 3.12 prints one for each odd escape sequence in Jittor's sources.
            warnings.simplefilter("ignore", SyntaxWarning)
            yield
    finally:
        # Python can only set handlers from the main thread; elsewhere Jittor's stay.
        if in_main_thread:
            for number, handler in handlers.items():
                signal.signal(number, signal.SIG_DFL if handler is None else handler)
        if notebook is not None:
            vars(builtins)["get_ipython"] = notebook
        ssl._create_default_https_context = context
        sys.setrecursionlimit(recursion)
        resource.setrlimit(resource.RLIMIT_STACK, stack)
        sys.setdlopenflags(flags)


def redirect_native_output(path: Path) -> None:
    """Append native code's output on stderr to `path`; Python's `sys.stderr` does not change.

    A crash report of native code lands in the file too, since the file is written directly.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    sys.stderr.flush()
    terminal = os.dup(2)
    sys.stderr = os.fdopen(terminal, "w", buffering=1, encoding=sys.stderr.encoding,
                           errors="backslashreplace")
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(log, 2)
    os.close(log)
