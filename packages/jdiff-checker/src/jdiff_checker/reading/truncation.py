"""Finding image files that were cut short or changed, without decoding their pixels."""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

_CUT_SHORT = "the file is cut short"
_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
"""The next JPEG marker in coded pixels: not a stuffed byte, a fill byte or a restart marker."""
_JPEG_END = 0xD9
_JPEG_WITHOUT_LENGTH = (0x01, 0xD8)
_PLAIN_TIFF = 42
_TIFF_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}
_TIFF_STRIPS = (273, 279)
_TIFF_TILES = (324, 325)


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
