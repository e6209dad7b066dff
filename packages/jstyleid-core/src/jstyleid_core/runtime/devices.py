"""Devices, backends and number formats; CUDA cards and compilers, found without Jittor."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from jstyleid_core.errors import setting
from jstyleid_core.runtime import toolkit
from jstyleid_core.runtime.requirements import RuntimeSetupError

Backend = Literal["native", "jdiffusion"]
"""Libraries of networks, see `jstyleid_core.backends`."""
Device = Literal["auto", "cpu", "cuda"]
DType = Literal["auto", "float32", "float16"]

@dataclass(frozen=True)
class GPU:
    """A CUDA card as the driver reports it; memory in bytes."""

    name: str
    free_bytes: int
    total_bytes: int


def visible_gpus() -> list[GPU]:
    """The CUDA cards this process may use, in order; empty where there is no driver.

    `CUDA_VISIBLE_DEVICES` is honoured as the driver would.
    """
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return []
    query = "--query-gpu=index,uuid,name,memory.free,memory.total"
    ran = subprocess.run([tool, query, "--format=csv,noheader,nounits"],
                         capture_output=True, text=True, check=False)
    if ran.returncode != 0:
        return []
    cards: dict[str, GPU] = {}
    by_uuid: dict[str, GPU] = {}
    for line in ran.stdout.splitlines():
        index, uuid, name, free, total = (field.strip() for field in line.split(","))
        card = GPU(name, int(float(free) * 2**20), int(float(total) * 2**20))
        cards[index] = by_uuid[uuid] = card
    wanted = os.environ.get("CUDA_VISIBLE_DEVICES")
    if wanted is None:
        return list(cards.values())
    chosen: list[GPU] = []
    for entry in (part.strip() for part in wanted.split(",")):
        found = cards.get(entry) or next(
            (card for uuid, card in by_uuid.items() if entry and uuid.startswith(entry)), None)
        if found is None:
            break  # the driver ignores everything after the first unknown entry
        chosen.append(found)
    return chosen


def capabilities() -> list[int]:
    """Compute capabilities of the visible cards times ten, sorted, without repetitions."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return []
    ran = subprocess.run([tool, "--query-gpu=compute_cap", "--format=csv,noheader"],
                         capture_output=True, text=True, check=False)
    return sorted({int(line.replace(".", "")) for line in ran.stdout.split()})


@dataclass(frozen=True)
class Choice:
    """CPU (`nvcc` is None) or CUDA, and why CUDA was passed over where a card is there."""

    nvcc: str | None
    note: str | None = None


def choose(device: Device, jittor_home: Path) -> Choice:
    """Choose the device that Jittor is started on.

    Raises:
        RuntimeSetupError: `cuda` is asked for and there is no card or no CUDA compiler.
    """
    if device == "cpu":
        return Choice(None)
    cards, nvcc = visible_gpus(), toolkit.find_nvcc(jittor_home)
    if cards and nvcc:
        return Choice(str(nvcc))
    if device == "cuda":
        if not cards:
            raise RuntimeSetupError(
                f"{setting('device')} cuda: no CUDA card is visible (nvidia-smi lists none, or "
                f"CUDA_VISIBLE_DEVICES hides them). Use {setting('device')} cpu."
            )
        raise RuntimeSetupError(
            f"{setting('device')} cuda: no CUDA compiler (nvcc) is found. {toolkit.INSTALL}")
    if cards:
        return Choice(
            None, f"{cards[0].name} is not used: no CUDA compiler (nvcc). {toolkit.INSTALL}")
    return Choice(None)
