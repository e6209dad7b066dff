"""The processors and the memory that this process may use.

A container, a job of a cluster or a unit of systemd may be given less than the machine has. Its
control group says how much: a quota of the processors' time, and a limit of the memory, beyond
which the system kills the process without a message.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

_GROUPS_OF_THE_PROCESS = Path("/proc/self/cgroup")
_HIERARCHIES = Path("/sys/fs/cgroup")


def processors() -> int:
    """Number of threads that can compute at the same time, at least 1; a part counts as a whole."""
    # The affinity shows the control group's set of processors, too. Only Linux has it.
    there = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, math.ceil(min([there or 1, *_quotas()])))


def free_memory() -> int:
    """Bytes of memory that this process can still take."""
    import psutil

    return int(max(0, min([psutil.virtual_memory().available, *_left()])))


def _quotas() -> Iterator[float]:
    """Processors that each control group around this process may use, where it has a limit."""
    for folder in _groups("cpu"):
        quota = _words(folder / "cpu.max") or [
            *_words(folder / "cpu.cfs_quota_us"), *_words(folder / "cpu.cfs_period_us")]
        # Without a limit version 2 says `max`, and version 1 says -1.
        if len(quota) == 2 and all(word.isdecimal() and int(word) for word in quota):
            yield int(quota[0]) / int(quota[1])


def _left() -> Iterator[int]:
    """Bytes that are left to each control group around this process, where it has a limit."""
    for folder in _groups("memory"):
        for limit, used, idle in (
            ("memory.max", "memory.current", "inactive_file"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
        ):
            numbers = [*_words(folder / limit), *_words(folder / used)]
            if len(numbers) == 2 and all(word.isdecimal() for word in numbers):
                # What is kept of files that nobody reads any more makes room where it is needed.
                words = _words(folder / "memory.stat")
                kept = dict(zip(words[::2], words[1::2], strict=False)).get(idle, "0")
                yield int(numbers[0]) - int(numbers[1]) + (int(kept) if kept.isdecimal() else 0)


def _groups(controller: str) -> Iterator[Path]:
    """The control groups that this process is in, from the innermost outwards.

    In a container the path may be that of the host, while the container's own group lies at the
    top, where the walk ends.
    """
    try:
        lines = _GROUPS_OF_THE_PROCESS.read_text().splitlines()
    except OSError:  # a system without control groups, or one that hides them
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:  # version 2 has one hierarchy
            tops = [_HIERARCHIES, _HIERARCHIES / "unified"]
        elif controller in controllers.split(","):
            tops = list(dict.fromkeys([_HIERARCHIES / controllers, _HIERARCHIES / controller]))
        else:
            continue
        for top in tops:
            group = top / path.strip("/")
            yield from (place for place in (group, *group.parents) if place.is_relative_to(top))


def _words(file: Path) -> list[str]:
    try:
        return file.read_text().split()
    except OSError:
        return []
