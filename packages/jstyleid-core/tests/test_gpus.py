"""Which cards a process may use: by a fake nvidia-smi, and where there is a driver, as it does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from jstyleid_core.runtime import devices, gpus
from jstyleid_core.runtime.gpus import GPU
from jstyleid_core.runtime.requirements import RuntimeSetupError
from nvidia_smi import card, install, part

X, Y, Z = "GPU-aa11-0000", "GPU-aa22-0000", "GPU-bb33-0000"
THREE = {"cards": [card(0, X, "NVIDIA X"), card(1, Y, "NVIDIA Y", "8.9"),
                   card(2, Z, "NVIDIA Y", "8.9")]}

A, B, WHOLE, EMPTY = "MIG-c6d4-f1ef", "MIG-cba6-63e8", "GPU-11aa-0000", "GPU-22aa-0000"
DIVIDED = "GPU-00aa-0000"
MIG = {"cards": [
    card(0, DIVIDED, "NVIDIA A100-40GB", "8.0", "40960", parts=[
        part(A, "3g.20gb", (1, 0), "20096 MiB"), part(B, "1c.2g.10gb", (5, 0), "9856 MiB")]),
    card(1, WHOLE, "NVIDIA A100-40GB", "8.0", "40960"),
    card(2, EMPTY, "NVIDIA A100-40GB", "8.0", "40960", parts=[]),
]}

OLD_A, OLD_B = f"MIG-{DIVIDED}/1/0", f"MIG-{DIVIDED}/2/0"
OLD_CARDS = [card(0, DIVIDED, "A100-40GB", memory="40960", parts=[
    part(OLD_A, "3g.20gb", (1, 0), "20096 MiB"), part(OLD_B, "3g.20gb", (2, 0), "20096 MiB")])]
for _card in OLD_CARDS:
    del _card["compute_cap"]
OLD_DRIVER = {"cards": OLD_CARDS}

NO_CARD: list[str] = []


@pytest.mark.parametrize(
    ("machine", "visible", "uuids"),
    [
        (THREE, None, [Y, Z, X]),  # the fastest first
        (THREE, "", NO_CARD),
        (THREE, "-1", NO_CARD),
        (THREE, "0,1", [X, Y]),
        (THREE, "1,0", [Y, X]),
        (THREE, " 2 , 0 ", [Z, X]),
        # An unknown entry ends the list.
        (THREE, "0,-1,1", [X]),
        (THREE, "0,7,1", [X]),
        (THREE, "7,0", NO_CARD),
        (THREE, "one,1", NO_CARD),
        (THREE, "1,two,0", [Y]),
        (THREE, ",1", NO_CARD),
        (THREE, "1,", [Y]),
        # Digits count up to the first other character.
        (THREE, "1card,2nd", [Y, Z]),
        (THREE, "+1,-0", [Y, X]),
        # A repeated one hides all.
        (THREE, "0,0", NO_CARD),
        (THREE, "0,1,0", NO_CARD),
        (THREE, "GPU-bb,GPU-bb33", NO_CARD),
        # UUIDs, as far as they are unique.
        (THREE, Z, [Z]),
        (THREE, "GPU-bb", [Z]),
        (THREE, "GPU-bb,GPU-aa11", [Z, X]),
        (THREE, "GPU-bb, GPU-aa22", [Z, Y]),
        (THREE, "GPU-aa", NO_CARD),
        (THREE, "GPU-bb,GPU-aa,GPU-aa11", [Z]),
        (THREE, "GPU-cc", NO_CARD),
        (THREE, "bb33-0000", NO_CARD),
        # Numbers and UUIDs do not mix.
        (THREE, "GPU-bb,0", [Z]),
        (THREE, "0,GPU-bb", [X]),
        # A card in MIG mode is its instances.
        (MIG, None, [WHOLE, A, B]),
        (MIG, "0", [A, B]),
        (MIG, "1,0", [WHOLE, A, B]),
        (MIG, DIVIDED, [A, B]),
        (MIG, "2", NO_CARD),
        (MIG, "2,1", [WHOLE]),
        (MIG, A, [A]),
        (MIG, "MIG-cb", [B]),
        (MIG, "MIG-c", NO_CARD),
        (MIG, f"{B},{A}", [B, A]),
        (MIG, f"{A},{A}", NO_CARD),
        (MIG, f"{A},{WHOLE}", [A, WHOLE]),
        (MIG, f"{A},1", [A]),
        (MIG, "MIG-ffff", NO_CARD),
        # The names of older drivers, which newer ones understand.
        (MIG, f"MIG-{DIVIDED}/5/0", [B]),
        (MIG, "MIG-GPU-00/5/0", [B]),
        (MIG, f"MIG-{DIVIDED}/5/1", NO_CARD),
        (MIG, f"{A},MIG-{DIVIDED}/1/0", NO_CARD),
        (MIG, f"MIG-{WHOLE}/1/0", NO_CARD),
        (OLD_DRIVER, None, [OLD_A, OLD_B]),
        (OLD_DRIVER, OLD_B, [OLD_B]),
        (OLD_DRIVER, "MIG-GPU-00/1/0", [OLD_A]),
        (OLD_DRIVER, "0", [OLD_A, OLD_B]),
    ],
)
def test_visible_cards(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, machine: dict[str, Any], visible: str | None,
    uuids: list[str],
) -> None:
    install(machine, tmp_path / "bin", monkeypatch)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    found = gpus.visible_gpus()
    assert [gpu.uuid for gpu in found] == uuids
    # A worker for each of them sees just that one.
    for gpu in found:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", gpu.uuid)
        assert gpus.visible_gpus() == [gpu]


def test_what_is_known_of_a_card(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    install(MIG, tmp_path, monkeypatch)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,0")
    assert gpus.visible_gpus() == [
        GPU("NVIDIA A100-40GB", 40960 * 2**20, 40960 * 2**20, 1, WHOLE, 80),
        GPU("NVIDIA A100-40GB MIG 3g.20gb", 20096 * 2**20, 20096 * 2**20, 0, A, 80, 0),
        GPU("NVIDIA A100-40GB MIG 1c.2g.10gb", 9856 * 2**20, 9856 * 2**20, 0, B, 80, 1),
    ]
    assert [gpu.uuid for gpu in gpus.installed_gpus()] == [DIVIDED, WHOLE, EMPTY]
    assert gpus.driver() == gpus.Driver("535.129.03", (12, 2))


def test_an_old_driver_does_not_tell_the_capability(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    older = card(0, X, "NVIDIA X")
    del older["compute_cap"], older["mig.mode.current"]
    install({"cards": [older]}, tmp_path, monkeypatch)
    assert gpus.visible_gpus() == [GPU("NVIDIA X", 24576 * 2**20, 24576 * 2**20, 0, X, None)]


@pytest.mark.parametrize("said", ["[N/A]", "[Not Supported]", "[Insufficient Permissions]"])
def test_memory_that_the_driver_does_not_tell(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, said: str
) -> None:
    """A card that shares its memory with the processor, and one that another machine lends."""
    install({"cards": [card(0, X, "NVIDIA GB10", "12.1", memory=said)]}, tmp_path, monkeypatch)
    assert gpus.visible_gpus() == [GPU("NVIDIA GB10", None, None, 0, X, 121)]


def test_instances_whose_memory_is_not_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    machine = {"cards": [card(0, X, "NVIDIA B", parts=[part(A, "1g.5gb", (7, 0), "N/A")])]}
    install(machine, tmp_path, monkeypatch)
    [instance] = gpus.visible_gpus()
    assert (instance.free_bytes, instance.total_bytes) == (None, None)


@pytest.mark.parametrize(
    ("machine", "visible", "reason"),
    [
        ({"cards": [], "failure": "Failed to initialize NVML: Driver/library version mismatch"},
         None, "nvidia-smi fails: Failed to initialize NVML: Driver/library version mismatch"),
        (THREE, "-1", "CUDA_VISIBLE_DEVICES is '-1', which hides all 3"),
        ({"cards": [card(0, X, "NVIDIA X", parts=[])]}, None,
         "the cards are in MIG mode and have no instances"),
    ],
)
def test_why_there_is_no_card(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, machine: dict[str, Any], visible: str | None,
    reason: str,
) -> None:
    install(machine, tmp_path, monkeypatch)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert gpus.visible_gpus() == []
    assert gpus.why_none_is_visible() == reason


def write_tool(folder: Path, monkeypatch: pytest.MonkeyPatch, body: str | bytes) -> None:
    """A nvidia-smi of its own: the lines of a shell script, or the bytes of a file."""
    install({"cards": []}, folder, monkeypatch)
    tool = folder / "nvidia-smi"
    tool.write_bytes(body if isinstance(body, bytes) else f"#!/bin/sh\n{body}\n".encode())


ROW = "0, GPU-1, NVIDIA X, 100, 200, 8.9, [N/A]"
NVIDIA_X = GPU("NVIDIA X", 100 * 2**20, 200 * 2**20, 0, "GPU-1", 89)


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ('echo "0, GPU-1, NVIDIA GB10, [N/A], [N/A]"', GPU("NVIDIA GB10", None, None, 0, "GPU-1")),
        ('echo "0, GPU-1, NVIDIA X, [Unknown Error], 200, [Unknown Error], [Unknown Error]"',
         GPU("NVIDIA X", None, 200 * 2**20, 0, "GPU-1")),
        # A name with commas, and one with letters of another encoding.
        ('echo "0, GPU-1, NVIDIA RTX 6000, Ada, 100, 200, 8.9, [N/A]"',
         GPU("NVIDIA RTX 6000, Ada", 100 * 2**20, 200 * 2**20, 0, "GPU-1", 89)),
        ("printf '0, GPU-1, NVIDIA \\377, 100, 200, 8.9, [N/A]\\n'",
         GPU("NVIDIA \ufffd", 100 * 2**20, 200 * 2**20, 0, "GPU-1", 89)),
        # Warnings, before, behind and beside.
        (f'echo "WARNING: infoROM is corrupted, see, the, manual, of, it"; echo "{ROW}"', NVIDIA_X),
        (f'echo "{ROW}"; echo "WARNING: infoROM is corrupted at gpu 0000:00:1E.0"', NVIDIA_X),
        (f'echo "WARNING: infoROM is corrupted" >&2; echo "{ROW}"', NVIDIA_X),
        # One of two cards is broken.
        (f'echo "Unable to determine the device handle for GPU 0000:1B:00.0"; echo "{ROW}"',
         NVIDIA_X),
        # A UUID that is kept from this user: the number names the card.
        (f'echo "{ROW}" | sed "s/GPU-1/[Insufficient Permissions]/"',
         GPU("NVIDIA X", 100 * 2**20, 200 * 2**20, 0, "0", 89)),
        # What no card has.
        ('echo "0, GPU-1, NVIDIA X, 0, 0, 8.9, [N/A]"',
         GPU("NVIDIA X", None, None, 0, "GPU-1", 89)),
        ('echo "0, GPU-1, NVIDIA X, 100, 99999999999999999999, 8.9, [N/A]"',
         GPU("NVIDIA X", None, None, 0, "GPU-1", 89)),
        ('echo "0, GPU-1, NVIDIA X, 300, 200, 8.9, [N/A]"',
         GPU("NVIDIA X", 200 * 2**20, 200 * 2**20, 0, "GPU-1", 89)),
        (f'echo "{ROW}"; echo "{ROW}"', NVIDIA_X),
    ],
)
def test_odd_lines(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, body: str, found: GPU
) -> None:
    write_tool(tmp_path, monkeypatch, body)
    assert gpus.visible_gpus() == gpus.installed_gpus() == [found]
    assert gpus.trouble() is None
    assert gpus.driver() is None  # it writes no XML


BROKEN = "Unable to determine the device handle for GPU0000:1B:00.0: Unknown Error"


@pytest.mark.parametrize(
    ("body", "reason", "surprising"),
    [
        (f'echo "{BROKEN}"', f"nvidia-smi lists no card, but says: {BROKEN}", True),
        ('echo "[N/A], GPU-1, NVIDIA X, 1, 2"', "lists no card, but says: [N/A], GPU-1", True),
        (f'echo "{ROW[:-5]}Enabled"', "nvidia-smi -q -x writes no XML", True),
        ("sleep 600", "nvidia-smi does not answer within 1 s", True),
        ("sleep 600 & wait", "nvidia-smi does not answer within 1 s", True),
        (f'yes "{ROW}"', "nvidia-smi does not answer within 1 s", True),
        ('echo "No devices were found"', "nvidia-smi lists none", False),
        ('echo "No devices were found"; exit 6', "nvidia-smi fails: No devices were found", False),
        ("true", "nvidia-smi lists none", False),
        ("kill -9 $$", "nvidia-smi fails: exit code -9", False),
        (b"\x7fELF\x02\x01\x01" + bytes(60), "/nvidia-smi does not run: Exec format err", False),
        (b"#!/no/such/shell\n", "/nvidia-smi does not run: No such file or directory", False),
    ],
)
def test_no_card_and_why(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, body: str | bytes, reason: str,
    surprising: bool,
) -> None:
    write_tool(tmp_path, monkeypatch, body)
    hangs = "within 1 s" in reason
    monkeypatch.setattr(gpus, "_PATIENCE", 1.0 if hangs else 600.0)
    started = []
    start = subprocess.Popen
    monkeypatch.setattr(gpus.subprocess, "Popen",
                        lambda *words, **options: started.append(words) or start(*words, **options))
    assert gpus.visible_gpus() == gpus.installed_gpus() == []
    assert reason in gpus.why_none_is_visible()
    assert gpus.driver() is None
    # On a machine meant for cards it is said that none is used.
    note = devices.choose("auto", tmp_path).note
    assert (note is not None) == surprising
    assert note is None or note.startswith("no card is used: nvidia-smi ")
    with pytest.raises(RuntimeSetupError, match="no CUDA card is visible: "):
        devices.choose("cuda", tmp_path)
    assert not hangs or len(started) == 1  # what hangs is waited for once


def test_without_a_driver(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert gpus.visible_gpus() == gpus.installed_gpus() == []
    assert gpus.driver() is None
    assert "there is no nvidia-smi" in gpus.why_none_is_visible()


def test_cuda_counts_as_nvidia_smi_where_cards_have_numbers(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    install(THREE, tmp_path, monkeypatch)
    for visible in ("0", "2,1", " 1"):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        assert gpus.order_of_cards() == {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
    for visible in ("", "GPU-aa", "MIG-0"):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        assert gpus.order_of_cards() == {}
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert gpus.order_of_cards() == {}


def test_an_order_in_which_numbers_mean_other_cards_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    install(THREE, tmp_path, monkeypatch)
    monkeypatch.setenv("CUDA_DEVICE_ORDER", "FASTEST_FIRST")
    assert len(gpus.visible_gpus()) == 3
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-bb")
    assert [gpu.uuid for gpu in gpus.visible_gpus()] == [Z]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    with pytest.raises(RuntimeSetupError, match=r"Name the cards by UUID .* or set CUDA_DEVICE_OR"):
        gpus.visible_gpus()
    # Cards of one model have one order.
    install({"cards": THREE["cards"][1:]}, tmp_path, monkeypatch)
    monkeypatch.setenv("CUDA_DEVICE_ORDER", "FASTEST_FIRST")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2")
    assert [gpu.uuid for gpu in gpus.visible_gpus()] == [Z]


_ASK_THE_DRIVER = """
import ctypes, uuid

cuda, count = ctypes.CDLL("libcuda.so.1"), ctypes.c_int()
if cuda.cuInit(0) == 0 and cuda.cuDeviceGetCount(ctypes.byref(count)) == 0:
    for number in range(count.value):
        device, raw = ctypes.c_int(), (ctypes.c_ubyte * 16)()
        assert cuda.cuDeviceGet(ctypes.byref(device), number) == 0
        assert cuda.cuDeviceGetUuid_v2(raw, device) == 0
        print(uuid.UUID(bytes=bytes(raw)))
"""


@pytest.mark.skipif(not Path("/proc/driver/nvidia/version").exists(), reason="no NVIDIA driver")
@pytest.mark.parametrize(
    "visible",
    ["", "-1", "0", " 0", "0 ", "+0", "0x", "x", "0,0", "0,99", "99,0", "0,-1", ",0", "0,",
     "{0}", "{0:.12}", " {0}", "{0} ", "{0},{0:.12}", "{0},GPU-ffff", "GPU-ffff,{0}", "0,{0}",
     "{0},0", "MIG-ffff"],
)
def test_the_driver_shows_the_same_cards(monkeypatch: pytest.MonkeyPatch, visible: str) -> None:
    monkeypatch.setenv("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    card = gpus.visible_gpus()[0]
    if card.instance is not None:
        pytest.skip("one process sees one instance only")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible.format(card.uuid))
    seen = subprocess.run([sys.executable, "-c", _ASK_THE_DRIVER], env=os.environ, text=True,
                          capture_output=True, check=True).stdout.split()
    assert [gpu.uuid.partition("-")[2] for gpu in gpus.visible_gpus()] == seen
