"""Image files: their checks and their pixels. No other module of this package opens one.

`inspect` checks a file, `decode` returns its pixels.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from jdiff_checker.errors import UploadError

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFile import ImageFile

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff"})
"""Suffixes of images, in any case; other files are not images."""

_FORMATS = ("PNG", "JPEG", "BMP", "WEBP", "TIFF")
"""Accepted formats, whatever the suffix. Some of Pillow's other readers start programs: an upload
must not reach them."""


@dataclass(frozen=True)
class Picture:
    """Facts about an image file, without its pixels.

    `sha256` is the hash of the file, `width` and `height` are in pixels, `mode` is Pillow's name of
    the stored pixel format.
    """

    path: Path
    sha256: str
    width: int
    height: int
    mode: str

    @property
    def name(self) -> str:
        """The file's name without its folder."""
        return self.path.name

    @property
    def converted_from(self) -> str | None:
        """The mode that `decode` converts from; None when the file is RGB already."""
        return None if self.mode == "RGB" else self.mode


def is_image_name(path: Path) -> bool:
    """True if the suffix is that of an image."""
    return path.suffix.lower() in IMAGE_SUFFIXES


def inspect(path: Path) -> Picture:
    """Check that the file is an image and whole; a PNG is checked without decoding its pixels.

    Raises:
        UploadError: the file cannot be read, is not an image, is damaged or cut short.
    """
    data = _read(path)
    with _opened(path, data) as image:
        picture = Picture(
            path=path,
            sha256=hashlib.sha256(data).hexdigest(),
            width=image.width,
            height=image.height,
            mode=image.mode,
        )
        _check_whole(image)
    return picture


def decode(path: Path) -> Image:
    """The image in 8-bit RGB, in the size and orientation of the stored pixels.

    Alpha is dropped, not composited, and an EXIF orientation is not applied, as in the official
    checker (where only the histograms apply it, which changes none). 16-bit grey (0 to 65535) is
    scaled to 0 to 255, not clipped.

    Raises:
        UploadError: the file cannot be read or decoded.
    """
    with _opened(path, _read(path)) as image:
        return _to_rgb(image)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UploadError(
            f"{path}: cannot be read: {error.strerror or error}. Check the file and its "
            "permissions."
        ) from error


@contextmanager
def _opened(path: Path, data: bytes) -> Iterator[ImageFile]:
    """Pillow's image of `data`; any exception in the block becomes an error that names `path`."""
    from PIL import Image, UnidentifiedImageError

    try:
        if not data:
            raise ValueError("the file is empty")
        with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
            yield image
    except MemoryError:
        # The machine is at fault, not the file.
        raise
    except UnidentifiedImageError as error:
        raise UploadError(
            f"{path}: not a PNG, JPEG, BMP, WebP or TIFF image, whatever its name says. "
            "Save it again as an RGB PNG."
        ) from error
    except Exception as error:
        # On damaged bytes Pillow's readers raise nearly anything: SyntaxError, IndexError, ...
        reason = str(error).rstrip(".") or type(error).__name__
        raise UploadError(
            f"{path}: damaged or cannot be decoded: {reason}. Save it again as an RGB PNG."
        ) from error


def _check_whole(image: ImageFile) -> None:
    """Let Pillow read `image` to its end; the image cannot be used afterwards.

    Raises:
        Exception: what Pillow raises over a damaged file or one cut short, of many types.
    """
    if image.format != "PNG":
        image.load()
    elif not image.tile:
        raise ValueError("it has no pixels")
    else:
        # Checks every chunk, also the last one, which `load` never reads.
        image.verify()


def _to_rgb(image: Image) -> Image:
    if image.mode == "RGB":
        image.load()
        return image.copy()
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PNG"):
        return _from_16_bit(image)
    if image.mode in ("I", "F"):
        raise ValueError(f"its numbers (mode {image.mode}) have no defined white")
    if image.mode in ("P", "PA", "La", "RGBa"):
        # Over RGBA, a transparent palette colour stays the colour that the palette says.
        image = image.convert("RGBA")
    return image.convert("RGB")


def _from_16_bit(image: Image) -> Image:
    import numpy as np
    from PIL import Image as PillowImage

    values = np.asarray(image).astype(np.uint32)
    # 65535 is 257 x 255; Pillow's own conversion would clip at 255.
    grey = ((values + 128) // 257).astype(np.uint8)
    return PillowImage.fromarray(grey).convert("RGB")
