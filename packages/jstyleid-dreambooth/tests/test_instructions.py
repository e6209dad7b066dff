"""Parity with diffusers, peft and torch, and bits, on processors that are not here."""

from __future__ import annotations

from pathlib import Path

import pytest

from computing import INSTRUCTIONS, check_with_instructions

_TESTS = [Path(__file__).with_name(name)
          for name in ("test_threads.py", "test_parity.py", "test_training_parity.py")]


@pytest.mark.parametrize("instructions", INSTRUCTIONS)
def test_parity_and_bits(instructions: str) -> None:
    check_with_instructions(instructions, *_TESTS)
