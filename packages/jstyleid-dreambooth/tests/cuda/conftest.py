"""The tests of this folder compute on CUDA: on a card, or in the emulator (`tox -e cuda`)."""

import os

if os.environ.get("JSTYLEID_DEVICE") != "cuda":
    collect_ignore_glob = ["test_*.py"]
