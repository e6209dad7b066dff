"""The requirements of JDiffusion's environment, checked without importing anything from it."""

from __future__ import annotations

import importlib.metadata
from dataclasses import dataclass
from pathlib import Path

from jstyleid_core.errors import setting
from jstyleid_core.runtime.requirements import RuntimeSetupError

INSTALL = Path(__file__).resolve().parent / "install"
"""Folder of the requirement files."""

_FORKS = ("jittor", "jtorch", "diffusers", "transformers", "JDiffusion")
TORCH_NAME = "2.0.0"
"""Version of the distribution `torch` that holds no code."""

HOW = (
    "In a new environment of Python 3.11, in this order:\n"
    f"  pip install -r {INSTALL / 'libraries.txt'}\n"
    f"  pip install --no-deps --no-build-isolation -r {INSTALL / 'forks.txt'}\n"
    f"  pip install --no-deps {INSTALL / 'torch_name'}\n"
    "then this project's packages with --no-deps"
)


@dataclass(frozen=True)
class Requirement:
    """A distribution and the version this project is checked with; None where any will do.

    Attributes:
        exact: whether another version is refused.
    """

    name: str
    version: str | None
    exact: bool = False

    @property
    def found(self) -> str | None:
        """The installed version; None where it is missing."""
        try:
            return importlib.metadata.version(self.name)
        except importlib.metadata.PackageNotFoundError:
            return None

    @property
    def as_checked(self) -> bool:
        """Whether the installed version is the one this project is checked with."""
        return self.found is not None and self.version in (None, self.found)

    @property
    def met(self) -> bool:
        """Whether JDiffusion can be expected to start with the installed version."""
        return self.as_checked or (self.found is not None and not self.exact)

    def __str__(self) -> str:
        checked = f" (checked with {self.version})" if self.version else ""
        return f"{self.name} {self.found or 'is missing'}{checked}"


def requirements() -> list[Requirement]:
    """The pins of the install files, the forks, and the empty distribution `torch`."""
    pinned: list[Requirement] = []
    for name in ("libraries.txt", "forks.txt"):
        for line in (INSTALL / name).read_text(encoding="utf-8").splitlines():
            wanted, pin, version = line.partition("#")[0].strip().partition("==")
            if pin:
                pinned.append(Requirement(wanted, version.strip()))
    # A real torch would stand in for jtorch, whose module has its name.
    return [*pinned, *(Requirement(fork, None) for fork in _FORKS),
            Requirement("torch", TORCH_NAME, exact=True)]


def check() -> None:
    """Refuse an environment that is not JDiffusion's.

    Raises:
        RuntimeSetupError: something is missing, or real torch is installed; the message names it
            and the steps that make the environment.
    """
    wrong = [str(each) for each in requirements() if not each.met]
    if wrong:
        raise RuntimeSetupError(
            f"{setting('backend')} jdiffusion cannot run in this environment: {', '.join(wrong)}. "
            f"{HOW}")
