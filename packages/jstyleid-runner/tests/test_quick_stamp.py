"""The sign by which a run knows its checkpoint without reading it."""

import os
from pathlib import Path

import pytest
from huggingface_hub import constants

from jstyleid_core.weights.checkpoint import CheckpointSource
from jstyleid_runner.reports.progress import LineDisplay
from jstyleid_runner.storage.records import quick_stamp
from jstyleid_runner.workflows.model import ModelSource


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """Files named as those of a checkpoint."""
    for name in ("unet/config.json", "unet/diffusion_pytorch_model.safetensors"):
        path = tmp_path / "model" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return tmp_path / "model"


def test_it_stays_while_the_files_do(checkpoint: Path) -> None:
    before = quick_stamp([checkpoint])
    (checkpoint / "README.md").write_text("not part of the model")
    assert quick_stamp([checkpoint]) == before
    moved = checkpoint.rename(checkpoint.with_name("elsewhere"))
    assert quick_stamp([moved]) == before


def test_it_changes_with_a_file_of_the_same_size(checkpoint: Path) -> None:
    before = quick_stamp([checkpoint])
    path = checkpoint / "unet" / "config.json"
    time = path.stat().st_mtime_ns
    path.write_text("X" * path.stat().st_size)
    os.utime(path, ns=(time + 1, time + 1))
    assert quick_stamp([checkpoint]) != before


def test_it_changes_with_a_size_and_a_name(checkpoint: Path) -> None:
    path = checkpoint / "unet" / "config.json"
    time = path.stat().st_mtime_ns
    before = quick_stamp([checkpoint])
    path.write_text("longer than it was before")
    os.utime(path, ns=(time, time))
    longer = quick_stamp([checkpoint])
    path.rename(path.with_name("other.json"))
    assert len({before, longer, quick_stamp([checkpoint])}) == 3


def test_a_hub_id_is_looked_for_in_the_cache_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    model = ModelSource(CheckpointSource("owner/name"), "cpu", LineDisplay())
    assert model.stamp() is None
    repository = tmp_path / "models--owner--name"
    config = repository / "snapshots" / ("c0ffee" * 7)[:40] / "unet" / "config.json"
    config.parent.mkdir(parents=True)
    config.write_text("{}")
    config.with_name("diffusion_pytorch_model.safetensors").touch()
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(("c0ffee" * 7)[:40])
    assert model.stamp() == quick_stamp([config.parent.parent])
