"""The kernels compiled by NVIDIA's own compiler for six generations of cards; no card is needed.

Registers that do not fit are spilled to the card's memory, which is much slower: none may be. The
table of registers and shared memory is printed with `pytest -s`.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

import jstyleid_core
from jstyleid_core.runtime import toolkit

CARDS = (75, 80, 86, 89, 90, 120)
SHARED_MEMORY = {75: 64, 80: 163, 86: 99, 89: 99, 90: 227, 120: 99}  # KiB that a block may take
KERNELS = Path(jstyleid_core.__file__).parent / "kernels" / "cuda"
COMPILER = toolkit.find_nvcc(Path())

FORWARD = [("__half", size) for size in (48, 64, 80, 128, 160, 512)]
FORWARD += [("float", size) for size in (48, 64, 80, 128, 160, 512)]
FORWARD += [("__nv_bfloat16", 64)]
BACKWARD = [("__half", 48), ("__half", 64), ("__half", 160), ("float", 64), ("float", 160)]

SOURCE = """
#include <cstdio>
#include "attention_backward.cuh"
#include "elementwise.cuh"
#include "normalization.cuh"
using namespace attention;
%s
#define OTHERS(T) \\
    template void normalization::run_group_forward<T>(const T*, const T*, const T*, T*, int, int, int, int64_t, float, bool); \\
    template void normalization::run_group_backward<T>(const T*, const T*, const T*, const T*, T*, float*, int, int, int, int64_t, float, bool); \\
    template void normalization::run_layer_forward<T>(const T*, const T*, const T*, T*, int64_t, int, float); \\
    template void normalization::run_layer_backward<T>(const T*, const T*, const T*, T*, float*, T*, T*, int64_t, int, float); \\
    template void elementwise::run_gelu_gate<T>(const T*, T*, int64_t, int); \\
    template void elementwise::run_gelu_gate_backward<T>(const T*, const T*, T*, int64_t, int); \\
    template void elementwise::run_swap<T>(const T*, T*, int, int, int);
OTHERS(float)
OTHERS(__half)
OTHERS(__nv_bfloat16)
"""  # noqa: E501

INSTANCE = {
    "forward": "template void attention::run_forward<{0}, {1}>(const {0}*, Segment<{0}>, "
               "Segment<{0}>, {0}*, float*, int, int, int, int);",
    "backward": "template void attention::run_backward<{0}, {1}>(const {0}*, const {0}*, "
                "const {0}*, const {0}*, const float*, const {0}*, {0}*, {0}*, {0}*, float*, int, "
                "int, int, int, int, bool, float);",
}
SHARED = """
#include <cstdio>
#include "attention_backward.cuh"
int main() {
    %s
}
"""
REPORT = re.compile(
    r"Compiling entry function '(?P<name>\w+)'.*?"
    r"(?P<stack>\d+) bytes stack frame, (?P<stores>\d+) bytes spill stores, "
    r"(?P<loads>\d+) bytes spill loads.*?Used (?P<registers>\d+) registers", re.DOTALL)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    lines = [INSTANCE["forward"].format(*each) for each in FORWARD]
    lines += [INSTANCE["backward"].format(*each) for each in BACKWARD]
    file = tmp_path_factory.mktemp("kernels") / "all.cu"
    file.write_text(SOURCE % "\n".join(lines))
    return file


def nvcc(*arguments: str) -> str:
    assert COMPILER, "this test needs nvcc, from a CUDA toolkit or from the extra `cuda`"
    ran = subprocess.run([COMPILER, "-std=c++17", "--use_fast_math", f"-I{KERNELS}", *arguments],
                         capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr[-4000:]
    return ran.stderr


@pytest.mark.parametrize("card", CARDS)
def test_no_register_is_spilled(source: Path, card: int) -> None:
    report = nvcc(f"-arch=sm_{card}", "-cubin", "-Xptxas", "-v", str(source), "-o",
                  str(source.with_suffix(f".{card}")))
    kernels = [match.groupdict() for match in REPORT.finditer(report)]
    assert len(kernels) >= len(FORWARD) + 2 * len(BACKWARD) + 21
    print(f"\nsm_{card}")
    for kernel in kernels:
        print(f"  {kernel['registers']:>4} registers  {kernel['name'][:90]}")
    spilled = [kernel["name"] for kernel in kernels if int(kernel["stores"] + kernel["loads"])]
    assert spilled == []


def test_shared_memory_fits_every_card(tmp_path: Path) -> None:
    lines = [f'printf("%d\\n", attention::Sizes<{dtype}, {size}>::bytes);'
             for dtype, size in FORWARD]
    lines += [f'printf("%d\\n", attention::BackwardSizes<{dtype}, {size}>::bytes);'
              for dtype, size in BACKWARD]
    file = tmp_path / "sizes.cu"
    file.write_text(SHARED % "\n    ".join(lines))
    nvcc("-arch=sm_75", str(file), "-o", str(tmp_path / "sizes"))
    printed = subprocess.run([tmp_path / "sizes"], capture_output=True, text=True, check=True)
    sizes = [int(line) for line in printed.stdout.split()]
    assert len(sizes) == len(lines)
    print("\nKiB of shared memory a block:", [f"{size / 1024:.0f}" for size in sizes])
    assert max(sizes) <= min(SHARED_MEMORY.values()) * 1024
