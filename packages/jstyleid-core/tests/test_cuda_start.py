"""Starting Jittor on CUDA: one build for all cards, in the process that asked for it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cuda_toolkit import compiler, toolkit_in_one_folder
from jstyleid_core.runtime import toolkit
from jstyleid_core.runtime.requirements import RuntimeSetupError
from nvidia_smi import card, install

# The cards of this machine, of which the last is too old for the kernels.
MIXED = [card(0, "GPU-aa", "NVIDIA X", "8.6"), card(1, "GPU-bb", "NVIDIA Y", "12.0"),
         card(2, "GPU-cc", "NVIDIA Y", "12.0"), card(3, "GPU-dd", "NVIDIA Z", "3.5")]

_STARTS = """
import os
from types import SimpleNamespace
from jstyleid_core.runtime import startup

builds, given = set(), dict(os.environ)
startup.ensure_built = lambda cache, stamp, preparing, target: builds.add((target, stamp))

def imported(cache, kit):
    compiled_for.add(kit.capabilities)
    return SimpleNamespace(has_cuda=True)

compiled_for = set()
startup._import_jittor = imported
for visible in (None, "GPU-aa", "GPU-bb", "GPU-cc", "0", "1", "2", "2,0,3"):
    os.environ.clear()
    os.environ.update(given)
    if visible is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = visible
    startup.start("cuda")
    numbered = visible is not None and visible[0].isdigit()
    assert os.environ.get("CUDA_DEVICE_ORDER") == ("PCI_BUS_ID" if numbered else None)
[(target, stamp)] = builds
[capabilities] = compiled_for
print(target, *capabilities)
print(stamp)
"""


def test_one_build_serves_all_cards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else each worker of `--gpus N` would find the stamp of another and check the cache."""
    install({"cards": MIXED}, tmp_path / "smi", monkeypatch)
    environment = {**os.environ, "JITTOR_HOME": str(tmp_path), "HOME": str(tmp_path),
                   "nvcc_path": str(toolkit_in_one_folder(tmp_path / "cuda", "13.0"))}

    def starts() -> tuple[str, dict[str, Any]]:
        ran = subprocess.run([sys.executable, "-c", _STARTS], env=environment, text=True,
                             capture_output=True, check=False)
        assert (ran.returncode, ran.stderr) == (0, "")
        built, stamp = ran.stdout.split("\n", 1)
        return built, json.loads(stamp)

    built, stamp = starts()
    assert built == "cuda13.0-sm_35_86_120 86 120"
    # With other cards or another toolkit it is another build.
    changed = [{**each, "compute_cap": "9.0"} for each in MIXED]
    install({"cards": changed}, tmp_path / "smi", monkeypatch)
    assert starts()[0] == "cuda13.0-sm_90 90"
    environment["nvcc_path"] = str(toolkit_in_one_folder(tmp_path / "older", "12.4"))
    built, other = starts()
    assert built == "cuda12.4-sm_90 90"
    assert other["toolkit"] != stamp["toolkit"]


def test_cards_in_use_must_fit_and_others_need_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(toolkit, "_SYSTEM_INCLUDE", tmp_path / "none")
    nvcc = toolkit_in_one_folder(tmp_path / "cuda", "13.0")
    kit = toolkit.prepare(nvcc, [86], tmp_path / "cache", [35, 86, 120])
    assert (kit.capabilities, kit.oldest, kit.newest) == ((86, 120), 75, 121)
    # The flags of a process on another card are the same.
    assert toolkit.prepare(nvcc, [120], tmp_path / "cache", [35, 86, 120]) == kit
    old = compiler(tmp_path / "old", "12.4", (80, 90))
    with pytest.raises(RuntimeSetupError, match=r"capability 7\.5 is to be used.*need 8\.0"):
        toolkit.prepare(old, [75], tmp_path / "cache", [75, 90])


_IMPORTS = """
import os, sys
from pathlib import Path
from jstyleid_core.runtime import build

with open(sys.argv[1], "a") as handle:
    handle.write("x")
found = build.import_jittor()
print(found.toolkit, os.environ["PATH"].split(":")[0])
build.ensure_built(Path(sys.argv[1]).parent, "stamp", lambda *_: None)
"""


def test_a_toolkit_of_jittors_own_does_not_start_the_process_again(tmp_path: Path) -> None:
    """Jittor's import would run the command line again where PATH has another CUDA, too."""
    (tmp_path / ".cache/jittor/jtcuda").mkdir(parents=True)
    other = tmp_path / "cuda-12" / "bin"
    other.mkdir(parents=True)
    (other / "nvidia-smi").write_text("#!/bin/sh\necho 'CUDA Version : 12.4'\n")
    (other / "nvidia-smi").chmod(0o755)
    # The lines of Jittor's compiler.py that look for the toolkit.
    (tmp_path / "jittor.py").write_text(
        "import os\nfrom jittor_utils import install_cuda\ntoolkit = None\n"
        "if install_cuda.has_installation():\n    toolkit = install_cuda.install_cuda()\n")
    environment = {**os.environ, "HOME": str(tmp_path), "JITTOR_HOME": str(tmp_path),
                   "PYTHONPATH": f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}",
                   "PATH": f"{other}:/usr/bin:/bin", "nvcc_path": "/nowhere/nvcc"}
    log = tmp_path / "starts"
    ran = subprocess.run([sys.executable, "-c", _IMPORTS, str(log)], env=environment,
                         text=True, capture_output=True, check=False)
    assert (ran.stdout.splitlines()[-1:], ran.returncode) == ([f"None {other}"], 0), ran.stderr
    assert log.read_text() == "x"
    assert "restart" not in (tmp_path / "jstyleid-build.log").read_text()
