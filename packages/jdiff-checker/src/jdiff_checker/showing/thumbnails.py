"""Small pictures that lie inside the page, as base64 data URIs."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from jdiff_checker.errors import UploadError

if TYPE_CHECKING:
    from PIL import Image

SIDE = 192
"""The longer side in pixels."""
_QUALITIES = (85, 78, 70, 62, 54, 46, 38, 30)


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
        path: a picture that was scored; it may have gone since.
        most_bytes: the JPEG gets the best quality that stays below. Grain compresses badly: at a
            fixed quality, its pages would be three times as large as those of flat drawings.

    Returns:
        The thumbnail; one that says why if the picture is gone or unreadable.
    """
    from PIL import Image

    from jdiff_checker.inputs.images import decode

    if not path.is_file():
        return Thumbnail(missing_because="file not found")
    try:
        picture = decode(path)
    except UploadError:
        return Thumbnail(missing_because="file not readable")
    picture.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    content = base64.b64encode(_jpeg(picture, most_bytes)).decode("ascii")
    return Thumbnail(f"data:image/jpeg;base64,{content}", picture.width, picture.height)


def _jpeg(picture: Image.Image, most_bytes: int) -> bytes:
    for quality in _QUALITIES:
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=quality, optimize=True)
        if buffer.tell() <= most_bytes:
            break
    return buffer.getvalue()
