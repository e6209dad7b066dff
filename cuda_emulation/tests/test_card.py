"""What a card refuses, what becomes of a wrong program, and what is counted."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from emulated import Program, words


@pytest.mark.parametrize("what", ["host_reads", "host_writes"])
def test_host_code_that_touches_device_memory_dies_with_a_message(
    program: Program, what: str,
) -> None:
    ran = program("memory", what)
    assert ran.returncode == -signal.SIGSEGV
    assert "host code touched device memory" in ran.stderr
    byte = 28 if what == "host_reads" else 0
    assert f"byte {byte} of an allocation of 4000 bytes on card 0" in ran.stderr
    assert "end" not in ran.stdout


def test_managed_memory_belongs_to_both(program: Program) -> None:
    ran = program("memory", "host_reads_managed")
    assert ran.returncode == 0, ran.stderr
    assert words(ran)["value"] == "7"


def test_a_kernel_that_runs_past_an_allocation_dies_with_a_message(program: Program) -> None:
    ran = program("memory", "kernel_runs_past_the_end")
    assert ran.returncode == -signal.SIGSEGV
    assert "the kernel or library call fill touched device memory" in ran.stderr
    assert "outside an allocation of 4000 bytes" in ran.stderr


def test_a_kernel_that_writes_to_memory_given_back_dies(program: Program) -> None:
    assert program("memory", "freed").returncode == -signal.SIGSEGV


def test_a_thread_with_too_deep_a_stack_dies_with_a_message(program: Program) -> None:
    ran = program("memory", "stack")
    assert ran.returncode == -signal.SIGSEGV
    assert "a thread of the kernel recursive needs more than 128 KiB of stack" in ran.stderr


def test_threads_that_wait_for_each_other_are_named(program: Program) -> None:
    ran = program("memory", "stuck")
    assert ran.returncode == -signal.SIGABRT
    assert "threads of warp 0 of block (0, 0, 0) wait for each other" in ran.stderr
    assert "lane 0 waits in __syncthreads" in ran.stderr
    assert "lane 31 waits for the lanes 0xffffffff" in ran.stderr


def test_a_lane_may_not_wait_for_others_only(program: Program) -> None:
    ran = program("memory", "stranger")
    assert ran.returncode == -signal.SIGABRT
    assert "lane 3 waits for the lanes 0x7, to which it does not belong" in ran.stderr


def test_copies(program: Program) -> None:
    ran = program("memory", "copies")
    assert words(ran) == {
        "malloc": "cudaSuccess", "wrong_side": "cudaErrorInvalidValue",
        "too_long": "cudaErrorInvalidValue", "last": "cudaErrorInvalidValue",
        "after": "cudaSuccess", "by_default": "cudaSuccess",
        "free_of_the_host's": "cudaErrorInvalidValue",
    }
    assert "a copy of kind 1 goes from the device to the host" in ran.stderr
    assert "a copy of 4004 bytes leaves its allocation" in ran.stderr


def test_launches(program: Program) -> None:
    ran = program("memory", "launches", FAKE_CC="90")
    assert words(ran) == {
        "malloc": "cudaSuccess", "threads": "cudaErrorInvalidConfiguration",
        "blocks": "cudaErrorInvalidConfiguration", "shared": "cudaErrorInvalidValue",
        "attribute": "cudaSuccess", "allowed": "cudaSuccess", "beyond": "cudaErrorInvalidValue",
    }
    assert words(program("memory", "launches", FAKE_CC="75"))["attribute"] == "cudaSuccess"
    assert "fill<<<(1, 1, 1), (1025, 1, 1)>>> cannot be launched" in ran.stderr


def test_a_card_with_too_little_memory(program: Program) -> None:
    ran = program("memory", "full", FAKE_GPU_MEMORY="64")
    lines = words(ran)
    assert lines["too_much"] == lines["full"] == "cudaErrorMemoryAllocation"
    assert lines["fits"] == lines["freed"] == "cudaSuccess"
    assert lines["free"] == f"{(1 << 20) - 4000} of {64 << 20}"
    assert f"{70 << 20} bytes are asked for, and 4000 of {64 << 20} are in use" in ran.stderr


def test_a_card_that_vanishes(program: Program) -> None:
    lines = words(program("memory", "lost", FAKE_GPU_LOST_AFTER="3"))
    assert lines.pop("malloc") == lines.pop("before") == "cudaSuccess"
    assert set(lines.values()) == {"cudaErrorDevicesUnavailable"}
    assert set(words(program("memory", "lost", FAKE_GPU_LOST_AFTER="4")).values()) == {
        "cudaSuccess", "cudaErrorDevicesUnavailable"}
    assert set(words(program("memory", "lost")).values()) == {"cudaSuccess"}


def test_one_of_two_cards_has_less_memory(program: Program) -> None:
    environment = {"FAKE_GPUS": "2", "FAKE_GPU_MEMORY": "24576,64"}
    assert words(program("memory", "full", **environment))["too_much"] == "cudaSuccess"
    lines = words(program("memory", "full", CUDA_VISIBLE_DEVICES="1", **environment))
    assert lines["free"] == f"{(1 << 20) - 4000} of {64 << 20}"


def test_one_of_two_cards_vanishes_for_all_processes(program: Program, tmp_path: Path) -> None:
    (tmp_path / "1").touch()
    environment = {"FAKE_GPUS": "2", "FAKE_GPUS_LOST": str(tmp_path)}
    assert set(words(program("memory", "lost", **environment)).values()) == {"cudaSuccess"}
    lost = words(program("memory", "lost", CUDA_VISIBLE_DEVICES="1", **environment))
    assert set(lost.values()) == {"cudaErrorDevicesUnavailable"}


@pytest.mark.parametrize(("environment", "cards"), [
    ({}, 1),
    ({"FAKE_GPUS": "4"}, 4),
    ({"FAKE_GPUS": "4", "CUDA_VISIBLE_DEVICES": "2,0"}, 2),
    ({"FAKE_GPUS": "4", "CUDA_VISIBLE_DEVICES": "1,7,2"}, 1),
    ({"FAKE_GPUS": "4", "CUDA_VISIBLE_DEVICES": "GPU-00000000-0000-0000-0000-000000000003"}, 1),
])
def test_cards(program: Program, environment: dict[str, str], cards: int) -> None:
    lines = words(program("memory", "cards", **environment))
    assert lines["cards"] == str(cards)
    assert lines["last_card"] == "cudaSuccess"
    assert lines["no_card"] == "cudaErrorInvalidDevice"


def test_no_card(program: Program) -> None:
    lines = words(program("memory", "cards", FAKE_GPUS="2", CUDA_VISIBLE_DEVICES=""))
    assert lines["cards"] == "0"


def test_a_wrong_setting_is_named(program: Program) -> None:
    ran = program("memory", "cards", FAKE_GPU_MEMORY="24G")
    assert ran.returncode == 2
    assert "FAKE_GPU_MEMORY=24G: a whole number from 0 is expected" in ran.stderr


def test_counters(program: Program, tmp_path: Path) -> None:
    log = tmp_path / "log"
    ran = program("counting", FAKE_CUDA_LOG=str(log))
    report = json.loads(words(ran)["report"])
    assert report.pop("pid") > 0
    assert report == {
        "launches": 4, "kernels": {"one": 1, "two": 3}, "products": 0, "convolutions": 0,
        "random_fills": 0, "graphs": 0, "copies_to_device": 3, "bytes_to_device": 400 + 200 + 8000,
        "copies_to_host": 1, "bytes_to_host": 200, "copies_on_device": 1, "bytes_on_device": 40,
        "fills": 1, "synchronisations": 1, "allocations": 3, "releases": 1,
        "bytes_in_use": 600, "peak_bytes": 8600, "errors": 0,
    }
    last = json.loads(log.read_text())
    assert last["releases"] == 3
    assert last["bytes_in_use"] == 0


def test_a_process_that_used_no_card_leaves_no_line(program: Program, tmp_path: Path) -> None:
    program("memory", "cards", FAKE_CUDA_LOG=str(tmp_path / "log"), FAKE_GPUS="0")
    program("threads", FAKE_CUDA_LOG=str(tmp_path / "another"))
    assert len((tmp_path / "another").read_text().splitlines()) == 1


def test_a_graph_computes_when_it_is_launched_and_with_the_numbers_of_then(
    program: Program,
) -> None:
    lines = words(program("graphs", "whole"))
    assert lines == {"begin": "cudaSuccess", "product": "done", "end": "cudaSuccess",
                     "round1": "2 0", "round2": "8 0"}


@pytest.mark.parametrize("what", ["waiting", "reading", "legacy_product"])
def test_a_call_that_a_capture_does_not_allow_spoils_it(program: Program, what: str) -> None:
    assert words(program("graphs", what))["end"] == "cudaErrorStreamCaptureInvalidated"


def test_the_legacy_stream_cannot_be_captured(program: Program) -> None:
    assert words(program("graphs", "legacy")) == {"begin": "cudaErrorStreamCaptureUnsupported"}
