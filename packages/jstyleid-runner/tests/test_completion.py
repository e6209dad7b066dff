"""Completion in the shell."""

import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize(("words", "wanted"), [
    ("jstyleid tr", ["train", "transfer"]),
    ("jstyleid lora m", ["merge"]),
    ("jstyleid transfer --gam", ["--gamma"]),
])
def test_commands_and_options_are_completed(words: str, wanted: list[str]) -> None:
    variables = {"_JSTYLEID_COMPLETE": "complete_bash", "COMP_WORDS": words,
                 "COMP_CWORD": str(len(words.split()) - 1)}
    done = subprocess.run(
        [sys.executable, "-c", "import sys; sys.argv[0] = 'jstyleid'; "
         "sys.modules['jittor'] = None; from jstyleid_runner.cli import main; main()"],
        env=os.environ | variables, capture_output=True, text=True, check=False)
    assert sorted(done.stdout.split()) == wanted, done.stderr
