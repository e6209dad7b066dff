"""The report of a fault of the program: what helps to find it, and nothing secret.

It holds the versions, the machine, the command and the traceback. It is made where something has
gone wrong, so nothing that fails in it is passed on.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import re
import shlex
import sys
import traceback
from collections.abc import Callable

from jdiff_checker.environment import require_torch
from jdiff_checker.machine import free_memory, processors

_SECRET_NAMES = re.compile("token|key|secret|pass|credential|auth|cookie", re.IGNORECASE)
_SECRETS = re.compile(
    r"(?<=://)[^/\s@]+@"  # a password in an address
    r"|\b(?:hf|gh[a-z]|github_pat|glpat|sk|xox[a-z])[_-][\w-]{16,}"
    r"|(?:(?<=token=)|(?<=key=)|(?<=signature=)|(?<=bearer ))[^\s&'\"]+", re.IGNORECASE)
_LONG_PATH = re.compile(r"(?<![\w./~:-])~?/[^/\s'\":,]+(?:/[^/\s'\":,]+){4,}")
_PARTS = 3
"""Folders and file that are kept of a long path."""


def fault_report(error: Exception) -> str:
    """The whole report."""
    machine = {name: _found(find) for name, find in (
        ("versions", _versions), ("processors", processors), ("free memory", free_memory),
        ("torch", _torch))}
    return plain(
        f"command: {shlex.join(['jdiff-check', *sys.argv[1:]])}\n"
        f"environment: {json.dumps(machine, indent=1)}\n"
        f"{''.join(traceback.format_exception(error))}")


def plain(text: str) -> str:
    """A text without passwords and the user's name, its long paths shortened."""
    for name, value in os.environ.items():
        if len(value) >= 6 and _SECRET_NAMES.search(name):
            text = text.replace(value, "***")
    text = _SECRETS.sub("***", text)
    home = os.path.expanduser("~").rstrip("/")
    if home.count("/") > 0 and home != "~":
        text = re.sub(rf"{re.escape(home)}(?=/|\b)", "~", text)
    return _LONG_PATH.sub(lambda found: "/".join(["...", *found[0].split("/")[-_PARTS:]]), text)


def _found(find: Callable[[], object]) -> object:
    try:
        return find()
    except Exception as problem:  # whatever it is: the report is about another error
        return f"unknown, {type(problem).__name__}: {problem}"


def _versions() -> dict[str, str]:
    """Of Python, the system, this package and all that it needs."""
    needed = importlib.metadata.requires("jdiff-checker") or []
    names = {found[0] for text in needed if (found := re.match(r"[\w.-]+", text))}
    versions = {"python": platform.python_version(), "system": platform.platform()}
    for name in sorted({"jdiff-checker", "torchvision", *names}):
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def _torch() -> object:
    """Whether it is the real one; and what it sees, where it is imported already."""
    require_torch()
    torch = sys.modules.get("torch")
    if torch is None:
        return "there, not imported"
    cards = [torch.cuda.get_device_name(n) for n in range(torch.cuda.device_count())]
    return {"threads": torch.get_num_threads(), "CUDA": torch.version.cuda, "cards": cards}
