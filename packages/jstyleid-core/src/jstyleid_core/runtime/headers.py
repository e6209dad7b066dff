"""Jittor's C++ headers, precompiled: its CPU kernels then compile in less than half the time.

Jittor writes each kernel as a C++ file of its own, and most of the time that the compiler takes for
one goes into the same headers. GCC reads them from one file instead, if they were compiled by the
same compiler with the same flags ("Using Precompiled Headers" in GCC's manual); the machine code of
the kernels is the same.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import subprocess
from pathlib import Path
from typing import Any

from jstyleid_core.files import write_whole
from jstyleid_core.runtime.requirements import RuntimeSetupError

_HEADERS = """\
#define JIT 1
#define JIT_cpu 1
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>
#include <immintrin.h>
#include <omp.h>
#include "var.h"
#include "executor.h"
#include "fused_op.h"
#include "misc/cpu_math.h"
#include "ops/code_op.h"
#include "ops/op_register.h"
#include "type/fp16_compute.h"
"""
"""What kernels include, after the two definitions that each begins with."""

_OF_LINKING = ("-l", "-L", "-Wl,", "-shared")


def precompile(jittor: Any, cache: Path) -> None:
    """Let Jittor compile its CPU kernels with precompiled headers, which are made on first use.

    Args:
        jittor: the module, just imported.
        cache: folder of Jittor's cache, which belongs to one compiler and one installation.

    Raises:
        RuntimeSetupError: the compiler does not compile the headers.
    """
    flags = jittor.flags
    compiling = [flag for flag in shlex.split(flags.cc_flags) if not flag.startswith(_OF_LINKING)]
    # Jittor has the assembler code of its kernels written with -g.
    command = [flags.cc_path, *compiling, "-g", "-x", "c++-header"]
    digest = hashlib.sha256("\0".join([*command, _HEADERS]).encode()).hexdigest()[:16]
    header = cache / "jstyleid-headers" / digest / "kernels.h"
    if not header.with_suffix(".h.gch").is_file():
        _compile(command, header)
    # As one word: Jittor would take a second one for another source file.
    flags.cc_flags = f'{flags.cc_flags} -include"{header}"'


def _compile(command: list[str], header: Path) -> None:
    header.parent.mkdir(parents=True, exist_ok=True)
    write_whole(header, _HEADERS.encode())
    part = header.with_suffix(f".h.{os.getpid()}")
    try:
        ran = subprocess.run([*command, str(header), "-o", str(part)], capture_output=True,
                             text=True, errors="replace", check=False)
        if ran.returncode != 0:
            tail = "\n".join(ran.stderr.splitlines()[-15:])
            raise RuntimeSetupError(f"Jittor's headers do not compile here:\n{tail}")
        part.replace(header.with_suffix(".h.gch"))
    finally:
        part.unlink(missing_ok=True)
