"""The random choices of a run, each drawn for itself.

Every draw is a hash of what it is for, so that a picture can be made again alone: it depends
neither on the order of the work nor on the other styles and prompts of the run.
"""

import hashlib
import json

from jstyleid_core.errors import InputError
from jstyleid_runner.storage.split import StyleFolder

_SEEDS = 2**32


def content_seed(run_seed: int, style: str, prompt: str) -> int:
    """The seed of the noise that a prompt's content picture starts from."""
    return _draw("content", run_seed, style, prompt) % _SEEDS


def reference_index(style: StyleFolder, choice: str, run_seed: int) -> int:
    """Which of the style's sample images stands for it.

    `choice` is `first`, `random`, or a file's name with or without its suffix.
    """
    if choice == "first":
        return 0
    if choice == "random":
        return _draw("reference", run_seed, style.id) % len(style.references)
    for index, path in enumerate(style.references):
        if choice in {path.name, path.stem}:
            return index
    names = ", ".join(path.name for path in style.references)
    raise InputError(
        f"--reference {choice}: style {style.id} has no such image. Give first, random or one of "
        f"{names}."
    )


def _draw(*what: object) -> int:
    # JSON keeps ("1", "2") and ("12", "") apart, and escapes the same way everywhere.
    digest = hashlib.sha256(json.dumps(what).encode()).digest()
    return int.from_bytes(digest[:8], "big")
