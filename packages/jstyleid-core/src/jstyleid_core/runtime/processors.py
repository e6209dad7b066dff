"""The number of processors that this process may use.

A container, a job of a cluster or a unit of systemd may be given less than the machine has: a set
of processors, which the process's affinity shows, or a share of their time, a quota of its control
group. With more threads than the quota pays for, all of them stand still for most of each period.
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
    # The affinity shows the control group's set of processors, too.
    return max(1, math.ceil(min([len(os.sched_getaffinity(0)), *_quotas()])))


def _quotas() -> Iterator[float]:
    """Processors that each control group around this process may use, where it has a limit."""
    for folder in _groups():
        quota = _words(folder / "cpu.max") or [
            *_words(folder / "cpu.cfs_quota_us"), *_words(folder / "cpu.cfs_period_us")]
        # Without a limit version 2 says `max`, and version 1 says -1.
        if len(quota) == 2 and all(word.isdecimal() and int(word) for word in quota):
            yield int(quota[0]) / int(quota[1])


def _groups() -> Iterator[Path]:
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
        elif "cpu" in controllers.split(","):
            tops = list(dict.fromkeys([_HIERARCHIES / controllers, _HIERARCHIES / "cpu"]))
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
