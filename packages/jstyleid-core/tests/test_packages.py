"""What is to be installed where Python's headers or a compiler are missing, by kind of Python."""

from __future__ import annotations

import platform
import sys
import sysconfig
from pathlib import Path

import pytest

from jstyleid_core.runtime import packages, requirements
from jstyleid_core.runtime.requirements import RuntimeSetupError

VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"


@pytest.mark.parametrize(("release", "compiler", "headers"), [
    ({"ID": "debian"}, "apt-get install g++", f"apt-get install python{VERSION}-dev"),
    ({"ID": "linuxmint", "ID_LIKE": "ubuntu debian"}, "apt-get install g++",
     f"apt-get install python{VERSION}-dev"),
    ({"ID": "rocky", "ID_LIKE": "rhel centos fedora"}, "dnf install gcc-c++",
     f"dnf install 'pkgconfig(python-{VERSION})'"),
    ({"ID": "opensuse-leap", "ID_LIKE": "suse opensuse"}, "zypper install gcc-c++",
     f"zypper install 'pkgconfig(python-{VERSION})'"),
    ({"ID": "alpine"}, "apk add g++", "apk add python3-dev"),
    ({"ID": "manjaro", "ID_LIKE": "arch"}, "pacman -S gcc", "pacman -S python"),
    ({"ID": "own"}, "Debian, Ubuntu: apt-get install g++", "the Python in /usr anew"),
])
def test_the_distributions_python(
    monkeypatch: pytest.MonkeyPatch, release: dict[str, str], compiler: str, headers: str
) -> None:
    monkeypatch.setattr(sys, "base_prefix", "/usr")
    monkeypatch.setattr(platform, "freedesktop_os_release", lambda: release)
    assert compiler in packages.for_compiler()
    assert headers in packages.for_headers()


@pytest.mark.parametrize(("prefix", "headers"), [
    ("home/a/.local/share/uv/python/cpython-3.11.9-linux-x86_64-gnu",
     f"uv python install --reinstall {VERSION}"),
    ("home/a/.pyenv/versions/3.11.7", "pyenv install --force 3.11.7"),
    ("opt/python", "opt/python anew, from a source that brings its headers"),
])
def test_other_pythons(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, prefix: str, headers: str
) -> None:
    monkeypatch.setattr(sys, "base_prefix", str(tmp_path / prefix))
    assert headers in packages.for_headers()


def test_conda(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "conda-meta").mkdir()
    monkeypatch.setattr(sys, "base_prefix", str(tmp_path))
    assert packages.for_headers() == f"conda install --force-reinstall python={VERSION}"
    assert packages.for_compiler() == "conda install -c conda-forge gxx"
    monkeypatch.setattr(sysconfig, "get_path", lambda _: str(tmp_path))
    with pytest.raises(RuntimeSetupError, match="Python.h.* conda install --force-reinstall"):
        requirements.python_config()


def test_a_config_that_names_other_folders(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Standalone Pythons are built for `/install` and then moved."""
    wrong = tmp_path / "python3-config"
    wrong.write_text("#!/bin/sh\necho -I/install/include/python\n")
    wrong.chmod(0o755)
    monkeypatch.setenv("python_config_path", str(wrong))
    right = requirements.python_config()
    assert right != str(wrong)
    monkeypatch.setenv("python_config_path", right)
    assert requirements.python_config() == right
    monkeypatch.setattr(requirements, "_names_headers", lambda script: False)
    with pytest.raises(RuntimeSetupError, match="names no folder with Python.h. Install them"):
        requirements.python_config()
