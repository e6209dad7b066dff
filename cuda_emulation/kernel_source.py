"""CUDA source as C++: what a preprocessor cannot do for code that is compiled for the CPU.

Launches become calls, dynamic shared memory becomes a pointer, and the reduction in a warp that
Jittor writes without barriers gets them. Everything else is left to device/cuda_on_cpu.h.
"""

from __future__ import annotations

import re

_LAUNCH = "<<<"
_SHARED_ALIGNED = re.compile(r"__shared__\s+(alignas\s*\([^()]*\))")
_DYNAMIC_SHARED = re.compile(
    r"extern\s+(?:alignas\s*\([^()]*\)\s*)?__shared__\s+"
    r"(?:(?:__align__|alignas)\s*\([^()]*\)\s*)?"
    r"(?P<type>[\w:]+(?:\s+[\w:]+)*?)\s+"
    r"(?:(?:__align__|alignas)\s*\([^()]*\)\s*)?"
    r"(?P<name>\w+)\s*\[\s*\]\s*;")
_ATTRIBUTE = re.compile(r"\bcudaFuncSetAttribute\s*\(")
# A step of Jittor's warpReduce (src/misc/cuda_atomic.h), which takes for granted that the lanes of
# a warp go in step: all of them read before one of them writes.
_WARP_STEP = re.compile(r"sdata\[tid\] = (op\(sdata\[tid\], sdata\[tid \+ \d+\]\));")


class SourceError(ValueError):
    """CUDA source that cannot be turned into C++."""


def as_cpp(source: str) -> str:
    """The source with launches and dynamic shared memory written as C++.

    Raises:
        SourceError: a launch without its arguments or without the kernel's name.
    """
    source = source.replace("warpReduce(volatile T* sdata", "warpReduce(T* sdata")
    source = _WARP_STEP.sub(r"{ T u = \1; __syncwarp(); sdata[tid] = u; __syncwarp(); }", source)
    source = _DYNAMIC_SHARED.sub(
        r"\g<type>* const \g<name> = (\g<type>*)::cuda_on_cpu::dynamic_shared();", source)
    source = _SHARED_ALIGNED.sub(r"\1 __shared__", source)
    return _launches(_attributes(source))


def needs_change(source: str) -> bool:
    """Whether `as_cpp` would change a header; others are included as they are."""
    return (_LAUNCH in source or _DYNAMIC_SHARED.search(source) is not None
            or _SHARED_ALIGNED.search(source) is not None or _WARP_STEP.search(source) is not None
            or _ATTRIBUTE.search(source) is not None)


def _launches(source: str) -> str:
    """`name<<<shape>>>(arguments)` as a call of `cuda_on_cpu::launch`, everywhere."""
    parts, done = [], 0
    while (at := source.find(_LAUNCH, done)) >= 0:
        if _commented(source, at):
            parts.append(source[done:at + len(_LAUNCH)])
            done = at + len(_LAUNCH)
            continue
        start = _start_of_name(source, at)
        kernel = source[start:at].strip()
        end = source.find(">>>", at)
        opening = source.find("(", end)
        if end < 0 or opening < 0 or source[end + 3:opening].strip():
            raise SourceError(f"the launch of {kernel} has no arguments")
        closing = _matching(source, opening)
        arguments, shape = source[opening + 1:closing].strip(), source[at + len(_LAUNCH):end]
        call = f"[=](auto... a) {{ {kernel}(a...); }}" + (f", {arguments}" if arguments else "")
        parts += [source[done:start], f'::cuda_on_cpu::launch("{_name(kernel)}", '
                                      f"::cuda_on_cpu::with_arguments({call}), {shape})"]
        done = closing + 1
    return "".join(parts) + source[done:]


def _attributes(source: str) -> str:
    """`cudaFuncSetAttribute(kernel, …)` with the kernel's name beside it."""
    parts, done = [], 0
    for found in _ATTRIBUTE.finditer(source):
        opening = found.end() - 1
        closing = _matching(source, opening)
        kernel, comma = _first_argument(source[opening + 1:closing])
        if comma:
            rest = source[opening + 1 + comma:closing]
            parts += [source[done:found.start()],
                      f'::cuda_on_cpu::set_attribute("{_name(kernel)}"{rest})']
            done = closing + 1
    return "".join(parts) + source[done:]


def _first_argument(arguments: str) -> tuple[str, int]:
    """The text before the first comma outside brackets, and where that comma is (0 for none)."""
    depth = 0
    for i, c in enumerate(arguments):
        depth += (c in "(<[") - (c in ")>]")
        if c == "," and depth == 0:
            return arguments[:i].strip(), i
    return arguments.strip(), 0


def _name(kernel: str) -> str:
    """A kernel's own name, without casts, namespaces and template arguments."""
    without_cast = re.sub(r"^\s*\([^()]*\)", "", kernel)
    words = re.findall(r"\w+", without_cast.split("<")[0])
    if not words:
        raise SourceError(f"a launch without a kernel's name: {kernel!r}")
    return str(words[-1])


def _start_of_name(source: str, end: int) -> int:
    """Where the name (with namespaces and template arguments) that ends at `end` starts."""
    at = end
    while at > 0 and source[at - 1].isspace():
        at -= 1
    if at > 0 and source[at - 1] == ">":
        depth = 0
        while at > 0:
            at -= 1
            depth += (source[at] == ">") - (source[at] == "<")
            if depth == 0:
                break
        while at > 0 and source[at - 1].isspace():
            at -= 1
    name = re.search(r"[\w:]+$", source[:at])
    if name is None:
        raise SourceError(f"a launch without a kernel's name: {source[max(0, end - 40):end]!r}")
    return name.start()


def _matching(source: str, opening: int) -> int:
    """Where the bracket at `opening` is closed; brackets in strings are passed over."""
    depth, i = 0, opening
    while i < len(source):
        c = source[i]
        if c == '"':
            i += 1
            while i < len(source) and source[i] != '"':
                i += 2 if source[i] == "\\" else 1
        depth += (c == "(") - (c == ")")
        if depth == 0:
            return i
        i += 1
    raise SourceError(f"a bracket is never closed: {source[opening:opening + 60]!r}")


def _commented(source: str, at: int) -> bool:
    """Whether a position lies behind `//` on its line."""
    return "//" in source[source.rfind("\n", 0, at) + 1:at]
