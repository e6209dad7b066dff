"""CUDA cards as nvidia-smi lists them, and those that this process may use; found without Jittor.

A card in MIG mode is divided into instances, and each instance is used like a card. One process
computes on one card or instance only.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from xml.etree import ElementTree

from jstyleid_core.errors import setting
from jstyleid_core.runtime.requirements import RuntimeSetupError

_VISIBLE = "CUDA_VISIBLE_DEVICES"
_ORDER = "CUDA_DEVICE_ORDER"
_BY_BUS = "PCI_BUS_ID"

_FIELDS = ("index", "uuid", "name", "memory.free", "memory.total")
_NEWER_FIELDS = ("compute_cap", "mig.mode.current")  # newest first; old drivers refuse them

_LISTED_CARD = re.compile(r"GPU \d+: .*\(UUID: ([^)]+)\)")
_LISTED_INSTANCE = re.compile(r"\s+MIG (\S+)\s+Device\s+(\d+): \(UUID: ([^)]+)\)")


@dataclass(frozen=True)
class GPU:
    """A CUDA card, or an instance of a card in MIG mode, as the driver reports it.

    Attributes:
        name: model of the card; for an instance with its profile.
        free_bytes: free memory. None where the driver does not tell, for example because card and
            processor share their memory.
        total_bytes: all memory, likewise.
        index: number of the card in nvidia-smi, which counts along the PCI bus.
        uuid: name of the card for `CUDA_VISIBLE_DEVICES`, the same in any order of the cards.
        capability: compute capability times ten, 86 for 8.6; None where the driver is too old to
            tell.
        instance: number of the MIG instance on its card; None for a whole card.
    """

    name: str
    free_bytes: int | None
    total_bytes: int | None
    index: int
    uuid: str
    capability: int | None = None
    instance: int | None = None


@dataclass(frozen=True)
class Driver:
    """NVIDIA's driver: its version, and the newest CUDA that it runs (major, minor), if known."""

    version: str
    cuda: tuple[int, int] | None


@dataclass(frozen=True)
class _Card:
    """A card, and where MIG divides it, its instances with the names older drivers gave them."""

    gpu: GPU
    divided: bool
    instances: tuple[tuple[GPU, str], ...]

    @property
    def usable(self) -> list[GPU]:
        return [gpu for gpu, _ in self.instances] if self.divided else [self.gpu]


class _NoDriverError(Exception):
    """There is no nvidia-smi, or none that works; the message says which."""


def installed_gpus() -> list[GPU]:
    """All cards of this machine, whole and whether visible or not; empty without a driver."""
    try:
        return [card.gpu for card in _cards()]
    except _NoDriverError:
        return []


def visible_gpus() -> list[GPU]:
    """The cards and MIG instances that may be used, each by one process; empty without a driver.

    `CUDA_VISIBLE_DEVICES` is honoured as the driver would, with its numbers counted as nvidia-smi
    counts. Without that variable the fastest card is the first, as in CUDA.

    Raises:
        RuntimeSetupError: the variable has numbers, and `CUDA_DEVICE_ORDER` counts in another way.
    """
    try:
        cards = _cards()
    except _NoDriverError:
        return []
    wanted = os.environ.get(_VISIBLE)
    if wanted is None:
        every = [gpu for card in cards for gpu in card.usable]
        return sorted(every, key=lambda gpu: (gpu.capability or 0, gpu.total_bytes or 0),
                      reverse=True)
    if _has_numbers(wanted):
        _require_one_order(cards)
    chosen: list[GPU] = []
    for entry in wanted.split(","):
        find = _numbered if _has_numbers(wanted) else _named
        found = find(entry.strip(), cards)
        if found is None:
            break  # the driver ignores everything after the first unknown entry
        if set(found) & set(chosen):
            return []  # the driver shows no card at all where one is named twice
        chosen += found
    return chosen


def capabilities(gpus: Iterable[GPU]) -> list[int]:
    """The compute capabilities of cards times ten, sorted and each once.

    Raises:
        RuntimeSetupError: the driver does not tell them.
    """
    found = {gpu.capability for gpu in gpus}
    if None in found:
        raise RuntimeSetupError(
            "nvidia-smi does not tell the cards' compute capability (compute_cap): NVIDIA's driver "
            f"is too old. Update the driver, or use {setting('device')} cpu."
        )
    return sorted(capability for capability in found if capability is not None)


def why_none_is_visible() -> str:
    """The reason why `visible_gpus` is empty, for a message."""
    try:
        cards = _cards()
    except _NoDriverError as error:
        return str(error)
    if not cards:
        return "nvidia-smi lists none"
    if not any(card.usable for card in cards):
        return "the cards are in MIG mode and have no instances"
    return f"{_VISIBLE} is {os.environ.get(_VISIBLE)!r}, which hides all {len(cards)}"


def order_of_cards() -> dict[str, str]:
    """The variable by which CUDA counts as nvidia-smi, where `CUDA_VISIBLE_DEVICES` has numbers.

    CUDA's own order, the fastest card first, is left as it is where nothing is counted.
    """
    return {_ORDER: _BY_BUS} if _has_numbers(os.environ.get(_VISIBLE, "")) else {}


def driver() -> Driver | None:
    """The version of the driver; None without one."""
    try:
        report = _report()
    except _NoDriverError:
        return None
    newest = re.match(r"(\d+)\.(\d+)", report.findtext("cuda_version", ""))
    return Driver(report.findtext("driver_version", "unknown"),
                  (int(newest[1]), int(newest[2])) if newest else None)


def _has_numbers(wanted: str) -> bool:
    # The first entry decides: the driver ends the list at an entry of the other kind.
    return re.match(r"\s*[+-]?\d", wanted) is not None


def _require_one_order(cards: list[_Card]) -> None:
    order = os.environ.get(_ORDER, _BY_BUS)
    if order != _BY_BUS and len({card.gpu.name for card in cards}) > 1:
        raise RuntimeSetupError(
            f"{_ORDER} is {order}: the cards of this machine differ, and the numbers in {_VISIBLE} "
            f"are then not those of nvidia-smi. Name the cards by UUID (nvidia-smi -L), or set "
            f"{_ORDER}={_BY_BUS}."
        )


def _numbered(entry: str, cards: list[_Card]) -> list[GPU] | None:
    """The card with this number, or its instances; None if there is none."""
    digits = re.match(r"[+-]?\d+", entry)  # as the driver reads: what follows them is ignored
    return next((card.usable for card in cards if digits and card.gpu.index == int(digits[0])),
                None)


def _named(entry: str, cards: list[_Card]) -> list[GPU] | None:
    """The card or instance whose UUID starts so; None if there is not exactly one."""
    if entry.startswith("GPU-"):
        found = [card.usable for card in cards if card.gpu.uuid.startswith(entry)]
    elif entry.startswith("MIG-"):
        found = [[gpu] for card in cards for gpu, older in card.instances
                 if gpu.uuid.startswith(entry) or _is_older_name(entry, older)]
    else:
        found = []
    return found[0] if len(found) == 1 else None


def _is_older_name(entry: str, older: str) -> bool:
    """Whether `MIG-GPU-<start of a UUID>/<GPU instance>/<compute instance>` means `older`."""
    card, _, place = entry.partition("/")
    whole_card, _, its_place = older.partition("/")
    return place == its_place and whole_card.startswith(card)


def _cards() -> list[_Card]:
    rows = _rows()
    divided = any(row.get("mig.mode.current") == "Enabled" for row in rows)
    instances = _instances() if divided else {}
    cards = []
    for row in rows:
        capability = re.fullmatch(r"(\d+)\.(\d+)", row.get("compute_cap", ""))
        gpu = GPU(row["name"], _bytes(row["memory.free"]), _bytes(row["memory.total"]),
                  int(row["index"]), row["uuid"],
                  10 * int(capability[1]) + int(capability[2]) if capability else None)
        parts = tuple(
            (GPU(f"{gpu.name} MIG {part.profile}", part.free, part.total, gpu.index, part.uuid,
                 gpu.capability, part.number), part.older)
            for part in instances.get(gpu.uuid, ()))
        cards.append(_Card(gpu, row.get("mig.mode.current") == "Enabled", parts))
    return cards


def _rows() -> list[dict[str, str]]:
    """The fields of each card by name; an old driver's rows lack the newer ones."""
    for known in range(len(_NEWER_FIELDS) + 1):
        fields = _FIELDS + _NEWER_FIELDS[known:]
        ran = _nvidia_smi(f"--query-gpu={','.join(fields)}", "--format=csv,noheader,nounits")
        if ran.returncode == 0 or "not a valid field" not in ran.stdout + ran.stderr:
            break
    lines = [[value.strip() for value in line.split(",")] for line in _output(ran).splitlines()]
    return [dict(zip(fields, line, strict=False)) for line in lines if len(line) >= len(_FIELDS)]


@dataclass(frozen=True)
class _Part:
    number: int
    profile: str
    uuid: str
    older: str
    free: int | None
    total: int | None


def _instances() -> dict[str, list[_Part]]:
    """The MIG instances of each card, by the card's UUID.

    The list has their UUIDs, and the report has their places and memory.
    """
    described = {
        (card.findtext("uuid"), part.findtext("index")): part
        for card in _report().iter("gpu") for part in card.iter("mig_device")
    }
    found: dict[str, list[_Part]] = {}
    card = ""
    for line in _output(_nvidia_smi("-L")).splitlines():
        if listed := _LISTED_CARD.match(line):
            card = listed[1]
        elif listed := _LISTED_INSTANCE.match(line):
            profile, number, uuid = listed.groups()
            part = described.get((card, number), ElementTree.Element("mig_device"))
            place = f"{part.findtext('gpu_instance_id')}/{part.findtext('compute_instance_id')}"
            found.setdefault(card, []).append(_Part(
                int(number), profile, uuid, f"MIG-{card}/{place}",
                _bytes(part.findtext("fb_memory_usage/free", "")),
                _bytes(part.findtext("fb_memory_usage/total", ""))))
    return found


def _report() -> ElementTree.Element:
    return ElementTree.fromstring(_output(_nvidia_smi("-q", "-x")))


def _bytes(mebibytes: str) -> int | None:
    """From "1000" or "1000 MiB"; what is no number, such as "[N/A]", is unknown."""
    number = re.match(r"\d+(\.\d+)?", mebibytes)
    return int(float(number[0]) * 2**20) if number else None


def _nvidia_smi(*arguments: str) -> subprocess.CompletedProcess[str]:
    tool = shutil.which("nvidia-smi")
    if tool is None:
        raise _NoDriverError("there is no nvidia-smi, which comes with NVIDIA's driver")
    return subprocess.run([tool, *arguments], capture_output=True, text=True, check=False)


def _output(ran: subprocess.CompletedProcess[str]) -> str:
    if ran.returncode != 0:
        said = (ran.stdout + ran.stderr).strip().splitlines() or [f"exit code {ran.returncode}"]
        raise _NoDriverError(f"nvidia-smi fails: {said[0]}")
    return ran.stdout
