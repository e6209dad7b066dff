"""A fake nvidia-smi, and the cards that it reports."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

_NVIDIA_SMI = """#!{python} -SE
import json, sys

machine = json.loads({machine!r})
asked = sys.argv[1]
if "failure" in machine:
    sys.exit(machine["failure"])
if asked.startswith("--query-gpu="):
    fields = asked.partition("=")[2].split(",")
    for field in fields:
        if field not in machine["cards"][0]:
            print(f'Field "{{field}}" is not a valid field to query.')
            sys.exit(2)
    for card in machine["cards"]:
        print(", ".join(card[field] for field in fields))
elif asked == "-L":
    for card in machine["cards"]:
        print(f"GPU {{card['index']}}: {{card['name']}} (UUID: {{card['uuid']}})")
        for number, part in enumerate(card["parts"]):
            print(f"  MIG {{part['profile']:<12}}Device {{number:2}}: (UUID: {{part['uuid']}})")
elif sys.argv[1:] == ["-q", "-x"]:
    print('<?xml version="1.0" ?>\\n<!DOCTYPE nvidia_smi_log SYSTEM "nvsmi_device_v12.dtd">')
    print("<nvidia_smi_log><driver_version>535.129.03</driver_version>")
    print("<cuda_version>12.2</cuda_version>")
    for card in machine["cards"]:
        print(f"<gpu><uuid>{{card['uuid']}}</uuid><mig_devices>")
        for number, part in enumerate(card["parts"]):
            print(f"<mig_device><index>{{number}}</index>"
                  f"<gpu_instance_id>{{part['place'][0]}}</gpu_instance_id>"
                  f"<compute_instance_id>{{part['place'][1]}}</compute_instance_id>"
                  f"<fb_memory_usage><total>{{part['total']}}</total>"
                  f"<free>{{part['free']}}</free></fb_memory_usage></mig_device>")
        print("</mig_devices></gpu>")
    print("</nvidia_smi_log>")
else:
    sys.exit(f"unknown question {{sys.argv}}")
"""


def card(
    index: int, uuid: str, name: str, capability: str = "8.6", memory: str = "24576",
    parts: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """A card; in MIG mode if it has a list of `parts`."""
    return {"index": str(index), "uuid": uuid, "name": name, "memory.free": memory,
            "memory.total": memory, "compute_cap": capability,
            "mig.mode.current": "[N/A]" if parts is None else "Enabled",
            "parts": parts or []}


def part(uuid: str, profile: str, place: tuple[int, int], memory: str) -> dict[str, Any]:
    """A MIG instance; its place are the numbers of its GPU instance and compute instance."""
    return {"uuid": uuid, "profile": profile, "place": place, "total": memory, "free": memory}


def install(machine: dict[str, Any], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make nvidia-smi report this machine, with no variable that hides or orders its cards.

    Args:
        machine: the list of `cards`, which have the same fields, or a `failure` of nvidia-smi.
        folder: folder for the program.
        monkeypatch: puts the folder on PATH.
    """
    folder.mkdir(exist_ok=True)
    tool = folder / "nvidia-smi"
    tool.write_text(_NVIDIA_SMI.format(python=sys.executable, machine=json.dumps(machine)))
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    for name in ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER"):
        monkeypatch.delenv(name, raising=False)
