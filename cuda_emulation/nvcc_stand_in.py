"""Stands in for nvcc: compiles a kernel for the CPU, and by the real nvcc as a check.

The command line is nvcc's. The environment variable `FAKE_NVCC` says what is done with a file that
holds kernels (`-x cu`):

    cpu     compiled by g++ with the headers in device/
    both    the same, and compiled by the real nvcc for the card; what it refuses is an error

`FAKE_NVCC_LOG=FILE` gets a line of JSON for each kernel file. All other command lines go to the
real nvcc as they are; with `--dryrun` the toolkit's folder is the emulated one, since programs ask
for the folder in this way.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path

from kernel_source import SourceError, as_cpp, needs_change

_DEVICE = Path(__file__).resolve().parent / "device"
_MODES = ("cpu", "both")
# Headers with kernels that kernel files include, in one of their folders: Jittor's, this project's.
_HEADERS_WITH_KERNELS = ("misc/cuda_atomic.h", "*.cuh")


def main(real: str, libraries: str, arguments: list[str]) -> int:
    """Compile.

    Args:
        real: the real nvcc.
        libraries: the folder of the stand-ins' libraries.
        arguments: the command line without nvcc's name.

    Returns:
        The exit code.
    """
    mode = os.environ.get("FAKE_NVCC", "cpu")
    if mode not in _MODES:
        print(f"FAKE_NVCC is {mode!r}: it must be one of {', '.join(_MODES)}", file=sys.stderr)
        return 2
    if "--dryrun" in arguments:
        return _dry_run(real, Path(libraries).parent, arguments)
    sources = [a for a in arguments if a.endswith((".cc", ".cu", ".cpp")) and a[0] != "-"]
    if "cu" not in arguments or len(sources) != 1 or "-o" not in arguments:
        os.execv(real, [real, *arguments])
    started = time.monotonic()
    checking = _check_for_card(real, arguments) if mode == "both" else None
    code, errors = _compile_for_cpu(sources[0], arguments, libraries)
    line = {"source": sources[0], "cpu": code, "cpu_seconds": round(time.monotonic() - started, 2)}
    if checking:
        refusal = checking.communicate()[0]
        line |= {"real": checking.returncode,
                 "real_seconds": round(time.monotonic() - started, 2)}
        if checking.returncode:
            errors += f"the real nvcc refuses {sources[0]}:\n{refusal}"
            code = code or checking.returncode
    if errors:
        line["errors"] = errors[:4000]
        sys.stderr.write(errors)
    _log(line)
    return code


def _dry_run(real: str, emulated: Path, arguments: list[str]) -> int:
    """What the real nvcc would do, as said by an nvcc in the folder `emulated`."""
    ran = subprocess.run([real, *arguments], capture_output=True, text=True, check=False)
    sys.stdout.write(ran.stdout)
    sys.stderr.write(re.sub(r"^#\$ TOP=.*$", lambda _: f"#$ TOP={emulated}", ran.stderr,
                            flags=re.M))
    return ran.returncode


def _check_for_card(real: str, arguments: list[str]) -> subprocess.Popen[str]:
    """Start the real nvcc on the device's side only: g++ compiles the host's side anyway."""
    checked = [a for a in arguments if a != "-shared" and not a.startswith("-l")]
    checked[checked.index("-o") + 1] = os.devnull
    return subprocess.Popen([real, *checked, "-fatbin"], stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True)


def _compile_for_cpu(source: str, arguments: list[str], libraries: str) -> tuple[int, str]:
    """Compile a kernel file with g++; the exit code and the compiler's messages where it fails."""
    made = Path(arguments[arguments.index("-o") + 1] + ".on_cpu")
    made.mkdir(parents=True, exist_ok=True)
    new = made / (Path(source).name + ".cpp")
    try:
        new.write_text(as_cpp(Path(source).read_text(errors="replace")))
        _write_headers(arguments, made)
    except SourceError as error:
        return 1, f"{source}: {error}\n"
    command = ["g++", "-x", "c++", "-iquote", str(Path(source).parent), f"-I{made}", f"-I{_DEVICE}",
               "-include", str(_DEVICE / "cuda_on_cpu.h"), "-O2", "-march=native", "-fPIC",
               "-fpermissive", "-fno-strict-aliasing", "-w", "-fopenmp",
               *_flags(arguments, source, str(new)),
               f"-L{libraries}", "-lcudart", f"-Wl,-rpath,{libraries}"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode:
        return ran.returncode, shlex.join(command) + "\n" + ran.stderr
    return 0, ""


def _write_headers(arguments: list[str], made: Path) -> None:
    """Write the headers that hold kernels into `made`, turned into C++."""
    folders = [Path(a[2:].strip('"')) for a in arguments if a.startswith("-I") and len(a) > 2]
    # The first folder that has a header gives it.
    found = {header.relative_to(folder): header for folder in reversed(folders)
             for pattern in _HEADERS_WITH_KERNELS for header in folder.glob(pattern)}
    for name, header in found.items():
        text = header.read_text(errors="replace")
        if needs_change(text):
            (made / name).parent.mkdir(parents=True, exist_ok=True)
            (made / name).write_text(as_cpp(text))


def _flags(arguments: list[str], source: str, new: str) -> list[str]:
    """Nvcc's arguments as g++ takes them; `new` stands for `source`."""
    flags: list[str] = []
    rest = iter(arguments)
    for a in rest:
        if a == source:
            flags.append(new)
        elif a in ("-x", "-ccbin", "-arch", "-code", "-gencode"):
            next(rest)
        elif a == "-Xcompiler":
            flags += next(rest).split(",")
        elif not a.startswith(("--", "-ccbin", "-arch", "-code", "-gencode", "-O")):
            flags.append("-std=c++17" if a == "-std=c++14" else a)
    return flags


def _log(line: dict[str, object]) -> None:
    if log := os.environ.get("FAKE_NVCC_LOG"):
        with open(log, "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[3:]))
