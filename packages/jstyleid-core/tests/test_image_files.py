"""Image files as people have them: read, refused, written."""

from __future__ import annotations

import io
import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from PIL import Image, features

from image_cases import CASES, IMAGE_NAMES, NO_IMAGE_NAMES, ImageCase, Refused
from jstyleid_core.errors import InputError
from jstyleid_core.image_files import is_image_name, open_image, read_png_text, save_png

CODECS = {"AVIF": "avif", "JPEG2000": "jpg_2000"}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_files_are_seen_as_in_a_viewer(case: ImageCase, tmp_path: Path) -> None:
    if case.format and not features.check(CODECS[case.format]):
        pytest.skip(f"this Pillow has no {case.format}")
    path = tmp_path / case.file
    case.make(path)
    if isinstance(case.viewed, Refused):
        with pytest.raises(InputError, match=case.viewed.message) as refusal:
            open_image(path)
        assert str(refusal.value).startswith(f"{path}: ")
        return
    image = open_image(path)
    assert (image.mode, image.size) == ("RGB", case.viewed.size)
    found = image.getpixel((0, 0))
    assert isinstance(found, tuple)
    difference = max(abs(a - b) for a, b in zip(found, case.viewed.colour, strict=True))
    assert difference <= case.viewed.tolerance, found


def test_names_of_images() -> None:
    assert [name for name in IMAGE_NAMES if not is_image_name(Path(name))] == []
    assert [name for name in NO_IMAGE_NAMES if is_image_name(Path(name))] == []


@pytest.mark.parametrize(("start", "what"), [
    (b"%!PS-Adobe-3.0", "an EPS drawing"), (b"<html>", "a page of HTML"),
    (b"version https://git-lfs.github.com/spec/v1", "run `git lfs pull`"),
    (b"\0\0\0\x18ftypheic\0\0\0\0", "a HEIC picture"), (b"\x89HDF\r\n", "an HDF5 file"),
    (b"8BPS\0\x01", "a Photoshop document"), (b"<?xml version='1.0'?><svg/>", "an SVG drawing"),
    (b"%PDF-1.7", "a PDF document"), (b"PK\x03\x04", "a ZIP archive"),
    (b"anything", "no picture of a known format"),
])
def test_what_is_no_picture_is_named(tmp_path: Path, start: bytes, what: str) -> None:
    (tmp_path / "a.png").write_bytes(start + b" " * 100)
    with pytest.raises(InputError, match=what):
        open_image(tmp_path / "a.png")


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a\.png: no such picture"):
        open_image(tmp_path / "a.png")
    with pytest.raises(InputError, match="cannot be read: Is a directory"):
        open_image(tmp_path)


def test_an_animation_is_noted_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "a.gif"
    next(case for case in CASES if case.name == "an animation in GIF").make(path)
    with caplog.at_level(logging.WARNING):
        open_image(path)
        open_image(path)
    assert caplog.messages == [f"{path}: 2 frames or pages; the first one is used"]


def test_texts_of_a_png(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b.png"
    save_png(Image.new("RGB", (2, 2)), path, {"jstyleid": "{}", "other": "x" * 2_000_000})
    assert read_png_text(path, "jstyleid") == "{}"
    assert read_png_text(path, "none") is None
    data = path.read_bytes()
    path.write_bytes(data[:-20])
    with pytest.raises(InputError, match=r"b\.png: "):
        read_png_text(path, "jstyleid")
    Image.new("RGB", (2, 2)).save(path, format="JPEG")
    assert read_png_text(path, "jstyleid") is None


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_deflate", "packbits"])
def test_libtiff_says_nothing_of_its_own(
    compression: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    picture, whole = Image.effect_mandelbrot((90, 70), (-2, -1, 1, 1), 20), io.BytesIO()
    picture.convert("RGB").save(whole, "TIFF", compression=compression)
    damaged = bytearray(whole.getvalue())
    middle = len(damaged) // 2
    damaged[middle - 300 : middle + 300] = bytes(range(1, 201)) * 3
    (tmp_path / "a.tif").write_bytes(damaged)

    def read(_: int) -> str | None:
        try:
            open_image(tmp_path / "a.tif")
        except InputError as error:
            return str(error)
        return None

    with ThreadPoolExecutor(4) as pool:
        said = set(pool.map(read, range(8)))
    assert said == {text for text in said if text and "damaged" in text}
    assert capfd.readouterr() == ("", "")
