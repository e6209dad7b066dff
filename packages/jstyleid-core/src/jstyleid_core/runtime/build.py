"""The compilation of Jittor, once, with progress, and the record of compiled kernels.

The first import of Jittor compiles about 160 files, silently and for minutes. Here a child process
does that while the parent counts the object files that appear. When Jittor finds its cache out of
date it recompiles, prints "please rerun your command" and exits with code 0; the child is then
simply started again. A stamp in the cache records what Jittor was built with, so a start without a
compilation costs one file comparison. The CPU and each set of CUDA cards have a stamp of their own,
since Jittor keeps apart what it compiles for them.

Jittor's threads for compiling kernels change its graph at the same time, without a lock. Seldom,
about once in thousands of processes, that is a segmentation fault, and minutes pass until the
process ends. Where the kernels lie in the cache, threads gain nothing: they are used only while a
machine is warmed.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from jstyleid_core.progress import Preparing
from jstyleid_core.runtime.lifetime import end_with
from jstyleid_core.runtime.requirements import RuntimeSetupError
from jstyleid_core.version import __version__

_OBJECTS = 158  # object files of Jittor 1.3.11 for the CPU; CUDA adds some
_STAMP = "jstyleid-built-for-{target}.json"
_TOKEN = "jittor is built"
_ATTEMPTS = 3

_THREADS = 16  # Jittor's own default


def ensure_built(
    cache: Path, stamp: str, preparing: Preparing | None, target: str = "cpu"
) -> None:
    """Compile Jittor into `cache` unless its stamp shows that this was done.

    Processes that start together wait for one of them to compile.

    Args:
        cache: folder of Jittor's cache.
        stamp: everything that makes a new compilation necessary.
        preparing: receives the progress.
        target: name of what is compiled for, different for the CPU and each set of cards.

    Raises:
        RuntimeSetupError: the compilation fails; the message ends with the compiler's last lines.
    """
    stamp_file = cache / _STAMP.format(target=target)
    if _read(stamp_file) == stamp:
        return
    preparing = preparing or _on_stderr()
    with _locked(cache / "jstyleid-build.lock", preparing):
        if _read(stamp_file) == stamp:
            return
        log = cache / "jstyleid-build.log"
        for _ in range(_ATTEMPTS):
            if _build_in_child(cache, log, preparing):
                stamp_file.write_text(stamp)
                return
    raise RuntimeSetupError(f"Jittor keeps asking to be started again. Its output is in {log}")


def forget(cache: Path) -> None:
    """Make the next `ensure_built` check the cache by importing Jittor in a child process."""
    for stamp_file in cache.glob(_STAMP.format(target="*")):
        stamp_file.unlink(missing_ok=True)


def is_built(cache: Path) -> bool:
    """Whether Jittor was compiled into `cache` through `ensure_built`."""
    return any(cache.glob(_STAMP.format(target="*")))


_IMPORT = f"""
from jittor_utils import install_cuda
install_cuda.has_installation = lambda: False
import jittor
print({_TOKEN!r})
"""


def import_jittor() -> Any:
    """Import Jittor without its search for a CUDA toolkit of its own; returns the module.

    Ctrl-C in a terminal goes to all processes of a command. Jittor's compiling processes would end
    by it, one of them with the lock of their queue, and Jittor would wait for that lock when the
    command ends, for ever. So they leave Ctrl-C to the command, which ends them by SIGTERM.
    Handlers of SIGTERM, as Ray installs one, are the command's alone: in a compiling process one
    could come too late, while it waits for the same lock. And one that begins after the command
    has ended, as where a card vanishes, ends at once: Jittor's own provision would come too late.

    Where Jittor's cache has a folder `jtcuda`, the import asks for the driver's version, downloads
    the toolkit for that version if the folder has another one, and takes all folders with "cuda"
    in their names out of PATH and LD_LIBRARY_PATH. If there were any, it then executes the
    process's command line again: everything the process did is lost, and a worker's pipe with it.
    None of this is needed, because `nvcc_path` names the compiler, and what is compiled knows the
    folders of its libraries.
    """
    install_cuda: Any = importlib.import_module("jittor_utils.install_cuda")
    install_cuda.has_installation = lambda: False
    utils: Any = importlib.import_module("jittor_utils")
    make_pool = utils.Pool

    def make_pool_without_interrupts(*arguments: Any, initializer: Any, **options: Any) -> Any:
        options |= {"initializer": _begin_compiling, "initargs": (initializer, os.getpid())}
        # Processes that are forked or spawned inherit what is blocked here.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
        try:
            return make_pool(*arguments, **options)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    utils.Pool = make_pool_without_interrupts
    return importlib.import_module("jittor")


def _begin_compiling(initialize: Callable[[], None], parent: int) -> None:
    """Begin a compiling process of Jittor; of this module, since a spawned process looks it up."""
    end_with(parent)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    initialize()


def _build_in_child(cache: Path, log: Path, preparing: Preparing) -> bool:
    command = [sys.executable, "-c", _IMPORT]
    with open(log, "w+b") as output:
        # A session of its own: Ctrl-C then reaches this process only, which ends the whole group.
        child = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT,
                                 stdin=subprocess.DEVNULL, start_new_session=True)
        try:
            while child.poll() is None:
                done = sum(1 for _ in cache.glob("**/obj_files/*.o"))
                total = max(_OBJECTS, done + 1)
                preparing("compiling Jittor (first use only)", done, total)
                time.sleep(0.5)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()
        output.seek(0)
        text = output.read().decode(errors="replace")
    if child.returncode != 0:
        tail = "\n".join(text.splitlines()[-15:])
        raise RuntimeSetupError(f"Jittor does not compile here; all output is in {log}:\n{tail}")
    return _TOKEN in text


def _on_stderr() -> Preparing:
    """Progress without a display: one line at the start, then one every half minute."""
    last = -30.0

    def preparing(what: str, done: int, total: int) -> None:
        nonlocal last
        if time.monotonic() - last >= 30:
            last = time.monotonic()
            print(f"jstyleid: {what}: {done} of about {total} files", file=sys.stderr, flush=True)

    return preparing


@contextlib.contextmanager
def _locked(path: Path, preparing: Preparing) -> Iterator[None]:
    # Here, since `--help` imports this module and compiles nothing.
    from filelock import FileLock, Timeout

    lock = FileLock(path)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        preparing("waiting for another process that compiles Jittor", 0, _OBJECTS)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _read(path: Path) -> str | None:
    try:
        return path.read_text()
    except FileNotFoundError:
        return None


def mark(cache: Path, what: str, backend: str, cuda: bool) -> Path:
    """The file that marks `what` as compiled for a backend, a device and this version."""
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
