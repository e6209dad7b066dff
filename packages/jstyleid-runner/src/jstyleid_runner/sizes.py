"""Reading `--size`: `512` for a square, `768x512` for width and height in pixels."""

import re

from jstyleid_core.errors import InputError

_SIZE = re.compile(r"([0-9]{1,5})(?:x([0-9]{1,5}))?", re.IGNORECASE)


def parse_size(text: str) -> tuple[int, int]:
    """Width and height. Whether a model can draw them is for the model to say."""
    match = _SIZE.fullmatch(text.strip())
    size = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
    if 0 in size:
        raise InputError(f"--size {text}: not a size. Give pixels, as 512 or 768x512.")
    return size
