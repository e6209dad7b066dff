"""Image files: their checks and their pixels. No other module of this package opens one.

`inspect` checks a file, `decode` returns its pixels.
"""

from __future__ import annotations

import ctypes
import hashlib
import io
import re
import struct
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jdiff_checker.errors import UploadError
from jdiff_checker.files import read_regular

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFile import ImageFile

SUFFIXES: Mapping[str, tuple[str, ...]] = {
    "PNG": (".png", ".apng"),
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "MPO": (".mpo",),
    "WEBP": (".webp",),
    "TIFF": (".tif", ".tiff"),
    "BMP": (".bmp",),
    "DIB": (".dib",),
    "GIF": (".gif",),
    "AVIF": (".avif",),
    "JPEG2000": (".jp2", ".j2k", ".jpf", ".jpx"),
    "TGA": (".tga",),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm"),
    "QOI": (".qoi",),
}
"""Pillow's name of each accepted format, and its suffixes; the same that jstyleid reads.

The content decides, whatever the suffix. Some of Pillow's other readers start programs: an upload
must not reach them.
"""
_ALL_SUFFIXES = frozenset(suffix for each in SUFFIXES.values() for suffix in each)
MAX_PIXELS = 178_956_970
"""An image of more pixels is refused: half a gigabyte of RGB, Pillow's own limit."""
_DEEP_GREY = ("I", "F")
"""The beginnings of Pillow's modes of more than 8 bits."""
_ORIENTATION, _BITS, _PHOTOMETRIC, _LARGEST = 0x0112, 0x0102, 0x0106, 0x0119


@dataclass(frozen=True)
class Picture:
    """Facts about an image file, without its pixels.

    `sha256` is the hash of the file, `width` and `height` are in pixels, `mode` is Pillow's name of
    the stored pixel format. `not_applied` lists what viewers show and `decode` leaves out.
    """

    path: Path
    sha256: str
    width: int
    height: int
    mode: str
    not_applied: tuple[str, ...] = ()

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
    return path.suffix.lower() in _ALL_SUFFIXES


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
            not_applied=tuple(_not_applied(image)),
        )
        _check_whole(image)
    if picture.mode.startswith(_DEEP_GREY):
        decode(path)  # refuses one without a white
    return picture


def decode(path: Path) -> Image:
    """The image in 8-bit RGB, in the size and orientation of the stored pixels.

    Alpha is dropped, not composited, and neither an EXIF orientation nor a colour profile is
    applied, as in the official checker (where only the histograms apply the orientation, which
    changes none). Of an animation the first frame is taken. Grey of more than 8 bits is scaled by
    what its format defines as white, not clipped.

    Raises:
        UploadError: the file cannot be read or decoded, or its numbers have no defined white.
    """
    with _opened(path, _read(path)) as image:
        return _to_rgb(image)


def _not_applied(image: ImageFile) -> Iterator[str]:
    """What an image has that its pixels alone do not show."""
    # Pillow turns TIFF itself. Of a PNG without EXIF before its pixels it would decode the pixels.
    if image.format != "TIFF" and (image.format != "PNG" or "exif" in image.info):
        try:
            turned = image.getexif().get(_ORIENTATION) in range(2, 9)
        except Exception:  # Pillow raises nearly anything over broken EXIF; all viewers ignore it
            turned = False
        if turned:
            yield "an EXIF rotation"
    profile = image.info.get("icc_profile")
    if profile and _changes_colours(profile):
        yield "a colour profile"
    if image.format != "MPO" and getattr(image, "is_animated", False):
        yield "further frames"


def _changes_colours(profile: bytes) -> bool:
    """Whether a profile is of another space than sRGB; one that cannot be used changes nothing."""
    import numpy as np
    from PIL import Image, ImageCms

    levels = np.arange(0, 256, 15, dtype=np.uint8)
    cube = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1)
    cube = cube.reshape(len(levels), -1, 3)
    try:
        opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if opened.profile.xcolor_space.strip() != "RGB":
            return True
        moved = ImageCms.profileToProfile(Image.fromarray(cube), opened,
                                          ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return False
    difference = np.asarray(moved).astype(np.int16) - cube
    return bool(np.abs(difference).max() > 2)  # more than rounding does


def _read(path: Path) -> bytes:
    try:
        return read_regular(path)
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
        _silence_libtiff()
        # Pillow warns at half the limit, and over what it can do without.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(_without_text(data)), formats=_formats()) as image:
                _check_size(image.width * image.height)
                yield image
    except MemoryError:
        # The machine is at fault, not the file.
        raise
    except UnidentifiedImageError as error:
        raise UploadError(
            f"{path}: not a PNG, JPEG, WebP, TIFF or similar image, whatever its name says. "
            "Save it again as an RGB PNG."
        ) from error
    except (_RefusedError, Image.DecompressionBombError) as error:
        found = re.search(r"\((\d+) pixels\)", str(error))
        reason = _too_many(int(found[1])) if found else str(error)
        raise UploadError(f"{path}: {reason}.") from error
    except Exception as error:
        # On damaged bytes Pillow's readers raise nearly anything: SyntaxError, IndexError, ...
        reason = str(error).rstrip(".") or type(error).__name__
        raise UploadError(
            f"{path}: damaged or cannot be decoded: {reason}. Save it again as an RGB PNG."
        ) from error


class _RefusedError(Exception):
    """A whole image whose pixels are not defined well enough to be used."""


@cache
def _silence_libtiff() -> None:
    """Turn off libtiff's own lines on the standard error, which name neither file nor fix.

    They say more of what Pillow raises as well. libtiff has one handler of messages in a process;
    with none it prints nothing, in every thread. A libtiff that is built into Pillow without its
    names cannot be told.
    """
    from PIL import _imaging

    library = ctypes.CDLL(_imaging.__file__)  # finds names in the libraries that it needs, too
    for name in ("TIFFSetErrorHandler", "TIFFSetWarningHandler"):
        set_handler = getattr(library, name, None)
        if set_handler is not None:
            set_handler.argtypes, set_handler.restype = [ctypes.c_void_p], ctypes.c_void_p
            set_handler(None)


@cache
def _formats() -> tuple[str, ...]:
    """The formats that this Pillow has; older ones lack AVIF."""
    from PIL import Image

    Image.init()
    return tuple(name for name in SUFFIXES if name in Image.OPEN)


def _without_text(data: bytes) -> bytes:
    """A PNG without its texts: Pillow refuses long ones, and ComfyUI writes megabytes of them."""
    if not data.startswith(b"\x89PNG\r\n\x1a\n"):
        return data
    kept, at = [data[:8]], 8
    while at + 12 <= len(data):
        length, name = struct.unpack(">I4s", data[at : at + 8])
        if name not in (b"tEXt", b"zTXt", b"iTXt"):
            kept.append(data[at : at + 12 + length])
        at += 12 + length
    return b"".join(kept) + data[at:]


def _check_size(pixels: int) -> None:
    if pixels > MAX_PIXELS:
        raise _RefusedError(_too_many(pixels))


def _too_many(pixels: int) -> str:
    return (f"{pixels:,} pixels are too many: at most {MAX_PIXELS:,} are read. Make the image "
            "smaller")


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
    if image.mode.startswith(_DEEP_GREY):
        return _from_deep_grey(image)
    if image.mode == "LAB":
        from PIL import ImageCms

        converted = ImageCms.profileToProfile(image, ImageCms.createProfile("LAB"),
                                              ImageCms.createProfile("sRGB"), outputMode="RGB")
        assert converted is not None  # it is one only where the image is changed in place
        return converted
    if image.mode in ("P", "PA", "La", "RGBa"):
        # Over RGBA, a transparent palette colour stays the colour that the palette says.
        image = image.convert("RGBA")
    return image.convert("RGB")


def _from_deep_grey(image: Image) -> Image:
    """Grey of more than 8 bits, scaled by what its format defines as white."""
    import numpy as np
    from PIL import Image as PillowImage

    # Pillow scales the numbers of PNG, PPM and JPEG 2000 to 16 bits, in whatever mode.
    if image.mode == "F" or (image.mode == "I" and image.format not in ("PNG", "PPM", "JPEG2000")):
        kind = "floating point" if image.mode == "F" else "32 bits"
        raise _RefusedError(f"its numbers are of {kind}, which have no defined white. Save it with "
                            "8 or 16 bits")
    values = np.asarray(image).astype(np.int64)
    tags: Any = getattr(image, "tag_v2", {})
    white = 2 ** int(tags.get(_BITS, (16,))[0]) - 1
    largest = tags.get(_LARGEST)
    if isinstance(largest, tuple) and largest and 0 < largest[0] <= white:
        white = int(largest[0])
    grey = values.clip(0, white)
    if white == 65535 and 0 < grey.max() < 4096:
        raise _RefusedError(
            f"the largest of its 16-bit numbers is {grey.max()}, so nearly all of it would be "
            "black: its white is not known. Save it with 8 bits")
    if tags.get(_PHOTOMETRIC) == 0:  # white is zero, which Pillow heeds in 8 bits only
        grey = white - grey
    scaled = ((grey * 255 + white // 2) // white).astype(np.uint8)
    return PillowImage.fromarray(scaled).convert("RGB")
