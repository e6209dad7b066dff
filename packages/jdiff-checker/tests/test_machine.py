"""Threads and batches in a container: its limits as files of control groups say them."""

import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
import torch

from jdiff_checker import check, machine
from jdiff_checker.errors import InputError
from jdiff_checker.features.device import batch_size, limit_threads

Limits = Callable[[str, dict[str, str]], None]

GB = 2**30
V2 = "0::/docker/ab\n"
V1 = "5:cpu,cpuacct:/docker/ab\n4:memory:/docker/ab\n1:name=systemd:/docker/ab\n"


@pytest.fixture
def limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Limits:
    """Makes this a machine with 64 processors and 256 GB, and control groups of such files."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)))
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=256 * GB))
    monkeypatch.setattr(machine, "_GROUPS_OF_THE_PROCESS", tmp_path / "cgroup")
    monkeypatch.setattr(machine, "_HIERARCHIES", tmp_path / "fs")

    def make(groups: str, files: dict[str, str]) -> None:
        (tmp_path / "cgroup").write_text(groups)
        for name, content in files.items():
            (tmp_path / "fs" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "fs" / name).write_text(content + "\n")

    return make


@pytest.mark.parametrize(("groups", "files", "expected"), [
    (V2, {"docker/ab/cpu.max": "max 100000"}, 64),
    (V2, {"docker/ab/cpu.max": "150000 100000"}, 2),
    (V2, {"docker/cpu.max": "300000 100000", "docker/ab/cpu.max": "max 100000"}, 3),
    (V1, {"cpu,cpuacct/docker/ab/cpu.cfs_quota_us": "250000",
          "cpu,cpuacct/docker/ab/cpu.cfs_period_us": "50000"}, 5),
    (V1, {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, 64),
])
def test_processors(
    limits: Limits, groups: str, files: dict[str, str], expected: int
) -> None:
    limits(groups, files)
    assert machine.processors() == expected


@pytest.mark.parametrize(("groups", "files", "expected"), [
    (V2, {"docker/ab/memory.max": "max", "docker/ab/memory.current": str(GB)}, 256 * GB),
    (V2, {"docker/ab/memory.max": str(4 * GB), "docker/ab/memory.current": str(3 * GB)}, GB),
    (V2, {"docker/ab/memory.max": str(4 * GB), "docker/ab/memory.current": str(3 * GB),
          "docker/ab/memory.stat": f"anon 1\ninactive_file {2 * GB}\nfile 3"}, 3 * GB),
    (V2, {"memory.max": str(4 * GB), "memory.current": str(5 * GB)}, 0),
    (V1, {"memory/docker/ab/memory.limit_in_bytes": str(4 * GB),
          "memory/docker/ab/memory.usage_in_bytes": str(3 * GB),
          "memory/docker/ab/memory.stat": f"total_inactive_file {GB}"}, 2 * GB),
    # Version 1 writes this where there is no limit.
    (V1, {"memory/memory.limit_in_bytes": "9223372036854771712",
          "memory/memory.usage_in_bytes": "1"}, 256 * GB),
])
def test_memory(
    limits: Limits, groups: str, files: dict[str, str], expected: int
) -> None:
    limits(groups, files)
    assert machine.free_memory() == expected


def test_a_container_decides_batches_and_threads(limits: Limits) -> None:
    before = torch.get_num_threads()
    limits(V2, {})
    assert batch_size(torch.device("cpu")) == 8
    limits(V2, {"docker/ab/memory.max": str(4 * GB), "docker/ab/memory.current": "0",
                "docker/ab/cpu.max": "100000 100000"})
    assert batch_size(torch.device("cpu")) == 3
    try:
        torch.set_num_threads(4)
        limit_threads()
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


def test_a_user_without_a_home(
    split: Path, upload: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a container that is started with `--user 12345`."""

    def none() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("JDIFF_WEIGHTS", raising=False)
    monkeypatch.setattr(Path, "home", none)
    with pytest.raises(InputError, match=r"the weights: Could not .* directory\. Give it with"):
        check(upload, split, metrics=["hist"])
    with pytest.raises(InputError, match=r"cache of features: .*\. Give a file with --cache, or"):
        check(upload, split, metrics=["hist"], weights=weights)
    assert check(upload, split, metrics=["hist"], weights=weights, use_cache=False).styles
