"""Installs the built wheels as a user does, and runs the commands: `try_wheels.py DIST FOLDER`.

Two environments are made anew in FOLDER, of the Python that runs this script: one of
`jstyleid-runner`, which must bring the core and dreambooth, and one of `jdiff-checker`. Third
parties come from the package index; the pictures are drawn, and no model is downloaded.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

from check_wheels import PACKAGES, version

_DRAW = """
from pathlib import Path
from jstyleid_core.synthetic.demo_split import draw_split
draw_split(Path("drawn"))
"""
_VERSIONS = """
import importlib.metadata, json, sys
print(json.dumps({name: importlib.metadata.version(name) for name in sys.argv[1:]}))
"""
_JITTOR_SIDE = ("jstyleid-runner", "jstyleid-dreambooth", "jstyleid-core")


class Environment:
    """A virtual environment with packages that are installed from the wheels or the index."""

    def __init__(self, folder: Path, packages: list[str], dist: Path) -> None:
        self._bin = folder / "bin"
        _run(sys.executable, "-m", "uv", "venv", "--quiet", "--clear", "--python", sys.executable,
             str(folder))
        # Never what an earlier build of the same version has left in uv's cache.
        fresh = [f"--refresh-package={name}" for name in PACKAGES]
        places = [str(dist), *re.split(r"[\s,]+", os.environ.get("UV_FIND_LINKS", ""))]
        links = [f"--find-links={place}" for place in places if place]
        _run(sys.executable, "-m", "uv", "pip", "install", "--quiet", *fresh, *links,
             f"--python={self._bin / 'python'}", *packages)

    def run(self, command: str, *arguments: str, cwd: Path) -> str:
        """What a command of the environment prints; the commands see nothing of this repository."""
        return _run(str(self._bin / command), *arguments, cwd=cwd)


def _run(*command: str, cwd: Path | None = None) -> str:
    environment = {name: value for name, value in os.environ.items()
                   if name not in ("PYTHONPATH", "VIRTUAL_ENV", "JSTYLEID_MODEL")}
    environment |= {"HF_HUB_OFFLINE": "1"}
    started = time.monotonic()
    ran = subprocess.run(command, cwd=cwd, env=environment, stdout=subprocess.PIPE, text=True,
                         check=False)
    shown = " ".join([Path(command[0]).name, *(part for part in command[1:] if "\n" not in part)])
    print(f"{time.monotonic() - started:6.1f} s  {shown}", flush=True)
    if ran.returncode != 0:
        raise SystemExit(f"{ran.stdout}\nended with exit code {ran.returncode}: {shown}")
    return ran.stdout


def try_jittor_side(dist: Path, folder: Path) -> None:
    """Install the runner, check the machine, and stylise a drawn picture into a small split."""
    work = folder / "work"
    env = Environment(folder / "jittor", [f"jstyleid-runner=={version()}"], dist)
    found = json.loads(env.run("python", "-c", _VERSIONS, *_JITTOR_SIDE, cwd=work))
    if set(found.values()) != {version()}:
        raise SystemExit(f"jstyleid-runner {version()} came with {found}")
    print(env.run("jstyleid", "--version", cwd=work), end="")
    print(env.run("jstyleid", "doctor", cwd=work), end="")
    env.run("python", "-c", _DRAW, cwd=work)
    # A split of one style and one prompt, and another style's picture in that style.
    shutil.move(work / "drawn" / "00", work / "data" / "00")
    (work / "data" / "00" / "prompt.json").write_text('{"0": "Picture"}\n', encoding="utf-8")
    env.run("jstyleid", "transfer", "drawn/01/images/00.png", "data/00/images/00.png",
            "-o", "out/00/Picture.png", "--model", "embedded", "--size", "64", "--steps", "4",
            cwd=work)


def try_checker(dist: Path, folder: Path, torch: str) -> None:
    """Install the checker and score the picture that `try_jittor_side` made."""
    env = Environment(folder / "checker", [f"jdiff-checker=={version()}", torch], dist)
    work = folder / "work"
    print(env.run("jdiff-check", "--version", cwd=work), end="")
    print(env.run("jdiff-check", "--upload", "out", "--gt", "data", "--metrics", "hist",
                  "--report", "report", cwd=work), end="")
    score = json.loads((work / "result.json").read_text("utf-8"))
    if not (work / "report" / "report.html").is_file() or score["official"]["images"] != 1:
        raise SystemExit("jdiff-check ended well and left no report or no scores")


def main() -> None:
    """Try both sides; the environments stay, so that Jittor is compiled for them once."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dist", type=Path, help="folder of the wheels")
    parser.add_argument("folder", type=Path, help="folder for environments and pictures")
    parser.add_argument("--torch", default="torch", help="which torch the checker is tried with")
    arguments = parser.parse_args()
    dist, folder = arguments.dist.resolve(), arguments.folder.resolve()
    shutil.rmtree(folder / "work", ignore_errors=True)
    (folder / "work" / "data").mkdir(parents=True)
    try_jittor_side(dist, folder)
    try_checker(dist, folder, arguments.torch)
    print(f"version {version()} installs and runs on Python {sys.version.split()[0]}")


if __name__ == "__main__":
    main()
