"""The command that installs what is missing, for this system and the kind of its Python."""

from __future__ import annotations

import platform
import sys
from pathlib import Path

_SYSTEMS = {
    "debian": ("apt-get install g++", "apt-get install python{version}-dev"),
    "fedora": ("dnf install gcc-c++", "dnf install 'pkgconfig(python-{version})'"),
    "suse": ("zypper install gcc-c++", "zypper install 'pkgconfig(python-{version})'"),
    "arch": ("pacman -S gcc", "pacman -S python"),
    "alpine": ("apk add g++", "apk add python3-dev"),
}
"""Commands for the compiler and for Python's headers, by a name of /etc/os-release."""
_ALIKE = {"ubuntu": "debian", "rhel": "fedora", "centos": "fedora", "amzn": "fedora",
          "opensuse": "suse"}


def for_compiler() -> str:
    """How to install a C++ compiler."""
    if _is_conda():
        return "conda install -c conda-forge gxx"
    commands = _of_the_system()
    return commands[0] if commands else "with the system's packages; Debian, Ubuntu: " + (
        _SYSTEMS["debian"][0])


def for_headers() -> str:
    """How to install the headers of this very Python; those of another do not fit."""
    prefix = Path(sys.base_prefix)
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    if _is_conda():
        return f"conda install --force-reinstall python={version}"
    if "uv" in prefix.parts:
        return f"uv python install --reinstall {version}"
    if "versions" in prefix.parts:  # pyenv's folder
        return f"pyenv install --force {prefix.name}"
    commands = _of_the_system()
    if prefix == Path("/usr") and commands:
        return commands[1].format(version=version)
    return f"by installing the Python in {prefix} anew, from a source that brings its headers"


def _is_conda() -> bool:
    return (Path(sys.base_prefix) / "conda-meta").is_dir()


def _of_the_system() -> tuple[str, str] | None:
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        return None
    names = [release.get("ID", ""), *release.get("ID_LIKE", "").split()]
    found = (_ALIKE.get(name, name) for name in names)
    return next((_SYSTEMS[name] for name in found if name in _SYSTEMS), None)
