"""Requirements of Jittor's import: Python 3.10 to 3.12, its headers, a compiler, numpy 1."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from jstyleid_core.errors import JStyleIDError
from jstyleid_core.runtime import packages

JITTOR_VERSION = "1.3.11"
JDIFFUSION_JITTOR_VERSION = "1.3.9"
"""Of the fork that JDiffusion runs on; accepted only where JDiffusion is installed."""


class RuntimeSetupError(JStyleIDError):
    """Jittor cannot run on this machine; the message names the missing requirement."""


def python_version() -> str:
    """The running Python, one of 3.10 to 3.12: newer ones have no numpy 1, which Jittor needs.

    Raises:
        RuntimeSetupError: another Python runs.
    """
    version = platform.python_version()
    if not (3, 10) <= sys.version_info < (3, 13):
        raise RuntimeSetupError(
            f"Python {version} runs ({sys.executable}), and Jittor {JITTOR_VERSION} needs numpy 1, "
            "which ends with Python 3.12. Make an environment of Python 3.10, 3.11 or 3.12, and "
            "install this package there."
        )
    return version


def compiler() -> tuple[str, str]:
    """Path and version line of the C++ compiler Jittor will use.

    Raises:
        RuntimeSetupError: none is found, or it does not run.
    """
    wanted = os.environ.get("cc_path") or "g++"
    path = shutil.which(wanted)
    if path is None:
        raise RuntimeSetupError(
            f"no C++ compiler: {wanted} is not on PATH. Jittor compiles its kernels as it runs: "
            f"install g++ ({packages.for_compiler()}) or name one in cc_path."
        )
    ran = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
    if ran.returncode != 0:
        raise RuntimeSetupError(f"the C++ compiler {path} does not run: {ran.stderr.strip()}")
    return path, ran.stdout.splitlines()[0]


def instruction_set(compiler: str) -> str:
    """A short name of the instructions of this processor that Jittor compiles for.

    Processors of one model name differ in them, virtual ones above all; `-march=native` takes all.

    Args:
        compiler: path of the C++ compiler.

    Returns:
        Eight hexadecimal digits, of the macros by which the compiler tells a program of them.

    Raises:
        RuntimeSetupError: the compiler does not know this processor.
    """
    command = [compiler, "-march=native", "-dM", "-E", "-x", "c++", os.devnull]
    ran = subprocess.run(command, capture_output=True, check=False)
    if ran.returncode != 0:
        raise RuntimeSetupError(
            f"the C++ compiler {compiler} does not accept -march=native: "
            f"{ran.stderr.decode(errors='replace').strip()}"
        )
    return hashlib.sha256(b"\n".join(sorted(ran.stdout.splitlines()))).hexdigest()[:8]


def python_config() -> str:
    """The `python3-config` script of this very Python, which tells Jittor where the headers are.

    Jittor looks beside the interpreter, where a virtual environment has none; this one looks in
    the Python that made the environment as well.

    Raises:
        RuntimeSetupError: the script or the headers are missing.
    """
    header = Path(sysconfig.get_path("include")) / "Python.h"
    if not header.is_file():
        raise RuntimeSetupError(
            f"Python's development files are missing ({header}). Install them: "
            f"{packages.for_headers()}"
        )
    minor = f"python3.{sys.version_info.minor}-config"
    folders = [Path(sys.executable).parent, Path(sys.base_prefix) / "bin"]
    candidates = [os.environ.get("python_config_path"), *(str(f / minor) for f in folders),
                  f"/usr/bin/{minor}", f"/usr/local/bin/{minor}", shutil.which(minor)]
    there = [path for path in dict.fromkeys(candidates) if path and os.path.isfile(path)]
    # Pythons that were moved after they were built have scripts that name other folders.
    for script in there:
        if _names_headers(script):
            return script
    what = f"{there[0]} names no folder with Python.h" if there else f"{minor} is missing"
    raise RuntimeSetupError(
        f"Python's development files are not usable: {what}. Install them anew "
        f"({packages.for_headers()}) or name the right {minor} in python_config_path."
    )


def _names_headers(script: str) -> bool:
    """Whether a `python3-config` names a folder that holds Python's headers."""
    try:
        ran = subprocess.run([script, "--includes"], capture_output=True, text=True, check=False)
    except OSError:  # not to be executed
        return False
    folders = [word[2:] for word in ran.stdout.split() if word.startswith("-I")]
    return any(os.path.isfile(os.path.join(folder, "Python.h")) for folder in folders)


def numpy_version() -> str:
    """The installed numpy; Jittor returns garbage with numpy 2, so that is refused.

    Raises:
        RuntimeSetupError: numpy 2 or newer is installed.
    """
    version = importlib.metadata.version("numpy")
    if int(version.split(".")[0]) >= 2:
        raise RuntimeSetupError(
            f"numpy {version} is installed, with which Jittor {JITTOR_VERSION} computes garbage "
            "without an error. Run: pip install 'numpy<2'"
        )
    return version


def has_jdiffusion() -> bool:
    """Whether this environment is one of JDiffusion, the second backend."""
    try:
        importlib.metadata.version("JDiffusion")
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def jittor_version() -> str:
    """The installed Jittor: the release this project is checked with, or JDiffusion's fork.

    Raises:
        RuntimeSetupError: Jittor is missing, or of a version this project was not checked with.
    """
    try:
        version = importlib.metadata.version("jittor")
    except importlib.metadata.PackageNotFoundError as error:
        raise RuntimeSetupError(
            f"Jittor is not installed. Run: pip install jittor=={JITTOR_VERSION}.0"
        ) from error
    if has_jdiffusion():
        if not version.startswith(f"{JDIFFUSION_JITTOR_VERSION}."):
            raise RuntimeSetupError(
                f"Jittor {version} is installed beside JDiffusion, which runs on its own fork "
                f"{JDIFFUSION_JITTOR_VERSION} only. Make JDiffusion an environment of its own "
                "(see docs/jdiffusion.md)."
            )
    elif not version.startswith(JITTOR_VERSION):
        raise RuntimeSetupError(
            f"Jittor {version} is installed; this project is checked with {JITTOR_VERSION} only. "
            f"Run: pip install jittor=={JITTOR_VERSION}.0"
        )
    return version
