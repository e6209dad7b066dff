"""Jittor's precompiled headers: kernels use them, and they are made once."""

import shlex
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from jstyleid_core import runtime
from jstyleid_core.runtime.headers import precompile
from jstyleid_core.runtime.requirements import RuntimeSetupError


def test_kernels_are_compiled_with_them(tmp_path: Path) -> None:
    flags = runtime.start("cpu").flags
    words = shlex.split(flags.cc_flags)
    header = Path(words[-1].removeprefix("-include"))
    kernel = tmp_path / "kernel_op.cc"
    kernel.write_text('#define JIT 1\n#define JIT_cpu 1\n#include <cmath>\n#include "var.h"\n')
    compiling = [word for word in words if not word.startswith(("-l", "-L", "-shared"))]
    # -H prints a line for each header, with ! before one that was precompiled.
    ran = subprocess.run([flags.cc_path, *compiling, "-g", "-H", "-fsyntax-only", str(kernel)],
                         capture_output=True, text=True, check=True)
    assert f"! {header}.gch" in ran.stderr.splitlines()


def flags_of(tmp_path: Path, header: str) -> SimpleNamespace:
    """A Jittor whose headers are all the same one."""
    for name in ("var.h", "executor.h", "fused_op.h", "misc/cpu_math.h", "ops/code_op.h",
                 "ops/op_register.h", "type/fp16_compute.h"):
        path = tmp_path / "src" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(header)
    return SimpleNamespace(flags=SimpleNamespace(
        cc_path="g++", cc_flags=f'-fopenmp -march=native -I"{tmp_path}/src" -lstdc++ -shared'))


def test_they_are_made_once(tmp_path: Path) -> None:
    made = []
    for _ in range(2):
        jittor = flags_of(tmp_path, "#pragma once\n")
        precompile(jittor, tmp_path / "a cache")
        [found] = (tmp_path / "a cache").rglob("*.gch")
        made.append(found.stat().st_mtime_ns)
        assert jittor.flags.cc_flags.endswith(f' -include"{found.with_suffix("")}"')
    assert made[0] == made[1]


def test_headers_that_do_not_compile(tmp_path: Path) -> None:
    jittor = flags_of(tmp_path, "#error too old\n")
    with pytest.raises(RuntimeSetupError, match=r"headers do not compile here:\n(.|\n)*too old"):
        precompile(jittor, tmp_path / "cache")
    assert [path.name for path in (tmp_path / "cache").rglob("*.h*")] == ["kernels.h"]
