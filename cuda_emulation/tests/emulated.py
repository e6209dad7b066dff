"""How a program of tests/programs is run, and what its lines say."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

Program = Callable[..., subprocess.CompletedProcess[str]]
"""Runs a program by its name, with arguments and, by keyword, environment variables."""


def numbers(ran: subprocess.CompletedProcess[str]) -> dict[str, list[float]]:
    """A program's lines: a name, then numbers."""
    assert ran.returncode == 0, ran.stdout + ran.stderr
    lines = [line.split() for line in ran.stdout.splitlines()]
    return {name: [float(value) for value in values] for name, *values in lines}


def words(ran: subprocess.CompletedProcess[str]) -> dict[str, str]:
    """A program's lines: a name, then one word."""
    return dict(line.split(maxsplit=1) for line in ran.stdout.splitlines() if " " in line)
