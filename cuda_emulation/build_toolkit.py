"""Builds the emulated CUDA toolkit: a folder that Jittor takes for a toolkit with a card.

    python cuda_emulation/build_toolkit.py EMULATED [REAL]

`REAL` is a real toolkit (`bin/nvcc`, `include`, `lib64` with cuBLAS, cuDNN, cuRAND …), by default
the one that `jstyleid` would use. `EMULATED` gets its headers as links, libraries with the same
names and symbols, `bin/nvcc` and `bin/nvidia-smi`. A symbol that is not emulated ends the process
with its name when it is called.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

_HERE = Path(__file__).resolve().parent
_SOURCES = _HERE / "libraries"
_RUNTIME = ["counters", "device_memory", "fibers", "threads", "graphs", "launch", "cudart_memory",
            "cudart_device"]
# The parts of each library that are emulated.
_EMULATED = {"cudart": _RUNTIME, "cublas": ["cublas"], "cudnn": ["cudnn"], "curand": ["curand"],
             "cusparse": ["cusparse"]}
# Libraries of the compiler and of tools, which no program of Jittor's loads.
_LEFT_OUT = ("nvvm", "nvblas", "nvtx3interop", "nvToolsExt", "nvJitLink", "nvrtc")
_COMPILE = ["g++", "-std=c++17", "-O3", "-march=native", "-fopenmp", "-fPIC", "-Wall", "-Wextra"]


def build(real: Path, emulated: Path) -> None:
    """Build the emulated toolkit.

    Args:
        real: a real toolkit's folder.
        emulated: the folder to write, made where it is missing.

    Raises:
        SystemExit: the real toolkit has no headers, or a compiler fails.
    """
    real, emulated = real.resolve(), emulated.absolute()
    if not (real / "include" / "cuda_runtime_api.h").is_file():
        sys.exit(f"{real}: no CUDA toolkit, include/cuda_runtime_api.h is missing")
    for folder in ("bin", "lib64", "objects"):
        (emulated / folder).mkdir(parents=True, exist_ok=True)
    for folder in ("include", "nvvm"):
        _link(real / folder, emulated / folder)
    _link(Path("lib64"), emulated / "lib")
    names = {_name(library): library for library in sorted((real / "lib64").glob("lib*.so.*"))}
    # The runtime comes first: the others are linked with it.
    for name in sorted(names, key=lambda name: name != "cudart"):
        if name not in _LEFT_OUT:
            _build_library(name, names[name], real, emulated)
    _build_driver(emulated)
    for archive in (real / "lib64").glob("*.a"):
        _link(archive, emulated / "lib64" / archive.name)
    for link in (real / "lib64").glob("lib*.so"):  # further names of a library
        if link.is_symlink() and (emulated / "lib64" / link.readlink().name).exists():
            _link(Path(link.readlink().name), emulated / "lib64" / link.name)
    _write_program(emulated / "bin" / "nvcc", _HERE / "nvcc_stand_in.py", real / "bin" / "nvcc",
                   emulated / "lib64")
    _write_program(emulated / "bin" / "nvidia-smi", _HERE / "nvidia_smi_stand_in.py")


def _name(library: Path) -> str:
    found = re.match(r"lib(\w+)\.so", library.name)
    if found is None:
        sys.exit(f"{library}: not the name of a library")
    return found.group(1)


def _build_library(name: str, real_library: Path, real: Path, emulated: Path) -> None:
    """One library: the emulated part, and a loud end for every other symbol of the real one."""
    objects = []
    for source in _EMULATED.get(name, []):
        made = emulated / "objects" / f"{source}.o"
        _run([*_COMPILE, f"-I{real / 'include'}", f"-I{_HERE / 'device'}", "-c",
              str(_SOURCES / f"{source}.cpp"), "-o", str(made)])
        objects.append(str(made))
    have = _symbols(objects, "--defined-only") if objects else set()
    exported = _symbols([str(real_library)], "-D", "--defined-only")
    # The same for programs whose default stream is one a thread; streams order nothing here.
    same = {symbol: symbol[:-5] for symbol in exported
            if symbol.endswith(("_ptsz", "_ptds")) and symbol[:-5] in have}
    missing = sorted(exported - have - set(same))
    rest = emulated / "objects" / f"{name}_rest.c"
    rest.write_text(_loud(name, missing))
    compiled = str(rest.with_suffix(".o"))
    _run(["gcc", "-w", "-fno-builtin", "-fPIC", "-c", str(rest), "-o", compiled])
    library = emulated / "lib64" / real_library.name
    new = library.with_name(library.name + ".new")  # replaced whole: a process may have it loaded
    runtime = [] if name == "cudart" else [f"-L{emulated / 'lib64'}", "-lcudart",
                                           f"-Wl,-rpath,{emulated / 'lib64'}"]
    _run(["g++", "-shared", "-fopenmp", f"-Wl,-soname,{library.name}", "-o", str(new), *objects,
          *(f"-Wl,--defsym={symbol}={other}" for symbol, other in sorted(same.items())),
          compiled, *runtime])
    new.replace(library)
    _link(Path(library.name), emulated / "lib64" / f"lib{name}.so")


def _loud(library: str, symbols: list[str]) -> str:
    """C source in which each of the symbols ends the process with its name."""
    return (
        '#include <stdio.h>\n#include <stdlib.h>\n'
        "static void missing(const char* name) {\n"
        f'    fprintf(stderr, "cuda_emulation: %s of {library} is not emulated\\n", name);\n'
        "    abort();\n}\n"
        + "".join(f'void {symbol}() {{ missing("{symbol}"); }}\n' for symbol in symbols)
    )


def _symbols(files: list[str], *options: str) -> set[str]:
    """The names of functions in objects or libraries, without versions."""
    ran = subprocess.run(["nm", *options, *files], capture_output=True, text=True, check=True)
    found = re.findall(r"^[0-9a-f]+ [TWi] (\w+)(?:@.*)?$", ran.stdout, flags=re.M)
    return {symbol for symbol in found if symbol not in ("_init", "_fini")}


def _build_driver(emulated: Path) -> None:
    library = emulated / "lib64" / "libcuda.so.1"
    _run([*_COMPILE, "-shared", "-Wl,-soname,libcuda.so.1", str(_SOURCES / "driver.cpp"), "-o",
          str(library)])
    _link(Path(library.name), emulated / "lib64" / "libcuda.so")


def _write_program(path: Path, script: Path, *arguments: Path) -> None:
    command = shlex.join([sys.executable, "-E", "-s", "-S", str(script), *map(str, arguments)])
    path.unlink(missing_ok=True)
    path.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
    path.chmod(0o755)


def _link(target: Path, at: Path) -> None:
    if not at.is_symlink() and not at.exists():
        at.symlink_to(target)


def _run(command: list[str]) -> None:
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode:
        sys.exit(f"{shlex.join(command)}\n{ran.stderr}")


def _found() -> Path:
    """The toolkit that `jstyleid` would use on this machine, as one folder."""
    from jstyleid_core.runtime import toolkit
    from jstyleid_core.runtime.home import jittor_home

    nvcc = toolkit.find_nvcc(jittor_home())
    if nvcc is None:
        sys.exit(f"no CUDA toolkit is found. {toolkit.INSTALL}")
    return toolkit.prepare(nvcc, [90], jittor_home() / ".cache" / "jittor").folder


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit("usage: build_toolkit.py EMULATED [REAL]")
    build(Path(sys.argv[2]) if len(sys.argv) == 3 else _found(), Path(sys.argv[1]))
