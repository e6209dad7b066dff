"""Parity with diffusers, and bits that no thread shows in, on processors that are not here."""

from __future__ import annotations

from pathlib import Path

import pytest

from computing import INSTRUCTIONS, check_with_instructions

_TESTS = [Path(__file__).with_name(name) for name in (
    "test_kernels.py", "test_threads.py", "test_model_parity.py",
    "test_diffusion_parity.py::test_sampling_with_guidance",
    "test_diffusion_parity.py::test_inversion", "test_diffusion_parity.py::test_whole_styleid",
)]


@pytest.mark.parametrize("instructions", INSTRUCTIONS)
def test_parity_and_bits(instructions: str) -> None:
    check_with_instructions(instructions, *_TESTS)
