"""The report of a fault of the program: what helps to find it, and nothing secret.

It holds the versions, the command, the traceback, and what `jstyleid doctor` finds without Jittor.
It is made where something has gone wrong, so nothing that fails in it is passed on.
"""

import importlib.metadata
import json
import os
import platform
import re
import shlex
import subprocess
import sys
import traceback
from collections.abc import Iterator

_OWN = ("jstyleid-runner", "jstyleid-dreambooth", "jstyleid-core")
_PATIENCE = 60.0
"""Seconds for the checks of the machine."""
_DOCTOR = """
import dataclasses, json
from jstyleid_core.doctor import quick_checks
print(json.dumps([dataclasses.asdict(check) for check in quick_checks()], indent=1))
"""
_SECRET_NAMES = re.compile("token|key|secret|pass|credential|auth|cookie", re.IGNORECASE)
_SECRETS = re.compile(
    r"(?<=://)[^/\s@]+@"  # a password in an address
    r"|\b(?:hf|gh[a-z]|github_pat|glpat|sk|xox[a-z])[_-][\w-]{16,}"
    r"|(?:(?<=token=)|(?<=key=)|(?<=signature=)|(?<=bearer ))[^\s&'\"]+", re.IGNORECASE)
_LONG_PATH = re.compile(r"(?<![\w./~:-])~?/[^/\s'\":,]+(?:/[^/\s'\":,]+){4,}")
_PARTS = 3
"""Folders and file that are kept of a long path."""


def fault_report(error: Exception) -> Iterator[str]:
    """The report in parts, the quick ones first."""
    yield "command: " + plain(shlex.join(["jstyleid", *sys.argv[1:]])) + "\n"
    yield f"versions: {json.dumps(_versions(), indent=1)}\n"
    yield plain("".join(traceback.format_exception(error))) + "\n"
    yield f"what `jstyleid doctor` finds without starting Jittor: {plain(_doctor())}\n"


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


def _versions() -> dict[str, str]:
    """Of Python, the system, this project's packages and all that they need."""
    names = {"jittor", *_OWN}
    for own in _OWN:
        try:
            needed = importlib.metadata.requires(own) or []
        except importlib.metadata.PackageNotFoundError:
            continue
        names |= {found[0] for text in needed if (found := re.match(r"[\w.-]+", text))}
    versions = {"python": platform.python_version(), "system": platform.platform()}
    for name in sorted(names):
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def _doctor() -> str:
    """In a process of its own: a driver may hang, a library may end the process."""
    try:
        # Without the working directory among the folders of modules.
        ran = subprocess.run([sys.executable, "-P", "-c", _DOCTOR], capture_output=True,
                             text=True, errors="replace", stdin=subprocess.DEVNULL,
                             timeout=_PATIENCE, check=False)
    except (OSError, subprocess.SubprocessError, MemoryError, KeyboardInterrupt) as problem:
        return f"unknown, {type(problem).__name__}"
    if ran.returncode:
        return f"unknown, {(ran.stderr.strip().splitlines() or ['no message'])[-1]}"
    return ran.stdout
