"""Image files: read as 8-bit RGB in sRGB, upright, and written as PNG.

No other module opens an image file. Only the formats of `SUFFIXES` are read, by their content
whatever the suffix says: some of Pillow's other readers start programs.
"""

from __future__ import annotations

import ctypes
import io
import os
import re
import struct
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, UnidentifiedImageError, _imaging
from PIL.PngImagePlugin import PngInfo

from jstyleid_core.errors import InputError
from jstyleid_core.files import atomic_path, read_regular
from jstyleid_core.notes import note_once

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
"""Pillow's name of each format that is read, and its suffixes."""
_ALL_SUFFIXES = frozenset(suffix for each in SUFFIXES.values() for suffix in each)
MAX_PIXELS = 178_956_970
"""A picture of more pixels is refused: half a gigabyte of RGB, Pillow's own limit."""

# What people take for a picture, by its first bytes.
_NO_PICTURES = (
    (rb"version https://git-lfs", "a pointer of Git LFS: run `git lfs pull`"),
    (rb"(?i)\s*<(!doctype html|html)", "a page of HTML, as a failed download leaves"),
    (rb"(?i)\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)?<svg", "an SVG drawing"),
    (rb"%!PS|\xc5\xd0\xd3\xc6", "an EPS drawing"),
    (rb"%PDF", "a PDF document"),
    (rb"8BP[SB]", "a Photoshop document"),
    (rb"....ftyp(heic|heix|heim|heis|hevc|mif1|msf1)", "a HEIC picture"),
    (rb"....JXL |\xff\x0a", "a JPEG XL picture"),
    (rb"\x89HDF", "an HDF5 file"),
    (rb"SIMPLE  =", "a FITS file"),
    (rb"PK\x03\x04", "a ZIP archive"),
)

_TRANSPOSE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ORIENTATION, _BITS, _PHOTOMETRIC, _LARGEST = 0x0112, 0x0102, 0x0106, 0x0119


class _RefusedError(Exception):
    """A whole picture whose pixels are not defined well enough to be used."""


def is_image_name(path: Path) -> bool:
    """Whether a file's suffix is that of a picture, in any case."""
    return path.suffix.lower() in _ALL_SUFFIXES


def open_image(path: str | os.PathLike[str]) -> Image.Image:
    """Read a picture as 8-bit RGB in sRGB, upright.

    The EXIF rotation is applied, and broken EXIF ignored; colour profiles are converted to sRGB;
    transparent parts are laid over white; palette, grey, CMYK and 16-bit pictures are converted;
    of an animation the first frame is taken, which the log says.

    Raises:
        InputError: the file is missing, damaged, truncated, too large, or not a picture; or its
            numbers have no defined white.
    """
    path = Path(path)
    data = _read(path)
    try:
        stream = io.BytesIO(_without_text(data))
        with _quiet(), Image.open(stream, formats=_formats()) as source:
            _check_size(source.size)
            source.load()
            _note_frames(path, source)
            return _to_rgb(path, source)
    except MemoryError:
        raise
    except UnidentifiedImageError as error:
        known = (name for start, name in _NO_PICTURES if re.match(start, data, re.DOTALL))
        what = next(known, "no picture of a known format")
        raise InputError(f"{path}: not a picture but {what}. "
                         "Give a PNG, JPEG, WebP, TIFF or similar file.") from error
    except (_RefusedError, Image.DecompressionBombError) as error:
        raise InputError(f"{path}: {_refusal(error)}") from error
    except Exception as error:
        # On damaged bytes Pillow's readers raise nearly anything: SyntaxError, IndexError, ...
        reason = str(error).rstrip(".") or type(error).__name__
        raise InputError(
            f"{path}: the picture is damaged or truncated ({reason}). Replace the file."
        ) from error


def _read(path: Path) -> bytes:
    try:
        data = read_regular(path)
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such picture. Check the path.") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}. Check the file and "
                         "its permissions.") from error
    if not data:
        raise InputError(f"{path}: the file is empty. Replace the file.")
    return data


@contextmanager
def _quiet() -> Iterator[None]:
    """Without Pillow's warnings: at half the limit of pixels, and over what it can do without."""
    _silence_libtiff()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@cache
def _silence_libtiff() -> None:
    """Turn off libtiff's own lines on the standard error, which name neither file nor fix.

    They say more of what Pillow raises as well. libtiff has one handler of messages in a process;
    with none it prints nothing, in every thread. A libtiff that is built into Pillow without its
    names cannot be told.
    """
    library = ctypes.CDLL(_imaging.__file__)  # finds names in the libraries that it needs, too
    for name in ("TIFFSetErrorHandler", "TIFFSetWarningHandler"):
        set_handler = getattr(library, name, None)
        if set_handler is not None:
            set_handler.argtypes, set_handler.restype = [ctypes.c_void_p], ctypes.c_void_p
            set_handler(None)


@cache
def _formats() -> tuple[str, ...]:
    """The formats that this Pillow has; older ones lack AVIF."""
    Image.init()
    return tuple(name for name in SUFFIXES if name in Image.OPEN)


def _without_text(data: bytes, keep: str | None = None) -> bytes:
    """A PNG without its texts but one: Pillow refuses long ones, and ComfyUI writes megabytes."""
    if not data.startswith(b"\x89PNG\r\n\x1a\n"):
        return data
    kept, at = [data[:8]], 8
    while at + 12 <= len(data):
        length, name = struct.unpack(">I4s", data[at : at + 8])
        end = at + 12 + length
        wanted = keep is not None and data[at + 8 : end].startswith(keep.encode() + b"\0")
        if wanted or name not in (b"tEXt", b"zTXt", b"iTXt"):
            kept.append(data[at:end])
        at = end
    return b"".join(kept) + data[at:]


def _check_size(size: tuple[int, int]) -> None:
    pixels = size[0] * size[1]
    if pixels > MAX_PIXELS:
        raise _RefusedError(_too_many(pixels))


def _too_many(pixels: int) -> str:
    return (f"{pixels:,} pixels are too many: at most {MAX_PIXELS:,} are read. Make the picture "
            "smaller.")


def _refusal(error: Exception) -> str:
    """Why a picture is refused; Pillow refuses one of very many pixels before its size is known."""
    found = re.search(r"\((\d+) pixels\)", str(error))
    return _too_many(int(found[1])) if found else str(error)


def _note_frames(path: Path, image: Image.Image) -> None:
    # The further pictures of an MPO are small or from another angle.
    if image.format != "MPO" and getattr(image, "is_animated", False):
        frames: Any = image
        note_once(f"{path}: {frames.n_frames} frames or pages; the first one is used")


def _to_rgb(path: Path, image: Image.Image) -> Image.Image:
    profile = image.info.get("icc_profile")
    upright = _upright(image)
    if image.mode.startswith("I") or image.mode == "F":
        # Pillow would clip 16-bit values at 255 instead of scaling them.
        upright = Image.fromarray(_eight_bits(image, np.asarray(upright)))
    if not upright.has_transparency_data:
        return _to_srgb(path, upright, profile)
    layered = upright.convert("RGBA")
    colours = _to_srgb(path, layered.convert("RGB"), profile)
    colours.putalpha(layered.getchannel("A"))
    white = Image.new("RGBA", colours.size, "white")
    return Image.alpha_composite(white, colours).convert("RGB")


def _upright(image: Image.Image) -> Image.Image:
    try:
        orientation = image.getexif().get(_ORIENTATION)
    except Exception:  # Pillow raises nearly anything over broken EXIF; all viewers ignore it
        orientation = None
    method = _TRANSPOSE.get(orientation) if isinstance(orientation, int) else None
    return image.copy() if method is None else image.transpose(method)


def _eight_bits(image: Image.Image, values: NDArray[Any]) -> NDArray[np.uint8]:
    """Grey of more than 8 bits, scaled by what its format defines as white."""
    tags: Any = getattr(image, "tag_v2", {})
    # Pillow scales the numbers of PNG, PPM and JPEG 2000 to 16 bits, in whatever mode.
    if image.mode == "F" or (image.mode == "I" and image.format not in ("PNG", "PPM", "JPEG2000")):
        kind = "floating point" if image.mode == "F" else "32 bits"
        raise _RefusedError(f"its numbers are of {kind}, which have no defined white. Save the "
                            "picture with 8 or 16 bits.")
    white = 2 ** int(tags.get(_BITS, (16,))[0]) - 1
    largest = tags.get(_LARGEST)
    if isinstance(largest, tuple) and largest and 0 < largest[0] <= white:
        white = int(largest[0])
    grey = np.clip(values.astype(np.int64), 0, white)
    if white == 65535 and 0 < grey.max() < 4096:
        raise _RefusedError(
            f"the largest of its 16-bit numbers is {grey.max()}, so nearly all of it would be "
            "black: its white is not known. Save the picture with 8 bits.")
    if tags.get(_PHOTOMETRIC) == 0:  # white is zero, which Pillow heeds in 8 bits only
        grey = white - grey
    return ((grey * 255 + white // 2) // white).astype(np.uint8)


def _to_srgb(path: Path, image: Image.Image, profile: bytes | None) -> Image.Image:
    """The picture in sRGB; without a profile its numbers are taken for sRGB."""
    if image.mode == "LAB":
        return _transformed(image, ImageCms.createProfile("LAB"))
    if image.mode not in ("L", "CMYK"):
        image = image.convert("RGB")
    if not profile:
        return image.convert("RGB")
    try:
        opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        space = opened.profile.xcolor_space.strip()
        if space == "RGB" and image.mode == "L":
            image = image.convert("RGB")
        if {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}.get(space) != image.mode:
            raise ValueError(f"it is for {space}")
        if image.mode == "RGB" and _is_srgb(opened):
            return image
        return _transformed(image, opened)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError) as error:
        note_once(f"{path}: its colour profile is ignored, as it cannot be used: {error}")
        return image.convert("RGB")


def _is_srgb(profile: Any) -> bool:
    """Whether a profile changes no colour by more than rounding does."""
    levels = np.arange(0, 256, 15, dtype=np.uint8)
    cube = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1)
    cube = cube.reshape(len(levels), -1, 3)
    moved = np.asarray(_transformed(Image.fromarray(cube), profile)).astype(np.int16)
    return bool(np.abs(moved - cube).max() <= 2)


def _transformed(image: Image.Image, profile: Any) -> Image.Image:
    converted = ImageCms.profileToProfile(
        image, profile, ImageCms.createProfile("sRGB"), outputMode="RGB")
    assert converted is not None  # it is one only where the picture is changed in place
    converted.info.pop("icc_profile", None)
    return converted


def read_png_text(path: Path, key: str) -> str | None:
    """The text chunk `key` of a PNG; None for one without, or a picture of another format.

    The file is checked from its first to its last byte.

    Raises:
        FileNotFoundError: there is no file.
        InputError: it is no whole picture.
    """
    data = read_regular(path)
    try:
        stream = io.BytesIO(_without_text(data, keep=key))
        with _quiet(), Image.open(stream, formats=_formats()) as image:
            text = image.info.get(key) if image.format == "PNG" else None
            image.verify()
    except MemoryError:
        raise
    except Exception as error:  # see `open_image`
        raise InputError(f"{path}: {error or type(error).__name__}") from error
    return text if isinstance(text, str) else None


def encode_png(image: Image.Image, text: Mapping[str, str] | None = None) -> bytes:
    """A picture as the bytes of a PNG file, with `text` as its text chunks."""
    data = io.BytesIO()
    image.save(data, format="PNG", pnginfo=_text_chunks(text))
    return data.getvalue()


def save_png(
    image: Image.Image, path: str | os.PathLike[str], text: Mapping[str, str] | None = None
) -> None:
    """Write a PNG, whole or not at all, with `text` as its text chunks.

    Raises:
        OutputError: the folder cannot be written to, or the disk is full.
    """
    with atomic_path(path) as temporary:
        image.save(temporary, format="PNG", pnginfo=_text_chunks(text))


def _text_chunks(text: Mapping[str, str] | None) -> PngInfo:
    info = PngInfo()
    for key, value in (text or {}).items():
        info.add_text(key, value)
    return info
