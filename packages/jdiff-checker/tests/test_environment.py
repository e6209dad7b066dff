"""The Python environment: jtorch in torch's place, torchvision beside another build of torch."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from jdiff_checker import environment
from jdiff_checker.environment import import_torchvision, require_torch
from jdiff_checker.errors import BrokenEnvironmentError


@pytest.fixture
def jtorch(tmp_path: Path) -> Path:
    """A folder with a package torch without compiled modules, which must not be imported."""
    folder = tmp_path / "site"
    (folder / "torch").mkdir(parents=True)
    (folder / "torch" / "__init__.py").write_text("raise SystemError('jtorch was imported')\n")
    return folder


def test_the_command_says_that_torch_is_jtorch(
    jtorch: Path, split: Path, upload: Path, weights: Path, tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "jdiff_checker", "--upload", upload, "--gt", split, "--weights",
         weights, "--unpublished-weights", "--result", tmp_path / "out", "--no-cache"],
        capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(jtorch)},
    )
    assert done.returncode == 2, done.stderr
    assert "is jtorch" in done.stderr
    assert str(jtorch / "torch") in done.stderr
    assert "environment of its own" in done.stderr
    assert "jtorch was imported" not in done.stderr
    assert "Traceback" not in done.stderr
    assert "jtorch" in (tmp_path / "out" / "jdiff-check.log").read_text()
    assert not (tmp_path / "out" / "result.json").exists()


def test_torch_itself_passes() -> None:
    require_torch()


@pytest.mark.parametrize("form", ["nowhere", "a single module"])
def test_a_missing_torch_is_an_error_with_the_fix(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, form: str
) -> None:
    if form == "a single module":
        (tmp_path / "torch.py").touch()
    with monkeypatch.context() as patch:
        patch.setattr(sys, "path", [str(tmp_path)])
        patch.setattr(sys, "meta_path", [finder for finder in sys.meta_path
                                         if getattr(finder, "__name__", "") == "PathFinder"])
        for name in [name for name in sys.modules if name.split(".")[0] == "torch"]:
            patch.delitem(sys.modules, name)
        with pytest.raises(BrokenEnvironmentError, match=r"torch is not installed.*pip install"):
            require_torch()


def test_torchvision_works_whether_its_build_matches_torchs_or_not() -> None:
    import torch

    torchvision = import_torchvision()
    assert import_torchvision() is torchvision is sys.modules["torchvision"]
    trunk = torchvision.models.squeezenet1_1(weights=None).eval()
    with torch.no_grad():
        assert trunk(torch.zeros(1, 3, 64, 64)).shape == (1, 1000)
    # Only where torch cannot load the compiled operators are they declared.
    assert bool(environment._declared) is not torchvision.extension._has_ops()


def test_a_missing_torchvision_is_an_error_with_the_fix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchvision", None)
    with pytest.raises(BrokenEnvironmentError, match=r"torchvision cannot be imported.*pip inst"):
        import_torchvision()
