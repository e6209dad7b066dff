"""The measurement of a card and the count of its work, tiny, on the emulated card."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from small_checkpoint import build

BENCHMARKS = Path(__file__).parents[4] / "benchmarks" / "gpu"


@pytest.fixture(scope="module")
def counts(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("counts")
    checkpoint = build("sd21-v", folder / "checkpoint")
    command = [sys.executable, str(BENCHMARKS / "count.py"), str(checkpoint), "--size", "tiny",
               "--out", str(folder / "counts.json")]
    ran = subprocess.run(command, capture_output=True, text=True, check=False,
                         env=os.environ | {"FAKE_CUDA_COUNT_ONLY": "1"})
    assert ran.returncode == 0, ran.stderr
    assert (folder / "counts.md").read_text().count("\n") > 20
    return json.loads((folder / "counts.json").read_text())


def test_an_evaluation_never_waits_for_the_host(counts: Any) -> None:
    for evaluation in counts["evaluations"]:
        assert evaluation["copies_to_host"] == 0
        assert evaluation["synchronisations"] == 1  # the measurement's own, at its end
        assert evaluation["convolutions"] > 20
        replayed = evaluation["replayed"]
        assert (replayed["graphs"], replayed["launches"], replayed["convolutions"]) == (1, 0, 0)


def test_operations_grow_with_the_batch_and_launches_do_not(counts: Any) -> None:
    one, two = counts["evaluations"][:2]
    assert (one["batch"], two["batch"]) == (1, 2)
    assert sum(two["operations"].values()) == 2 * sum(one["operations"].values())
    assert two["launches"] == one["launches"]
    assert all(sum(each["bytes"].values()) > 0 for each in (one, two))


def test_checkpointing_saves_memory_and_costs_launches(counts: Any) -> None:
    plain, checkpointing = (
        next(step for step in counts["training_steps"]
             if step["batch"] == 2 and step["checkpointing"] == wanted)
        for wanted in (False, True))
    assert checkpointing["launches"] > plain["launches"]


def test_a_card_is_measured(tmp_path: Path) -> None:
    command = [sys.executable, str(BENCHMARKS / "measure.py"), "--size", "tiny", "--device",
               "cuda", "--minutes", "100", "--out", str(tmp_path / "out"), "--work",
               str(tmp_path / "work"), "--torch-python", f"{sys.executable} -S"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    found = json.loads((tmp_path / "out" / "measurements.json").read_text())
    states = {name: part["state"] for name, part in found["parts"].items()}
    assert set(states.values()) == {"done", "left out"}
    assert "Emulated" in found["machine"]["cards"][0]
