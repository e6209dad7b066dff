"""The CUDA toolkit that Jittor compiles with: found, completed and adapted to Jittor 1.3.11.

Jittor wants one folder with `bin/nvcc`, `include` and `lib64` that holds cuBLAS, cuDNN and the rest
under names without versions. Toolkits come as one folder, as Debian packages all over `/usr`, or as
NVIDIA's Python wheels, and cuDNN comes apart from most. `prepare` makes the one folder, of links,
in Jittor's cache, and names the compiler flags with which Jittor builds against CUDA 13 and
cuDNN 9, which are newer than Jittor.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jstyleid_core.errors import setting
from jstyleid_core.runtime.requirements import RuntimeSetupError, compiler

_COMPATIBILITY = Path(__file__).parent / "cuda"
_KERNELS = Path(__file__).parents[1] / "kernels" / "cuda"
_PLACES = ("/usr/local/cuda/bin/nvcc", "/usr/bin/nvcc", "/opt/cuda/bin/nvcc")
_SYSTEM_INCLUDE = Path("/usr/include")
_SYSTEM_LIBRARIES = Path("/usr/lib/x86_64-linux-gnu")
# What Jittor links, and what these libraries load themselves.
_LIBRARIES = ("cudart", "cublas", "cublasLt", "cudnn", "curand", "cufft", "cusparse", "nvJitLink")
_NEEDED = {
    "cublas": "cublas.h", "cudnn": "cudnn.h", "curand": "curand.h", "cufft": "cufft.h",
    "cusparse": "cusparse.h", "cudart": "cuda_runtime.h",
}
_LOWEST = 75
"""Lowest compute capability, times ten: the kernels need the tensor cores of 7.5."""
INSTALL = (
    "Run: pip install 'jstyleid-core[cuda]' (CUDA 13, for drivers from 580 on), or install the "
    "CUDA toolkit and cuDNN and name its compiler in nvcc_path"
)


@dataclass(frozen=True)
class Toolkit:
    """A CUDA toolkit, ready for Jittor.

    Attributes:
        nvcc: the compiler as found; `folder / "bin" / "nvcc"` starts it.
        version: of the toolkit, (major, minor).
        cudnn: version of cuDNN, (major, minor, patch).
        capabilities: compute capabilities times ten of the cards that kernels are compiled for.
        oldest: lowest compute capability times ten on which the kernels run.
        newest: highest compute capability times ten that the compiler makes machine code for.
        folder: the folder of links that Jittor is given.
        environment: variables that must be set before Jittor is imported.
    """

    nvcc: Path
    version: tuple[int, int]
    cudnn: tuple[int, int, int]
    capabilities: tuple[int, ...]
    oldest: int
    newest: int
    folder: Path
    environment: dict[str, str] = field(default_factory=dict)


def find_nvcc(jittor_home: Path) -> Path | None:
    """The CUDA compiler: `nvcc_path`, PATH, the usual places, NVIDIA's wheels, Jittor's own."""
    named = os.environ.get("nvcc_path")
    if named:
        found = shutil.which(named)
        return Path(found) if found else None
    wheels = [package / "bin" / "nvcc" for package in _wheels()]
    own = sorted((jittor_home / ".cache" / "jittor" / "jtcuda").glob("*/bin/nvcc"))
    places = [shutil.which("nvcc"), *_PLACES, *wheels, *own]
    return next((Path(place) for place in places if place and os.access(place, os.X_OK)), None)


def prepare(
    nvcc: Path, capabilities: Sequence[int], cache: Path, installed: Sequence[int] = ()
) -> Toolkit:
    """Make the folder for Jittor in `cache`, and choose the flags for this toolkit and these cards.

    Args:
        nvcc: the compiler.
        capabilities: compute capabilities of the cards in use times ten, 75 for 7.5.
        cache: folder for what is made.
        installed: those of all cards of the machine. Everything is compiled for them, too, unless
            they are too old: processes on different cards then have one cache.

    Raises:
        RuntimeSetupError: the toolkit is not complete, or does not fit the cards.
    """
    version = _version(nvcc)
    if version < (11, 8):
        raise RuntimeSetupError(
            f"the CUDA toolkit of {nvcc} is {version[0]}.{version[1]}; 11.8 and later are "
            f"supported. {INSTALL}")
    check_cards(version, nvcc, capabilities)
    oldest, newest = _oldest(nvcc), max(_codes(nvcc))
    targets = tuple(sorted({*capabilities, *(c for c in installed if c >= oldest)}))
    root = _root(nvcc)
    includes, libraries = _sources(root, version[0])
    key = "\n".join(map(str, [nvcc, version, *includes, *libraries, _COMPATIBILITY]))
    folder = cache / f"jstyleid-cuda-{hashlib.sha256(key.encode()).hexdigest()[:12]}"
    if not folder.is_dir():
        _make(folder, nvcc, includes, libraries)
    cudnn = cudnn_version(folder / "include")
    missing = [f"{header} or lib{name}.so" for name, header in _NEEDED.items()
               if not _is_complete(folder, name, header)]
    if missing or cudnn is None:
        shutil.rmtree(folder)
        raise RuntimeSetupError(
            f"the CUDA toolkit of {nvcc} is not complete: "
            f"{', '.join(missing) or 'cudnn_version.h'} is missing. {INSTALL}")
    _check_compiler(version, folder / "include" / "crt" / "host_config.h")
    return Toolkit(nvcc, version, cudnn, targets, oldest, newest, folder, {
        "nvcc_path": str(folder / "bin" / "nvcc"),
        "cc_flags": _compiler_flags(version, cudnn),
        "NVCC_APPEND_FLAGS": _nvcc_flags(nvcc, targets),
        # Both are downloaded by Jittor's import. Nothing here uses cutlass; cutt moves axes, which
        # kernels of this project do.
        "use_cutt": "0", "use_cutlass": "0",
    })


def _check_compiler(version: tuple[int, int], header: Path) -> None:
    """Refuse a g++ that is newer than this toolkit takes, as its header says.

    Raises:
        RuntimeSetupError: it is.
    """
    says = header.read_text(errors="replace") if header.exists() else ""
    newest = re.search(r"^#if __GNUC__ > (\d+)", says, re.MULTILINE)
    path, line = compiler()
    if newest is None or "g++" not in line:
        return
    ran = subprocess.run([path, "-dumpversion"], capture_output=True, text=True, check=False)
    if int(ran.stdout.split(".")[0]) > int(newest[1]):
        raise RuntimeSetupError(
            f"CUDA {version[0]}.{version[1]} compiles with g++ up to version {newest[1]}; {path} "
            f"is {ran.stdout.strip()}. Install an older one (Debian, Ubuntu: apt-get install "
            f"g++-{newest[1]}) and set cc_path to it, or use a newer CUDA toolkit.")


def check_cards(version: tuple[int, int], nvcc: Path, capabilities: Iterable[int]) -> None:
    """Refuse cards that this toolkit or the kernels cannot compute on.

    Raises:
        RuntimeSetupError: a card is too old.
    """
    oldest = _oldest(nvcc)
    for capability in capabilities:
        if capability < oldest:
            raise RuntimeSetupError(
                f"a card of compute capability {capability / 10} is to be used; this project and "
                f"CUDA {version[0]}.{version[1]} need {oldest / 10} and more. Choose other cards "
                f"with CUDA_VISIBLE_DEVICES, or use {setting('device')} cpu.")


def code_flags(nvcc: Path, capabilities: Iterable[int]) -> str:
    """The options of nvcc for machine code of these cards, and code that newer cards translate."""
    codes = _codes(nvcc)
    real = sorted({c for c in capabilities if c in codes})
    highest = max([c for c in codes if not real or c <= max(capabilities)], default=max(codes))
    options = [f"-gencode=arch=compute_{c},code=sm_{c}" for c in real]
    return " ".join([*options, f"-gencode=arch=compute_{highest},code=compute_{highest}"])


def kernel_flags(flags: str, nvcc: Path, capabilities: Iterable[int]) -> str:
    """Jittor's options of nvcc for kernels, with this project's kernels to include.

    The options for machine code become `code_flags`: Jittor compiles for capabilities up to 9.0
    and without code that newer cards could translate.
    """
    kept = re.sub(r"-(arch|code)=\w+", "", flags)
    return f'{kept} {code_flags(nvcc, capabilities)} -I"{_KERNELS}" '


def set_stream(jittor: Any) -> None:
    """Let cuBLAS and cuDNN start their work where all kernels are started (`cudaStreamPerThread`).

    Raises:
        RuntimeSetupError: a library refuses.
    """
    extern = jittor.compile_extern
    for module, handle, library, function in (
        (extern.cublas, "_ZN6jittor13cublas_handleE", "cublas", "cublasSetStream_v2"),
        (extern.cudnn, "_ZN6jittor12cudnn_handleE", "cudnn", "cudnnSetStream"),
    ):
        found = ctypes.c_void_p.in_dll(ctypes.CDLL(module.__file__), handle)
        path = Path(jittor.compiler.cuda_home) / "lib64" / f"lib{library}.so"
        code = getattr(ctypes.CDLL(str(path)), function)(found, ctypes.c_void_p(2))
        if code:
            raise RuntimeSetupError(f"{path}: {function} fails with code {code}. {INSTALL}")


def cudnn_version(include: Path) -> tuple[int, int, int] | None:
    """The version of the cuDNN whose headers are in a folder or in the system's."""
    for folder in (include, _SYSTEM_INCLUDE):
        for name in ("cudnn_version.h", "cudnn_version_v9.h", "cudnn_version_v8.h"):
            header = folder / name
            if header.exists():
                text = header.read_text(errors="replace")
                found = [re.search(rf"define CUDNN_{part} (\d+)", text)
                         for part in ("MAJOR", "MINOR", "PATCHLEVEL")]
                if all(found):
                    major, minor, patch = (int(match[1]) for match in found if match)
                    return major, minor, patch
    return None


def _version(nvcc: Path) -> tuple[int, int]:
    ran = subprocess.run([nvcc, "--version"], capture_output=True, text=True, check=False)
    found = re.search(r"release (\d+)\.(\d+)", ran.stdout)
    if not found:
        raise RuntimeSetupError(f"the CUDA compiler {nvcc} does not run: {ran.stderr.strip()}")
    return int(found[1]), int(found[2])


def _root(nvcc: Path) -> Path:
    """The folder of a toolkit; `nvcc` may be a script that starts the compiler elsewhere."""
    ran = subprocess.run([nvcc, "--dryrun", "-x", "cu", "-c", os.devnull, "-o", os.devnull],
                         capture_output=True, text=True, check=False)
    found = re.search(r"^#\$ TOP=(.+)$", ran.stderr, re.MULTILINE)
    return Path(found[1].strip()).resolve() if found else nvcc.resolve().parent.parent


def _codes(nvcc: Path) -> list[int]:
    """Compute capabilities for which this compiler makes machine code."""
    ran = subprocess.run([nvcc, "--list-gpu-code"], capture_output=True, text=True, check=False)
    found = [int(digits) for digits in re.findall(r"^sm_(\d+)$", ran.stdout, re.MULTILINE)]
    if not found:
        raise RuntimeSetupError(f"the CUDA compiler {nvcc} lists no cards: {ran.stderr.strip()}")
    return found


def _oldest(nvcc: Path) -> int:
    """The lowest compute capability times ten on which the kernels run."""
    return max(_LOWEST, min(_codes(nvcc)))


def _wheels() -> list[Path]:
    """Folders `nvidia/*` of NVIDIA's Python packages in this environment."""
    folders = [Path(entry) / "nvidia" for entry in sys.path if entry]
    return [package for folder in folders if folder.is_dir()
            for package in sorted(folder.iterdir())]


def _sources(root: Path, major: int) -> tuple[list[Path], list[Path]]:
    """Folders of headers and of libraries; the first that has a file gives it."""
    includes = [root / "include", root / "targets" / "x86_64-linux" / "include"]
    libraries = [root / "lib64", root / "lib", root / "targets" / "x86_64-linux" / "lib"]
    for package in _wheels():
        # CUDA 13's wheels are in one folder named for it; those before have a folder a library.
        of_major = int(package.name[2:]) if re.fullmatch(r"cu\d+", package.name) else None
        if package.name == "cudnn" or (of_major == major if of_major else major < 13):
            includes.append(package / "include")
            libraries.append(package / "lib")
    existing = [folder for folder in includes if folder.is_dir()]
    return existing, [*(f for f in libraries if f.is_dir()), _SYSTEM_LIBRARIES]


def _make(folder: Path, nvcc: Path, includes: Sequence[Path], libraries: Sequence[Path]) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", dir=folder.parent))
    (fresh / "bin").mkdir()
    script = fresh / "bin" / "nvcc"
    # A script, not a link: Jittor would follow a link and look for everything beside its target.
    script.write_text(f'#!/bin/sh\nexec "{nvcc}" "$@"\n')
    script.chmod(0o755)
    (fresh / "include").mkdir()
    for source in includes:
        _link_all(source, fresh / "include")
    if not (fresh / "include" / "npp.h").exists() and not (_SYSTEM_INCLUDE / "npp.h").exists():
        (fresh / "include" / "npp.h").symlink_to(_COMPATIBILITY / "npp.h")
    (fresh / "lib64").mkdir()
    for source in libraries:
        for name in _LIBRARIES:
            # libcudnn_graph.so.9 and the like belong to libcudnn.so.9, and `cudart` to cudadevrt.
            for file in [*source.glob(f"lib{name}.so*"), *source.glob(f"lib{name}_*.so*")]:
                for link in (file.name, re.sub(r"\.so\..*", ".so", file.name)):
                    if not os.path.lexists(fresh / "lib64" / link):
                        (fresh / "lib64" / link).symlink_to(file.resolve())
    # cuDNN 9 divides itself otherwise than Jittor, which loads four parts of version 8 by name.
    whole = fresh / "lib64" / "libcudnn.so.9"
    if whole.exists():
        for part in ("ops_infer", "ops_train", "cnn_infer", "cnn_train"):
            at = fresh / "lib64" / f"libcudnn_{part}.so"
            at.unlink(missing_ok=True)  # cuDNN 8's, where both are installed
            at.symlink_to(whole.name)
    try:
        fresh.rename(folder)
    except OSError:  # another process was faster
        shutil.rmtree(fresh)
        if not folder.is_dir():
            raise


def _link_all(source: Path, target: Path) -> None:
    """Links in `target` to all that is in `source`; what is there stays, folders are merged."""
    target.mkdir(parents=True, exist_ok=True)
    for entry in source.iterdir():
        at = target / entry.name
        if entry.is_dir() and at.is_symlink():
            first = at.resolve()
            at.unlink()
            _link_all(first, at)
        if entry.is_dir() and at.is_dir():
            _link_all(entry, at)
        elif not os.path.lexists(at):
            at.symlink_to(entry)


def _is_complete(folder: Path, name: str, header: str) -> bool:
    headers = (folder / "include" / header, _SYSTEM_INCLUDE / header)
    return (folder / "lib64" / f"lib{name}.so").exists() and any(h.exists() for h in headers)


def _compiler_flags(version: tuple[int, int], cudnn: tuple[int, int, int]) -> str:
    headers = []
    if version[0] >= 13:
        headers.append("cuda13.h")
    if cudnn[0] >= 9:
        headers.append("cudnn9.h")
    included = "".join(f' -include "{_COMPATIBILITY / header}"' for header in headers)
    # The default stream is one that can be captured (see kernels/replay.py).
    return f' -I"{_COMPATIBILITY}"{included} -DCUDA_API_PER_THREAD_DEFAULT_STREAM '


def _nvcc_flags(nvcc: Path, capabilities: Sequence[int]) -> str:
    """Options for what Jittor's import compiles; of two standards the last counts."""
    # The kernels need C++17, and so does CUB of CUDA 13; Jittor asks for 14.
    flags = "-std=c++17 --default-stream=per-thread"
    newer = [c for c in capabilities if c > 90]  # the highest that Jittor compiles for
    return f"{flags} {code_flags(nvcc, newer)}" if newer else flags
