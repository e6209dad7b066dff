"""Small pictures in every format, as seeds."""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import cache

from PIL import Image, ImageCms, features
from PIL.PngImagePlugin import PngInfo

_MODES = {
    "PNG": ("RGB", "RGBA", "L", "LA", "P", "1", "I;16"),
    "JPEG": ("RGB", "L", "CMYK"),
    "WEBP": ("RGB", "RGBA"),
    "TIFF": ("RGB", "L", "I;16", "CMYK", "LAB", "F", "P"),
    "BMP": ("RGB", "P"),
    "DIB": ("RGB",),
    "GIF": ("P",),
    "AVIF": ("RGB",),
    "JPEG2000": ("RGB", "L"),
    "TGA": ("RGB", "RGBA", "L"),
    "PPM": ("RGB", "L", "I"),
    "MPO": ("RGB",),
    "QOI": ("RGB", "RGBA"),
}
_CODECS = {"AVIF": "avif", "JPEG2000": "jpg_2000", "WEBP": "webp"}


@cache
def pictures() -> Sequence[bytes]:
    """A picture of each format and mode, and some with profiles, rotations, frames and texts."""
    Image.init()
    found = [
        saved(_noise(mode), name)
        for name, modes in _MODES.items()
        if name in Image.SAVE and (name not in _CODECS or features.check(_CODECS[name]))
        for mode in modes
    ]
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "x"
    colour, second = _noise("RGB"), _noise("RGB").rotate(180)
    found += [
        saved(colour, name, icc_profile=profile, exif=exif)
        for name in ("PNG", "JPEG", "TIFF", "WEBP")
    ]
    found += [
        saved(colour, name, save_all=True, append_images=[second])
        for name in ("PNG", "GIF", "WEBP", "TIFF", "MPO")
    ]
    found += [
        saved(colour, "TIFF", compression=kind)
        for kind in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg")
    ]
    found.append(saved(_noise("1"), "TIFF", compression="group4"))
    found.append(saved(colour, "JPEG", progressive=True))
    found.append(
        png_with_texts(
            {"jstyleid": '{"kind": "drawn", "content": {"prompt": "Ring"}}', "parameters": "a ring"}
        )
    )
    return found


def png_with_texts(texts: dict[str, str]) -> bytes:
    """A PNG with texts, the last one packed."""
    info = PngInfo()
    for number, (key, text) in enumerate(texts.items()):
        info.add_text(key, text, zip=number == len(texts) - 1)
    return saved(_noise("RGB"), "PNG", pnginfo=info)


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    """The bytes of a picture in a format."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def _noise(mode: str) -> Image.Image:
    colour = Image.merge(
        "RGB", [Image.linear_gradient("L").rotate(turn).resize((12, 9)) for turn in (0, 90, 180)]
    )
    if mode in ("I", "I;16", "F"):
        return colour.convert("L").convert("I").point(lambda value: value * 257).convert(mode)
    if mode == "LAB":
        return (
            ImageCms.profileToProfile(
                colour,
                ImageCms.createProfile("sRGB"),
                ImageCms.createProfile("LAB"),
                outputMode="LAB",
            )
            or colour
        )
    if mode == "P":
        return colour.quantize(16)
    return colour.convert(mode)
