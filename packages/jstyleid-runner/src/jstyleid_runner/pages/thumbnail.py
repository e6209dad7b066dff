"""Small pictures that lie inside the page, as base64 data URIs."""

import base64
import io
import os
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from jstyleid_core.errors import InputError
from jstyleid_core.images import open_image

SIDE = 384
"""The longer side in pixels, where there is room for it."""
_STEPS = ((SIDE, 78, 1.0), (SIDE, 60, 0.77), (SIDE, 40, 0.6), (288, 40, 0.36), (208, 40, 0.2),
          (144, 40, 0.1), (96, 30, 0.0))
"""Side, quality, and the share of the first one's bytes that it usually takes; best first.

A coarse picture shows more than a small one, down to a point.
"""


@dataclass(frozen=True)
class Thumbnail:
    """A small picture, or why there is none."""

    uri: str = ""
    """A data URI; empty where there is no picture."""
    width: int = SIDE
    height: int = SIDE
    missing_because: str = ""


def thumbnail(path: Path, most_bytes: int) -> Thumbnail:
    """Read the picture at `path` and make it small.

    Args:
        path: a picture, which need not be there.
        most_bytes: it gets the best quality that stays below. Grain compresses badly: at a fixed
            quality, its pages would be many times as large as those of flat drawings.
    """
    if not os.path.isfile(path):
        return Thumbnail(missing_because="missing")
    try:
        picture = open_image(path)
    except InputError:
        return Thumbnail(missing_because="not readable")
    width, height, content = _webp(picture, most_bytes)
    encoded = base64.b64encode(content).decode("ascii")
    return Thumbnail(f"data:image/webp;base64,{encoded}", width, height)


def _webp(picture: Image.Image, most_bytes: int) -> tuple[int, int, bytes]:
    first = 0
    buffer = io.BytesIO()
    for side, quality, share in _STEPS:
        if share * first > most_bytes:
            continue
        picture.thumbnail((side, side), Image.Resampling.LANCZOS)
        buffer = io.BytesIO()
        # A method above 2 gains a few percent and takes twice as long.
        picture.save(buffer, "WEBP", quality=quality, method=2)
        if buffer.tell() <= most_bytes:
            break
        first = first or buffer.tell()
    return picture.width, picture.height, buffer.getvalue()
