"""oneDNN from the Python wheels, put where Jittor looks for it.

Jittor convolves 50 to 90 times faster with oneDNN, wants version 2.2.0, and would download it from
its own server. The same version is on the package index as `onednn-devel-cpu-gomp`; Jittor skips
its download when the folder it would have unpacked already holds the library.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
from dataclasses import dataclass
from pathlib import Path

from jstyleid_core.runtime.requirements import RuntimeSetupError

_UNPACKED_AS = "dnnl_lnx_2.2.0_cpu_gomp"


@dataclass(frozen=True)
class OneDNN:
    """Where the headers and `libmkldnn.so` are."""

    include: Path
    lib: Path
    version: str


def find() -> OneDNN:
    """The oneDNN that the wheels installed into this environment.

    Raises:
        RuntimeSetupError: the wheels are not installed.
    """
    try:
        library = _file_of("onednn-cpu-gomp", "libmkldnn.so")
        header = _file_of("onednn-devel-cpu-gomp", "dnnl.hpp")
        version = importlib.metadata.version("onednn-devel-cpu-gomp")
    except importlib.metadata.PackageNotFoundError as error:
        raise RuntimeSetupError(
            "oneDNN is not installed; without it convolutions are 50 to 90 times slower. "
            "Run: pip install onednn-devel-cpu-gomp==2021.2.0"
        ) from error
    return OneDNN(include=header.parent, lib=library.parent, version=version)


def _file_of(distribution: str, name: str) -> Path:
    for file in importlib.metadata.files(distribution) or []:
        if file.name == name:
            return Path(str(file.locate())).resolve()
    raise importlib.metadata.PackageNotFoundError(distribution)


def wire(jittor_home: Path, onednn: OneDNN) -> None:
    """Make the folder Jittor would unpack oneDNN into, as links to the wheel's files.

    Links that lead elsewhere (the environment was moved or remade) are replaced; a real folder,
    which is a copy Jittor downloaded itself, is left alone.
    """
    folder = jittor_home / ".cache" / "jittor" / "mkl" / _UNPACKED_AS
    folder.mkdir(parents=True, exist_ok=True)
    for name, target in (("include", onednn.include), ("lib", onednn.lib)):
        link = folder / name
        if link.is_dir() and not link.is_symlink():
            continue
        if link.is_symlink() and os.readlink(link) == str(target):
            continue
        # Made under another name and moved into place: processes may start at the same time.
        fresh = folder / f".{name}.{os.getpid()}"
        with contextlib.suppress(FileNotFoundError):
            fresh.unlink()
        fresh.symlink_to(target)
        os.replace(fresh, link)
