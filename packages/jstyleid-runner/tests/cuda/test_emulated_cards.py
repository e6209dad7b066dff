"""`jstyleid run` on emulated cards: one, two, one with little memory, one that vanishes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from jstyleid_runner.scheduling.ledger import read_entries
from jstyleid_runner.scheduling.task import State
from jstyleid_runner.storage.layout import OutFolder

CARDS = {"JSTYLEID_DEVICE": "cuda", "FAKE_GPUS": "2"}
SMALL = 27
"""MiB of a card that holds one picture at a time, and not two."""
PICTURES = 4
LIMIT = 2
"""Of 255, between the CPU in float32 and a card in float16."""


class Run:
    """A run of four pictures in a folder."""

    def __init__(self, checkpoint: Path, data: Path, out: Path, *options: str) -> None:
        self.folder = OutFolder(out)
        self.line = [
            sys.executable, "-m", "jstyleid_runner", "run", "--split", "S", "--method", "styleid",
            "--data", str(data), "--out", str(out), "--model", str(checkpoint), "--size", "64",
            "--steps", "2", "--content-steps", "2", *options]

    def start(self, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(self.line, stderr=subprocess.PIPE, text=True,
                                env=os.environ | environment)

    def pictures(self) -> dict[str, NDArray[np.int16]]:
        return {str(path.relative_to(self.folder.root)):
                np.asarray(Image.open(path).convert("RGB"), np.int16)
                for path in sorted(self.folder.root.glob("*/[!.]*.png"))}

    def workers(self) -> set[str]:
        entries = read_entries(self.folder.ledger)
        assert {entry.state for entry in entries} == {State.DONE}
        return {entry.worker for entry in entries if entry.worker}


def complete(process: subprocess.Popen[str]) -> str:
    """Wait for the end of a run that succeeds; what it has said."""
    _, said = process.communicate(timeout=3000)
    assert process.returncode == 0, said
    return said


@pytest.fixture(scope="module")
def on_cpu(
    checkpoint: Path, split_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, NDArray[np.int16]]:
    run = Run(checkpoint, split_data, tmp_path_factory.mktemp("cpu"), "--device", "cpu")
    complete(run.start())
    return run.pictures()


@pytest.mark.parametrize("cards", [1, 2])
def test_pictures_are_those_of_the_cpu(
    cards: int, checkpoint: Path, split_data: Path, tmp_path: Path,
    on_cpu: dict[str, NDArray[np.int16]],
) -> None:
    run = Run(checkpoint, split_data, tmp_path, "--gpus", str(cards))
    complete(run.start(**CARDS))
    assert run.workers() == {f"gpu{number}" for number in range(cards)}
    found = run.pictures()
    assert found.keys() == on_cpu.keys()
    assert len(found) == PICTURES
    assert max(np.abs(found[name] - picture).max() for name, picture in on_cpu.items()) <= LIMIT


def test_a_card_with_little_memory_computes_fewer_pictures_at_a_time(
    checkpoint: Path, split_data: Path, tmp_path: Path
) -> None:
    run = Run(checkpoint, split_data, tmp_path, "--gpus", "1", "--batch", "2")
    said = complete(run.start(**CARDS, FAKE_GPU_MEMORY=str(SMALL)))
    assert "gpu0: out of memory, now 1 at a time" in said
    assert len(run.pictures()) == PICTURES


def test_a_card_that_vanishes_is_given_up(
    checkpoint: Path, split_data: Path, tmp_path: Path
) -> None:
    lost = tmp_path / "lost"
    lost.mkdir()
    run = Run(checkpoint, split_data, tmp_path / "out", "--gpus", "2")
    process = run.start(**CARDS, FAKE_GPUS_LOST=str(lost))
    while process.poll() is None and not (run.folder.ledger.exists() and any(
        entry.worker == "gpu1" for entry in read_entries(run.folder.ledger))
    ):
        time.sleep(0.1)
    (lost / "1").touch()
    said = complete(process)
    assert said.count("gpu1: lost") == 4  # at its work, and three times before it was ready
    assert "set aside" not in said
    assert len(run.pictures()) == PICTURES
