"""Every reader on a few seconds of made inputs, and on those that were findings."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from fuzz.corpus import Found, replay
from fuzz.corpus.of_checker import FOUND
from fuzz.readers import installed
from fuzz.running import Finding

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("found", FOUND, ids=lambda found: f"{found.reader} {found.says}")
def test_what_was_found(found: Found) -> None:
    said = replay(found, installed())
    assert not isinstance(said, Finding), said
    assert said is None if found.says is None else found.says in str(said), said


def test_made_inputs(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "fuzz", "--inputs", "60", "--seed", "1", "--out", str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=600)
    assert ran.returncode == 0, ran.stdout + ran.stderr
