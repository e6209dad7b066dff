"""Checks what is inside the built files: `python release/check_wheels.py DIST`.

A wheel must hold its package's whole source folder and nothing else, and the four packages one
version. What only an installed command can show is in `try_wheels.py`.
"""

from __future__ import annotations

import argparse
import re
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from email.message import Message
from email.parser import Parser
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = {
    "jstyleid-core": (),
    "jstyleid-dreambooth": ("jstyleid-core",),
    "jstyleid-runner": ("jstyleid-core", "jstyleid-dreambooth"),
    "jdiff-checker": (),
}
"""The packages, and the others that each one must bring at its own version."""
_VERSION = "packages/jstyleid-core/src/jstyleid_core/version.py"


def version() -> str:
    """The version of all packages, from its one place."""
    found = re.search(r'__version__ = "(.+)"', (ROOT / _VERSION).read_text("utf-8"))
    if found is None:
        raise SystemExit(f"{_VERSION}: has no line __version__ = \"...\"")
    return found[1]


def faults_of_wheel(package: str, wheel: Path) -> Iterator[str]:
    """What is wrong with the wheel of a package, a sentence each."""
    name, folder = package.replace("-", "_"), ROOT / "packages" / package
    about = f"{name}-{version()}.dist-info/"
    with zipfile.ZipFile(wheel) as archive:
        content = {entry: archive.read(entry) for entry in archive.namelist()}
    source = {str(path.relative_to(folder / "src")): path.read_bytes()
              for path in (folder / "src").rglob("*")
              if path.is_file() and "__pycache__" not in path.parts}
    packed = {entry: data for entry, data in content.items() if not entry.startswith(about)}
    for entry in sorted(source.keys() - packed.keys()):
        yield f"lacks {entry}"
    for entry in sorted(packed.keys() - source.keys()):
        yield f"holds {entry}, which is not in src/"
    for entry in sorted(source.keys() & packed.keys()):
        if source[entry] != packed[entry]:
            yield f"{entry} is another than in src/"
    for entry in (f"{name}/py.typed", f"{name}/__init__.py"):
        if entry not in packed:
            yield f"lacks {entry}"
    if content.get(about + "licenses/LICENSE") != (ROOT / "LICENSE").read_bytes():
        yield "has no LICENSE, or another than the repository's"
    metadata = Parser().parsestr(content[about + "METADATA"].decode("utf-8"))
    yield from _faults_of_metadata(package, metadata)


def _faults_of_metadata(package: str, metadata: Message) -> Iterator[str]:
    readme = (ROOT / "packages" / package / "README.md").read_text("utf-8")
    if str(metadata.get_payload()).strip() != readme.strip():
        yield "its description is not the package's README.md"
    if metadata["Version"] != version():
        yield f"is of version {metadata['Version']}, not {version()}"
    if not metadata["Requires-Python"]:
        yield "does not say which versions of Python it runs on"
    needed = [line for line in metadata.get_all("Requires-Dist", []) if "extra ==" not in line]
    for other in PACKAGES:
        pins = [line for line in needed if re.match(rf"{other}\b", line)]
        wanted = [f"{other}=={version()}"] if other in PACKAGES[package] else []
        if pins != wanted:
            yield f"requires {pins or 'nothing'} of {other}, not {wanted or 'nothing'}"


def faults_of_sdist(package: str, sdist: Path) -> Iterator[str]:
    """What is wrong with the source distribution of a package; its wheel was built from it."""
    with tarfile.open(sdist) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}
    for name in ("LICENSE", "README.md", "pyproject.toml", "PKG-INFO"):
        if name not in names:
            yield f"lacks {name}"
    if not any(name.startswith("tests/") for name in names):
        yield "lacks the tests"


def main() -> None:
    """Check the files of a release and the changelog; exit code 1 where something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dist", type=Path, help="folder of the wheels and source distributions")
    dist: Path = parser.parse_args().dist
    faults, expected = [], set()
    for package in PACKAGES:
        stem = f"{package.replace('-', '_')}-{version()}"
        for name, check in ((f"{stem}-py3-none-any.whl", faults_of_wheel),
                            (f"{stem}.tar.gz", faults_of_sdist)):
            expected.add(name)
            found = check(package, dist / name) if (dist / name).is_file() else ["is missing"]
            faults += [f"{name}: {fault}" for fault in found]
    faults += [f"{path.name}: does not belong to version {version()}" for path in dist.iterdir()
               if path.suffix in (".whl", ".gz") and path.name not in expected]
    changes = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    if changes is None or changes[1] != version():
        faults.append(f"CHANGELOG.md: its first section is not of version {version()}")
    print("\n".join(faults) or f"{len(expected)} files of version {version()}: as they should be")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
