"""Images: read as RGB, scaled and cropped, converted to arrays, written as PNG files."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo

from jstyleid_core.errors import InputError
from jstyleid_core.files import atomic_path

Size = tuple[int, int]
"""Width and height in pixels, in Pillow's order."""


def open_image(path: str | os.PathLike[str]) -> Image.Image:
    """Read a picture as 8-bit RGB, upright.

    The EXIF rotation is applied; transparent parts are laid over white; palette, grey, CMYK and
    16-bit pictures are converted; of an animation the first frame is taken.

    Raises:
        InputError: the file is missing, damaged, truncated, or not a picture.
    """
    path = Path(path)
    try:
        with Image.open(path) as source:
            source.load()
            image = ImageOps.exif_transpose(source)
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such picture. Check the path.") from error
    except UnidentifiedImageError as error:
        raise InputError(
            f"{path}: not a picture Pillow can read. Give a PNG, JPEG, WebP or similar file."
        ) from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(
            f"{path}: the picture is damaged or truncated ({error}). Replace the file."
        ) from error
    return _to_rgb(image)


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I") or image.mode == "F":
        # Pillow would clip 16-bit values at 255 instead of scaling them.
        values = np.asarray(image, dtype=np.float64)
        top = 65535.0 if values.max(initial=0) > 255 else 255.0
        return Image.fromarray(np.rint(values / top * 255).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        layered = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", layered.size, "white"), layered)
    return image.convert("RGB")


def fit(image: Image.Image, size: Size) -> Image.Image:
    """Scale `image` to cover `size` and cut the centre out, so that nothing is distorted."""
    if image.size == size:
        return image
    return ImageOps.fit(image, size, Image.Resampling.LANCZOS)


def to_array(images: Sequence[Image.Image]) -> NDArray[Any]:
    """RGB pictures of one size as a float32 array (B, 3, H, W) with values in [-1, 1]."""
    stacked = np.stack([np.asarray(image.convert("RGB"), dtype=np.float32) for image in images])
    return np.ascontiguousarray(stacked.transpose(0, 3, 1, 2)) / np.float32(127.5) - np.float32(1)


def to_images(array: NDArray[Any]) -> list[Image.Image]:
    """The inverse of `to_array`: values are clamped to [-1, 1] and rounded to 8 bits."""
    unit = np.clip(array.astype(np.float32) / 2 + np.float32(0.5), 0, 1)
    pixels = np.rint(unit.transpose(0, 2, 3, 1) * 255).astype(np.uint8)
    return [Image.fromarray(picture) for picture in pixels]


def mean_image(images: Sequence[Image.Image]) -> Image.Image:
    """The mean of RGB pictures of one size, pixel by pixel."""
    pixels = np.mean([np.asarray(image, dtype=np.float64) for image in images], axis=0)
    return Image.fromarray(np.rint(pixels).astype(np.uint8))


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
