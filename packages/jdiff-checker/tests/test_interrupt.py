"""Ctrl-C in the middle of a real run."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

# The program itself, with images that take as long to decode as large ones.
SLOW = """
import sys, time
from jdiff_checker.features import extraction
decode = extraction.decode
def slow(path):
    time.sleep(0.25)
    return decode(path)
extraction.decode = slow
from jdiff_checker.cli import main
main()
"""
# The program, in which the import of a library takes long, and answers Ctrl-C in its own way.
IMPORTING = """
import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec

class Slow(MetaPathFinder, Loader):
    def find_spec(self, name, path=None, target=None):
        return ModuleSpec(name, self) if name == SLOW else None
    def exec_module(self, module):
        import time
        print("importing", flush=True)
        try:
            time.sleep(60)
        except KeyboardInterrupt as error:
            raise ImportError("half of it") from error

SLOW = sys.argv.pop(1)
sys.meta_path.insert(0, Slow())
from jdiff_checker.__main__ import main
main()
"""
PATIENCE = 120


def rows(cache: Path) -> int:
    """How many vectors are in the file; 0 before there is one."""
    try:
        with closing(sqlite3.connect(f"{cache.as_uri()}?mode=ro", uri=True)) as database:
            return database.execute("SELECT count(*) FROM features").fetchone()[0]
    except sqlite3.OperationalError:
        return 0


def test_ctrl_c_ends_with_130_and_the_next_check_goes_on_from_there(
    score, passes, split: Path, upload: Path, weights: Path, tmp_path: Path
) -> None:
    out, cache = tmp_path / "out", tmp_path / "cache.sqlite"
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW, "--upload", upload, "--gt", split, "--weights", weights,
         "--unpublished-weights", "--metrics", "hist,fid", "--result", out, "--cache", cache,
         "--workers", "1"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        # In the background of a shell SIGINT is ignored, and Python would leave it so.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        deadline = time.monotonic() + PATIENCE
        while rows(cache) < 6 and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        assert process.poll() is None, process.communicate()
        os.kill(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
    assert process.returncode == 130
    assert "stopped; what was computed is kept" in errors
    assert "Traceback" not in errors
    assert [path.name for path in out.iterdir()] == ["jdiff-check.log"]
    assert "ended by KeyboardInterrupt" in (out / "jdiff-check.log").read_text()
    kept = rows(cache)
    assert 6 <= kept < 36
    result = score(metrics=["hist", "fid"])
    assert sum(passes.images.values()) == 36 - kept
    assert 0 < len(passes.decoded) < 18
    without = score(metrics=["hist", "fid"], use_cache=False)
    assert result.styles[0].images == without.styles[0].images
    assert abs(result.corrected.components.fid - without.corrected.components.fid) < 1e-6


@pytest.mark.parametrize("module", ["typer", "jdiff_checker.checking", "torchvision"])
def test_ctrl_c_during_an_import_ends_with_130_and_one_line(
    module: str, split: Path, upload: Path, weights: Path, tmp_path: Path
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", IMPORTING, module, "--upload", upload, "--gt", split, "--weights",
         weights, "--unpublished-weights", "--metrics", "lpips", "--result", tmp_path / "out",
         "--no-cache"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        said = iter(process.stdout)
        assert "importing\n" in said  # which reads up to that line
        os.kill(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
    assert process.returncode == 130
    assert errors.splitlines()[-1] == "stopped"
    assert "Traceback" not in errors
    assert "error" not in errors
