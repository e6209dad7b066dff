"""Image files as cameras, editors and downloads leave them, with what both packages make of them.

`jstyleid` shows a picture as a viewer does. `jdiff-check` takes the pixels as they are stored,
where the official score does: `stored` is its answer where the two differ.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import PIL
from PIL import Image, ImageCms, TiffImagePlugin
from PIL.PngImagePlugin import PngInfo

Colour = tuple[int, int, int]
WHITE, RED, GREY = (255, 255, 255), (255, 0, 0), (128, 128, 128)


@dataclass(frozen=True)
class Seen:
    """What is read: the colour of the first pixel, and the size."""

    colour: Colour
    size: tuple[int, int] = (4, 2)
    tolerance: int = 1


@dataclass(frozen=True)
class Refused:
    """A part of the message."""

    message: str


@dataclass(frozen=True)
class ImageCase:
    """A file and what is made of it.

    Attributes:
        make: writes the file.
        viewed: what `jstyleid` reads.
        stored: what `jdiff-check` reads, where it is something else.
        format: Pillow's name of the format, where some versions lack it.
    """

    name: str
    file: str
    make: Callable[[Path], None]
    viewed: Seen | Refused
    stored: Seen | Refused | None = None
    format: str | None = None

    @property
    def scored(self) -> Seen | Refused:
        """What `jdiff-check` reads."""
        return self.viewed if self.stored is None else self.stored


def _saved(mode: str, colour: object, **options: object) -> Callable[[Path], None]:
    return lambda path: Image.new(mode, (4, 2), colour).save(path, **options)  # type: ignore[arg-type]


def _grey(dtype: str, value: float, **options: object) -> Callable[[Path], None]:
    """Numbers of this type, which decides the mode."""
    array = np.full((2, 4), value, dtype)
    return lambda path: Image.fromarray(array).save(path, **options)  # type: ignore[arg-type]


def _exif(orientation: int | None, broken: bool) -> bytes:
    """EXIF with an orientation, and one tag whose type is wrong."""
    entries = []
    if orientation is not None:
        entries.append(struct.pack("<HHIHH", 0x112, 3, 1, orientation, 0))
    if broken:
        entries.append(struct.pack("<HHI4s", 0x11A, 2, 4, b"72\0\0"))
    return b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + b"".join(entries) + (
        b"\0" * 4)


def _turned(
    orientation: int, first: tuple[int, int], *, broken: bool = False, **options: object
) -> Callable[[Path], None]:
    """Red, and white at the stored pixel that is the first one upright."""
    def make(path: Path) -> None:
        image = Image.new("RGB", (4, 2), RED)
        image.putpixel(first, WHITE)
        image.save(path, exif=_exif(orientation, broken), **options)  # type: ignore[arg-type]
    return make


def _with_bytes(data: bytes) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        path.write_bytes(data)
    return make


def _png() -> bytes:
    data = io.BytesIO()
    Image.effect_noise((64, 64), 90).convert("RGB").save(data, "PNG")
    return data.getvalue()


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(
        ">I", zlib.crc32(name + content))


def _large_png(side: int) -> bytes:
    """A PNG that says it is so large."""
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header)
            + _chunk(b"IDAT", zlib.compress(b"\0" * 100)) + _chunk(b"IEND", b""))


def _workflow(path: Path) -> None:
    info = PngInfo()
    info.add_text("workflow", "x" * 1_100_000, zip=True)
    Image.new("RGB", (4, 2), RED).save(path, pnginfo=info)


def _frames(path: Path) -> None:
    Image.new("RGB", (4, 2), RED).save(
        path, save_all=True, append_images=[Image.new("RGB", (4, 2), "blue")], lossless=True)


def _clear_palette(path: Path) -> None:
    image = Image.new("P", (4, 2))
    image.putpalette([10, 20, 30] * 256)
    image.save(path, transparency=0)


def _tiff(dtype: str, value: float, **tags: int) -> Callable[[Path], None]:
    directory = TiffImagePlugin.ImageFileDirectory_v2()
    for name, number in tags.items():
        directory[{"photometric": 262, "largest": 281}[name]] = number
    return _grey(dtype, value, tiffinfo=directory)


def _twelve_bits(path: Path) -> None:
    """Twelve bits a number, packed, all 2048."""
    tags = [(256, 4, 4), (257, 4, 2), (258, 3, 12), (259, 3, 1), (262, 3, 1), (273, 4, 0),
            (277, 3, 1), (278, 4, 2), (279, 4, 12)]
    offset = 8 + 2 + 12 * len(tags) + 4
    entries = b"".join(struct.pack("<HHII", tag, kind, 1, offset if tag == 273 else value)
                       for tag, kind, value in tags)
    path.write_bytes(b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + entries + b"\0" * 4
                     + b"\x80\x08\x00" * 4)


def _profile(name: str) -> bytes:
    """sRGB, or a space whose first two colours are exchanged."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    if name == "swapped":
        profile = profile.replace(b"rXYZ", b"xXYZ").replace(b"gXYZ", b"rXYZ").replace(
            b"xXYZ", b"gXYZ")
    return profile


CASES: tuple[ImageCase, ...] = (
    # Rotation, and EXIF as it is found.
    ImageCase("a rotated photo", "a.jpg", _turned(6, (0, 1), quality=100, subsampling=0),
              Seen(WHITE, (2, 4), 9), Seen(RED, (4, 2), 9)),
    ImageCase("a rotated photo with broken EXIF", "a.jpg",
              _turned(6, (0, 1), broken=True, quality=100, subsampling=0),
              Seen(WHITE, (2, 4), 9), Seen(RED, (4, 2), 9)),
    ImageCase("a rotated PNG with broken EXIF", "a.png", _turned(8, (3, 0), broken=True),
              Seen(WHITE, (2, 4)), Seen(RED)),
    ImageCase("a mirrored WebP with broken EXIF", "a.webp",
              _turned(7, (3, 1), broken=True, lossless=True), Seen(WHITE, (2, 4)), Seen(RED)),
    ImageCase("an orientation that does not exist", "a.png", _turned(9, (0, 0)), Seen(WHITE)),
    ImageCase("EXIF that is noise", "a.png", _saved("RGB", RED, exif=b"Exif\0\0II*\0\xff\xff"),
              Seen(RED)),
    # Grey of all depths.
    ImageCase("1 bit", "a.png", _saved("1", 1), Seen(WHITE)),
    ImageCase("16 bits", "a.png", _grey("u2", 32768), Seen(GREY)),
    ImageCase("16 bits in TIFF", "a.tif", _grey("u2", 32768), Seen(GREY)),
    ImageCase("16 bits in TIFF, white is zero", "a.tif",
              _tiff("u2", 0, photometric=0), Seen(WHITE)),
    ImageCase("16 bits in PGM", "a.pgm", _grey("u2", 32768), Seen(GREY)),
    ImageCase("16 bits, black", "a.png", _grey("u2", 0), Seen((0, 0, 0))),
    ImageCase("12 bits in TIFF", "a.tif", _twelve_bits, Seen(GREY)),
    ImageCase("12 bits in 16 with the largest number named", "a.tif",
              _tiff("u2", 2048, largest=4095), Seen(GREY)),
    ImageCase("12 bits in 16", "a.png", _grey("u2", 4095),
              Refused("largest of its 16-bit numbers is 4095")),
    ImageCase("8 bits in 16", "a.png", _grey("u2", 255),
              Refused("largest of its 16-bit numbers is 255")),
    ImageCase("32 bits", "a.tif", _grey("i4", 70000), Refused("no defined white")),
    ImageCase("32 bits, negative", "a.tif", _grey("i4", -5), Refused("no defined white")),
    ImageCase("floating point", "a.tif", _grey("f4", 0.5), Refused("no defined white")),
    ImageCase("not a number", "a.tif", _grey("f4", np.nan), Refused("no defined white")),
    # Colours.
    ImageCase("CMYK", "a.tif", _saved("CMYK", (0, 255, 255, 0)), Seen(RED)),
    ImageCase("CMYK as Adobe inverts it", "a.jpg",
              _saved("CMYK", (0, 255, 255, 0), quality=100), Seen(RED, tolerance=3)),
    # Pillow 12, the last for Python 3.10, does not read the plain YCbCr that it writes.
    ImageCase("YCbCr", "a.tif",
              _saved("YCbCr", (76, 85, 255),
                     compression="raw" if int(PIL.__version__.split(".")[0]) >= 13 else "tiff_lzw"),
              Seen((254, 0, 0), tolerance=2)),
    ImageCase("Lab", "a.tif", _saved("LAB", (255, 128, 128)), Seen(WHITE, tolerance=2)),
    ImageCase("the profile of sRGB", "a.png", _saved("RGB", (200, 30, 40),
                                                     icc_profile=_profile("sRGB")),
              Seen((200, 30, 40), tolerance=0)),
    ImageCase("a profile of other colours", "a.png",
              _saved("RGB", (0, 255, 0), icc_profile=_profile("swapped")),
              Seen(RED, tolerance=2), Seen((0, 255, 0))),
    ImageCase("a profile that is noise", "a.png", _saved("RGB", RED, icc_profile=b"noise" * 30),
              Seen(RED)),
    ImageCase("grey with a profile of colours", "a.png",
              _saved("L", 128, icc_profile=_profile("sRGB")), Seen(GREY)),
    # Transparency and frames.
    ImageCase("transparent", "a.png", _saved("RGBA", (255, 0, 0, 0)), Seen(WHITE), Seen(RED)),
    ImageCase("a transparent palette", "a.png", _clear_palette, Seen(WHITE), Seen((10, 20, 30))),
    ImageCase("a transparent colour", "a.png", _saved("RGB", RED, transparency=RED), Seen(WHITE),
              Seen(RED)),
    ImageCase("an animation in GIF", "a.gif", _frames, Seen(RED)),
    ImageCase("an animation in WebP", "a.webp", _frames, Seen(RED)),
    ImageCase("an animation in PNG", "a.png", _frames, Seen(RED)),
    ImageCase("two pages", "a.tif", _frames, Seen(RED)),
    ImageCase("two pictures of a camera", "a.mpo", _frames, Seen((254, 0, 0), tolerance=2)),
    # Containers.
    ImageCase("a download of Chrome", "a.jfif", _saved("RGB", RED, format="JPEG", quality=100),
              Seen((254, 0, 0), tolerance=2)),
    ImageCase("a JPEG called PNG", "a.png", _saved("RGB", RED, format="JPEG", quality=100),
              Seen((254, 0, 0), tolerance=2)),
    ImageCase("AVIF", "a.avif", _saved("RGB", RED, quality=100),
              Seen((254, 0, 0), tolerance=4), format="AVIF"),
    ImageCase("JPEG 2000", "a.jp2", _saved("RGB", RED), Seen(RED), format="JPEG2000"),
    ImageCase("Targa", "a.tga", _saved("RGB", RED), Seen(RED)),
    ImageCase("PPM", "a.ppm", _saved("RGB", RED), Seen(RED)),
    ImageCase("QOI", "a.qoi", _with_bytes(
        b"qoif" + struct.pack(">IIBB", 4, 2, 3, 0) + b"\xfe\xff\0\0\xc6" + b"\0" * 7 + b"\x01"),
              Seen(RED)),
    ImageCase("the workflow of ComfyUI", "a.png", _workflow, Seen(RED)),
    # What cannot be used.
    ImageCase("cut short", "a.png", _with_bytes(_png()[:2000]), Refused("a.png: ")),
    ImageCase("a pixel too many", "a.png", _with_bytes(_large_png(20_000)),
              Refused("400,000,000 pixels are too many")),
    ImageCase("a few too many", "a.png", _with_bytes(_large_png(13_400)),
              Refused("179,560,000 pixels are too many")),
    ImageCase("empty", "a.png", _with_bytes(b""), Refused("the file is empty")),
    ImageCase("EPS called PNG", "a.png",
              _with_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n"),
              Refused("a.png: not a")),
    ImageCase("a page of HTML", "a.jpg", _with_bytes(b"<!DOCTYPE html><html></html>"),
              Refused("a.jpg: not a")),
    ImageCase("a pointer of Git LFS", "a.png",
              _with_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"),
              Refused("a.png: not a")),
)

NO_IMAGE_NAMES = ("a.h5", "a.eps", "a.psd", "a.heic", "a.svg", "a.pdf", "a.txt", "Thumbs.db",
                  "a.png.crdownload", "a.jpg.part", "a", "a.json", "a.npy")
IMAGE_NAMES = ("a.png", "a.PNG", "a.jpg", "a.jpeg", "a.jpe", "a.jfif", "a.JFIF", "a.webp", "a.gif",
               "a.bmp", "a.tif", "a.tiff", "a.avif", "a.jp2", "a.tga", "a.ppm", "a.pgm", "a.mpo",
               "a.qoi", "a.apng")
