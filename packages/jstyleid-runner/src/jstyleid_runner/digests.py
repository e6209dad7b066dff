"""Which file something was made from: its name and its content's digest."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Reference:
    """A file, as recorded."""

    name: str
    sha256: str


def describe_reference(path: Path) -> Reference:
    """The name and the digest of a file."""
    return Reference(path.name, hashlib.sha256(path.read_bytes()).hexdigest())


def digests(paths: Iterable[Path]) -> dict[str, str]:
    """The digest of each of several files in one folder, by its name."""
    found = map(describe_reference, paths)
    return {file.name: file.sha256 for file in found}
