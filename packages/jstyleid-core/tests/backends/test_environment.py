"""What is said where JDiffusion is missing, or is not what it must be."""

from __future__ import annotations

import importlib.metadata
import re

import pytest

from jstyleid_core.backends.jdiffusion import environment
from jstyleid_core.runtime import requirements
from jstyleid_core.runtime.requirements import RuntimeSetupError


def install(monkeypatch: pytest.MonkeyPatch, **versions: str) -> None:
    """Pretend that these distributions are installed, and no others."""

    def version(name: str) -> str:
        if name not in versions:
            raise importlib.metadata.PackageNotFoundError(name)
        return versions[name]

    monkeypatch.setattr(importlib.metadata, "version", version)


def everything() -> dict[str, str]:
    return {each.name: each.version or "1" for each in environment.requirements()}


def test_the_forks_are_pinned_to_commits() -> None:
    lines = (environment.INSTALL / "forks.txt").read_text().splitlines()
    forks = [line for line in lines if " @ " in line]
    assert len(forks) == 5
    for line in forks:
        address, _, commit = line.partition(".git@")
        assert "git+https://github.com/JittorRepos/" in address
        assert re.fullmatch("[0-9a-f]{40}", commit)


def test_a_whole_environment_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, **everything())
    environment.check()


def test_the_message_names_what_is_wrong_and_the_way(monkeypatch: pytest.MonkeyPatch) -> None:
    # A real torch beside jtorch would take the name of its module.
    there = {**everything(), "torch": "2.13.0", "tokenizers": "0.12.0"}
    del there["jtorch"]
    install(monkeypatch, **there)
    with pytest.raises(RuntimeSetupError) as caught:
        environment.check()
    message = str(caught.value)
    assert "environment: jtorch is missing, torch 2.13.0 (checked with 2.0.0). In" in message
    assert f"pip install --no-deps --no-build-isolation -r {environment.INSTALL}" in message


def test_jittor_is_held_to_the_version_of_its_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    install(monkeypatch, jittor="1.3.11.0")
    assert requirements.jittor_version() == "1.3.11.0"
    install(monkeypatch, jittor="1.3.9.5")
    with pytest.raises(RuntimeSetupError, match=r"checked with 1\.3\.11 only"):
        requirements.jittor_version()
    install(monkeypatch, jittor="1.3.9.5", JDiffusion="1.0")
    assert requirements.jittor_version() == "1.3.9.5"
    install(monkeypatch, jittor="1.3.11.0", JDiffusion="1.0")
    with pytest.raises(RuntimeSetupError, match=r"runs on its own fork 1\.3\.9 only"):
        requirements.jittor_version()
