"""CUDA cards as nvidia-smi lists them, and those that this process may use; found without Jittor.

A card in MIG mode is divided into instances, and each instance is used like a card. One process
computes on one card or instance only.
"""

from __future__ import annotations

import contextlib
import os
import re
import selectors
import shutil
import signal
import subprocess
import time
from collections.abc import Iterable, Sequence
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
    """There is no nvidia-smi, or none that works; the message says which.

    Args:
        message: reason.
        surprising: whether nvidia-smi looks as if there was a card.
    """

    def __init__(self, message: str, *, surprising: bool = False) -> None:
        super().__init__(message)
        self.surprising = surprising


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


def trouble() -> str | None:
    """What is wrong with the cards of a machine whose nvidia-smi hangs or lists none as it should.

    None where there is no driver, where no card is there, and where all is well.
    """
    try:
        _cards()
    except _NoDriverError as error:
        return str(error) if error.surprising else None
    return None


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
    cards: dict[str, _Card] = {}
    for row in rows:
        capability = re.fullmatch(r"(\d+)\.(\d+)", row.get("compute_cap", ""))
        free, total = _memory(row.get("memory.free", ""), row.get("memory.total", ""))
        # A card whose UUID is kept from this user has its number for a name.
        uuid = row["uuid"] if row["uuid"].startswith("GPU-") else row["index"]
        gpu = GPU(row["name"], free, total, int(row["index"]), uuid,
                  10 * int(capability[1]) + int(capability[2]) if capability else None)
        parts = tuple(
            (GPU(f"{gpu.name} MIG {part.profile}", part.free, part.total, gpu.index, part.uuid,
                 gpu.capability, part.number), part.older)
            for part in instances.get(gpu.uuid, ()))
        cards.setdefault(uuid, _Card(gpu, row.get("mig.mode.current") == "Enabled", parts))
    return list(cards.values())


_VALUE = re.compile(r"\[.*\]|-?\d+(\.\d+)?|N/A|Enabled|Disabled")


def _rows() -> list[dict[str, str]]:
    """The fields of each card by name; an old driver's rows lack the newer ones.

    Raises:
        _NoDriverError: nvidia-smi fails, or says something and lists no card.
    """
    for known in range(len(_NEWER_FIELDS) + 1):
        fields = _FIELDS + _NEWER_FIELDS[known:]
        ran = _nvidia_smi(f"--query-gpu={','.join(fields)}", "--format=csv,noheader,nounits")
        if ran.code == 0 or "not a valid field" not in ran.out + ran.errors:
            break
    lines = [line for line in _output(ran).splitlines() if line.strip()]
    rows = [row for line in lines if (row := _row(line, fields))]
    if lines and not rows and not lines[0].startswith("No devices"):
        raise _NoDriverError(
            f"nvidia-smi lists no card, but says: {lines[0][:200]}", surprising=True)
    return rows


def _row(line: str, fields: Sequence[str]) -> dict[str, str] | None:
    """The fields of a card; None for a line that says something else, such as a warning."""
    index, *found = [value.strip() for value in line.split(",")]
    if not (index.isascii() and index.isdigit() and len(found) >= 2):
        return None
    uuid, *found = found
    # The name may hold commas: it ends where the values of the fields behind it begin.
    values: list[str] = []
    while len(found) > 1 and len(values) < len(fields) - 3 and _VALUE.fullmatch(found[-1]):
        values.insert(0, found.pop())
    return {"index": index, "uuid": uuid, "name": ", ".join(found),
            **dict(zip(fields[3:], values, strict=False))}


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
            free, total = _memory(part.findtext("fb_memory_usage/free", ""),
                                  part.findtext("fb_memory_usage/total", ""))
            found.setdefault(card, []).append(
                _Part(int(number), profile, uuid, f"MIG-{card}/{place}", free, total))
    return found


def _report() -> ElementTree.Element:
    try:
        return ElementTree.fromstring(_output(_nvidia_smi("-q", "-x")))
    except ElementTree.ParseError as error:
        raise _NoDriverError(f"nvidia-smi -q -x writes no XML: {error}", surprising=True) from error


_MOST_MEBIBYTES = 2**30
"""A PiB: no card has so much."""


def _memory(free: str, total: str) -> tuple[int | None, int | None]:
    """Free and all memory in bytes, from "1000" or "1000 MiB".

    What is no number, such as "[N/A]", or no card's, such as nothing in all, is unknown.
    """
    found = [re.match(r"\d+", text) for text in (free, total)]
    mebibytes = [int(number[0]) if number else None for number in found]
    whole = mebibytes[1]
    if whole is None or not 0 < whole < _MOST_MEBIBYTES:
        return None, None
    left = None if mebibytes[0] is None else min(mebibytes[0], whole) * 2**20
    return left, whole * 2**20


@dataclass(frozen=True)
class _Ran:
    code: int
    out: str
    errors: str


_PATIENCE = 20.0
"""Seconds; on a machine of eight cards whose driver is not loaded nvidia-smi takes about ten."""
_LONGEST_OUTPUT = 4 * 2**20
_SILENT: set[str] = set()
"""Programs that did not answer: nobody waits for them twice."""


def _nvidia_smi(*arguments: str) -> _Ran:
    """Run nvidia-smi.

    Raises:
        _NoDriverError: there is none, or it does not run or does not end.
    """
    tool = shutil.which("nvidia-smi")
    if tool is None:
        raise _NoDriverError("there is no nvidia-smi, which comes with NVIDIA's driver")
    silent = _NoDriverError(
        f"nvidia-smi does not answer within {_PATIENCE:.0f} s, as where the driver hangs; look at "
        "the kernel's messages (dmesg), and restart the machine", surprising=True)
    if tool in _SILENT:
        raise silent
    try:
        process = subprocess.Popen([tool, *arguments], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   start_new_session=True)
    except OSError as error:
        raise _NoDriverError(f"{tool} does not run: {error.strerror}") from error
    deadline = time.monotonic() + _PATIENCE
    try:
        out, errors = _read_all(process, deadline)
        code = process.wait(max(0.1, deadline - time.monotonic()))
    except (subprocess.TimeoutExpired, TimeoutError):
        _SILENT.add(tool)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        # A process that waits for the driver does not end even then.
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(1)
        raise silent from None
    return _Ran(code, out, errors)


def _read_all(process: subprocess.Popen[bytes], deadline: float) -> tuple[str, str]:
    """All that a process writes to stdout and stderr.

    Raises:
        TimeoutError: it writes too long or too much.
    """
    streams = [stream for stream in (process.stdout, process.stderr) if stream]
    found = [bytearray() for _ in streams]
    with contextlib.ExitStack() as stack:
        selector = stack.enter_context(selectors.DefaultSelector())
        for stream, data in zip(streams, found, strict=True):
            selector.register(stack.enter_context(stream), selectors.EVENT_READ, data)
        while selector.get_map():
            left = deadline - time.monotonic()
            if left <= 0 or max(map(len, found)) > _LONGEST_OUTPUT:
                raise TimeoutError
            for key, _ in selector.select(left):
                read = os.read(key.fd, 2**16)
                key.data.extend(read)
                if not read:
                    selector.unregister(key.fileobj)
    out, errors = (data.decode(errors="replace") for data in found)
    return out, errors


def _output(ran: _Ran) -> str:
    if ran.code != 0:
        said = (ran.out + ran.errors).strip().splitlines() or [f"exit code {ran.code}"]
        raise _NoDriverError(f"nvidia-smi fails: {said[0][:200]}")
    return ran.out
