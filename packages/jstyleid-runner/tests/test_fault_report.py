"""The report that a fault of the program leaves: complete, soon there, and nothing secret in it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from jstyleid_core.errors import OutputError
from jstyleid_runner import fault_report
from jstyleid_runner.errors import CrashError, crashes_reported_in, temporary_report
from jstyleid_runner.fault_report import plain


@pytest.fixture
def at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home of a user with a name, and passwords in the environment."""
    home = tmp_path / "alice"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("HF_TOKEN", "hf_abcdefghijklmnopqrst")
    monkeypatch.setenv("MY_DB_PASSWORD", "correct horse")
    monkeypatch.setattr(sys, "argv", [
        "jstyleid", "run", "--data", f"{home}/pictures/of/many/years/data", "--model",
        "https://alice:sesame@hub/x?token=abc123"])
    return home


def crash() -> None:
    raise KeyError(f"{os.environ['HF_TOKEN']} and {os.environ['MY_DB_PASSWORD']}")


def test_the_report(at_home: Path, tmp_path: Path) -> None:
    started = time.monotonic()
    with pytest.raises(CrashError) as caught, crashes_reported_in(tmp_path / "fault.log"):
        crash()
    assert time.monotonic() - started < 600
    assert str(caught.value).endswith(f"is in {tmp_path / 'fault.log'}")
    text = (tmp_path / "fault.log").read_text()
    assert text.startswith("command: jstyleid run --data .../many/years/data --model ")
    versions, _ = json.JSONDecoder().raw_decode(text.split("versions: ", 1)[1])
    assert {"python", "system", "jittor", "numpy", "pillow", "jstyleid-core"} <= {
        name.lower() for name in versions}
    assert "Traceback" in text
    assert "KeyError: '*** and ***'" in text
    found = json.loads(text.split("without starting Jittor: ", 1)[1])
    assert {"Python", "Processors", "C++ compiler", "numpy", "oneDNN"} <= {
        check["name"] for check in found}
    for secret in ("alice", "sesame", "abc123", "hf_abc", "correct horse"):
        assert secret not in text


@pytest.mark.parametrize(("text", "expected"), [
    ("File \"/usr/lib/python3.11/site-packages/a/b.py\"", "File \".../site-packages/a/b.py\""),
    ("/short/path.py and a/b/c/d/e/f/g", "/short/path.py and a/b/c/d/e/f/g"),
    ("'~/a/b/c/d/e.png'", "'.../c/d/e.png'"),
    ("http://u:p@h/x", "http://***h/x"), ("https://hub/a/b/c/d/e/f", "https://hub/a/b/c/d/e/f"),
    ("ghp_0123456789abcdef0123", "***"), ("Bearer abcdef", "Bearer ***"),
])
def test_long_paths_and_passwords(text: str, expected: str) -> None:
    assert plain(text) == expected


@pytest.mark.parametrize(("doctor", "said"), [
    ("import time; time.sleep(60)", "unknown, TimeoutExpired"),
    ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "unknown, no message"),
    ("raise ImportError('no numpy')", "unknown, ImportError: no numpy"),
])
def test_checks_that_hang_or_fail(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, doctor: str, said: str
) -> None:
    monkeypatch.setattr(fault_report, "_DOCTOR", doctor)
    monkeypatch.setattr(fault_report, "_PATIENCE", 1.0 if "sleep" in doctor else 60.0)
    with pytest.raises(CrashError), crashes_reported_in(tmp_path / "fault.log"):
        crash()
    assert said in (tmp_path / "fault.log").read_text()


def test_a_report_that_fails_itself(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fails(error: Exception) -> None:
        raise MemoryError

    monkeypatch.setattr(fault_report, "fault_report", fails)
    with pytest.raises(CrashError, match=r"unexpected KeyError(.|\n)*: MemoryError\(\)"), \
            crashes_reported_in(tmp_path / "fault.log"):
        crash()


_NO_TEMPORARY_FILES = """
import tempfile
from jstyleid_runner import cli
from jstyleid_runner.errors import guarded

def none(*_, **__):
    raise FileNotFoundError(2, "No usable temporary directory found in ['/gone']")

tempfile.mkstemp = none

@guarded
def work():
    raise KeyError("x")

cli.app = work
cli.main()
"""


def test_no_folder_for_temporary_files(monkeypatch: pytest.MonkeyPatch) -> None:
    ran = subprocess.run([sys.executable, "-c", _NO_TEMPORARY_FILES], capture_output=True,
                         text=True, check=False, timeout=600)
    assert ran.stderr.startswith("error: unexpected KeyError: 'x'\nThis is a fault in jstyleid. A ")
    assert "in work\nKeyError: 'x'" in ran.stderr

    def none(*_: object, **__: object) -> None:
        raise FileNotFoundError(2, "No usable temporary directory found in ['/gone']")

    monkeypatch.setattr(tempfile, "mkstemp", none)
    with pytest.raises(OutputError, match="Set TMPDIR to a folder that you may"), \
            temporary_report():
        pass


@pytest.mark.parametrize("place", ["/gone", "/proc", "/dev/null"])
def test_a_tmpdir_that_cannot_be_used(place: str) -> None:
    """Python takes another folder."""
    ran = subprocess.run(
        [sys.executable, "-c", "from jstyleid_runner.errors import temporary_report\n"
                               "with temporary_report() as report: print(report)"],
        capture_output=True, text=True, check=False, env={**os.environ, "TMPDIR": place})
    assert ran.returncode == 0, ran.stderr
    assert not ran.stdout.startswith(place)
