"""Image files: their checks and their pixels. No other module of this package opens one.

`inspect` looks at a file without decoding its pixels, `decode` gives the pixels.
"""

from __future__ import annotations

import hashlib
import io
import re
import struct
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
"""Files with other suffixes are not taken for images; the suffix may be in any case."""

_FORMATS = ("PNG", "JPEG", "BMP", "WEBP", "TIFF")
"""What a file may hold, whatever its suffix. Pillow's other readers, some of which start programs,
stay out of the reach of an upload."""

_CUT_SHORT = "the file is cut short"
_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
"""The next JPEG marker in coded pixels: not a stuffed byte, a fill byte or a restart marker."""
_JPEG_END = 0xD9
_JPEG_WITHOUT_LENGTH = (0x01, 0xD8)
_PLAIN_TIFF = 42
_TIFF_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}
_TIFF_STRIPS = (273, 279)
_TIFF_TILES = (324, 325)


@dataclass(frozen=True)
class Picture:
    """What is known of an image file without its pixels.

    `sha256` is of the file's bytes, `width` and `height` are in pixels, `mode` is Pillow's name for
    how the file stores its pixels.
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
    """Whether the suffix is that of an image."""
    return path.suffix.lower() in IMAGE_SUFFIXES


def inspect(path: Path) -> Picture:
    """Read the file's bytes once, and check that it is an image and whole; decode no pixels.

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
        check_whole(data, image)
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
    """Pillow's image of `data`; whatever fails in the block becomes an error that names `path`."""
    from PIL import Image, UnidentifiedImageError

    try:
        if not data:
            raise ValueError("the file is empty")
        with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
            yield image
    except MemoryError:
        # This says something about the machine, not about the file.
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


def check_whole(data: bytes, image: ImageFile) -> None:
    """Check `image`, just opened from `data`, as far as its format allows.

    PNG: every chunk's checksum. JPEG: the end marker is there (more may follow it). The others: the
    file is as long as its header says. `image` cannot be used afterwards.

    Raises:
        ValueError: the file is cut short.
        Exception: what Pillow raises over a damaged PNG, of many types.
    """
    if image.format == "PNG":
        if not image.tile:
            raise ValueError("it has no pixels")
        image.verify()
    elif data.startswith(b"\xff\xd8"):
        _check_jpeg(data)
    elif image.format == "WEBP":
        _check_length(data, 8 + int.from_bytes(data[4:8], "little"))
    elif image.format == "TIFF":
        _check_tiff(data, image)
    elif image.format == "BMP":
        _check_raw(data, image)


def _check_jpeg(data: bytes) -> None:
    """Follow the segments: a thumbnail inside one has an end marker of its own."""
    place = 2
    while (found := _MARKER.search(data, place)) is not None:
        kind = data[found.start() + 1]
        place = found.end()
        if kind == _JPEG_END:
            return
        if kind not in _JPEG_WITHOUT_LENGTH:
            place += int.from_bytes(data[place : place + 2], "big")
    raise ValueError(f"{_CUT_SHORT}: it has no end marker")


def _check_tiff(data: bytes, image: ImageFile) -> None:
    _check_tiff_tags(data)
    tags = getattr(image, "tag_v2", {})
    for offsets, lengths in (_TIFF_STRIPS, _TIFF_TILES):
        for offset, length in zip(tags.get(offsets, ()), tags.get(lengths, ()), strict=False):
            _check_length(data, offset + length)


def _check_tiff_tags(data: bytes) -> None:
    """Pillow goes on without tags that are cut off, and may then get the colours wrong."""
    order = "<" if data[:2] == b"II" else ">"
    version, start = struct.unpack_from(order + "2xHI", data)
    if version != _PLAIN_TIFF:
        return
    (count,) = struct.unpack_from(order + "H", data, start)
    _check_length(data, start + 2 + 12 * count)
    for number in range(count):
        place = start + 2 + 12 * number
        kind, values, offset = struct.unpack_from(order + "2xHII", data, place)
        length = _TIFF_TYPE_BYTES.get(kind, 0) * values
        # Up to four bytes stand in the entry itself.
        if length > 4:
            _check_length(data, offset + length)


def _check_raw(data: bytes, image: ImageFile) -> None:
    for decoder, extent, offset, arguments in image.tile:
        if decoder == "raw" and extent is not None and isinstance(arguments, tuple):
            stride = arguments[1]
            _check_length(data, offset + stride * (extent[3] - extent[1]))


def _check_length(data: bytes, needed: int) -> None:
    if len(data) < needed:
        raise ValueError(f"{_CUT_SHORT}: {len(data)} of {needed} bytes")
