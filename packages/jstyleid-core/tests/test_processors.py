"""How many threads compute in a container: its limits as files of control groups say them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from jstyleid_core.runtime import processors

V2 = "0::/docker/ab\n"
V1 = "5:cpu,cpuacct:/docker/ab\n4:memory:/docker/ab\n1:name=systemd:/docker/ab\n"


@pytest.mark.parametrize(("groups", "files", "expected"), [
    (V2, {}, 64),
    (V2, {"docker/ab/cpu.max": "200000 100000"}, 2),
    (V2, {"docker/ab/cpu.max": "max 100000"}, 64),
    (V2, {"docker/ab/cpu.max": "150000 100000"}, 2),
    (V2, {"docker/ab/cpu.max": "1000 100000"}, 1),
    (V2, {"docker/ab/cpu.max": "9900000 100000"}, 64),
    # The limit of a group around it, as of a slice of systemd or a pod.
    (V2, {"docker/cpu.max": "300000 100000", "docker/ab/cpu.max": "max 100000"}, 3),
    # The container's own group is the top, and the path is that of the host or `/..`.
    (V2, {"cpu.max": "400000 100000"}, 4),
    ("0::/../../ab\n", {"cpu.max": "400000 100000"}, 4),
    ("0::/\n", {"cpu.max": "400000 100000"}, 4),
    (V1, {"cpu,cpuacct/docker/ab/cpu.cfs_quota_us": "250000",
          "cpu,cpuacct/docker/ab/cpu.cfs_period_us": "50000"}, 5),
    (V1, {"cpu,cpuacct/docker/ab/cpu.cfs_quota_us": "-1",
          "cpu,cpuacct/docker/ab/cpu.cfs_period_us": "100000"}, 64),
    (V1, {"cpu/cpu.cfs_quota_us": "600000", "cpu/cpu.cfs_period_us": "100000"}, 6),
    # Both versions at once, as systemd mounted them for years.
    (V1 + V2, {"unified/docker/ab/cpu.max": "700000 100000"}, 7),
    (V2, {"docker/ab/cpu.max": "words"}, 64),
    (V2, {"docker/ab/cpu.max": ""}, 64),
    (None, {"cpu.max": "100000 100000"}, 64),
])
def test_the_limit_of_a_control_group(
    groups: str | None, files: dict[str, str], expected: int, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)))
    monkeypatch.setattr(processors, "_GROUPS_OF_THE_PROCESS", tmp_path / "cgroup")
    monkeypatch.setattr(processors, "_HIERARCHIES", tmp_path / "fs")
    if groups is not None:
        (tmp_path / "cgroup").write_text(groups)
    for name, content in files.items():
        (tmp_path / "fs" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "fs" / name).write_text(content + "\n")
    assert processors.processors() == expected


def test_a_set_of_processors_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system itself keeps the affinity within the control group's `cpuset`."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3})
    assert processors.processors() == 1
