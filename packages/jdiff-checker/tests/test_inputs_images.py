import hashlib
import io
import os
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
import pytest
from PIL import Image, features

from image_cases import CASES, IMAGE_NAMES, NO_IMAGE_NAMES, ImageCase, Refused
from jdiff_checker.errors import UploadError
from jdiff_checker.inputs.images import Picture, decode, inspect, is_image_name

SIZE = (24, 16)


def pixels(channels: int, seed: int = 0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return generator.integers(0, 256, (SIZE[1], SIZE[0], channels), dtype=np.uint8)


def rgb() -> Image.Image:
    return Image.fromarray(pixels(3))


def rgba() -> Image.Image:
    return Image.fromarray(pixels(4))


def grey() -> Image.Image:
    return Image.fromarray(pixels(1)[..., 0])


def grey_alpha() -> Image.Image:
    return Image.merge("LA", [grey(), Image.fromarray(pixels(1, 1)[..., 0])])


def palette() -> Image.Image:
    return rgb().quantize(17)


def one_bit() -> Image.Image:
    return grey().convert("1")


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def saved(path: Path, image: Image.Image, **options: object) -> Path:
    image.save(path, **options)
    return path


def values(image: Image.Image) -> np.ndarray:
    assert image.mode == "RGB"
    array = np.asarray(image)
    assert array.dtype == np.uint8
    return array


def official(path: Path) -> np.ndarray:
    return cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)


@pytest.fixture
def decoders(monkeypatch) -> list[str]:
    """The name of each pixel decoder that Pillow makes."""
    made: list[str] = []
    original = PIL.Image._getdecoder

    def counted(mode, decoder_name, *args, **kwargs):
        made.append(decoder_name)
        return original(mode, decoder_name, *args, **kwargs)

    monkeypatch.setattr(PIL.Image, "_getdecoder", counted)
    return made


# --- what inspect says -------------------------------------------------------------------------


def test_a_picture_says_what_the_header_says(tmp_path):
    path = saved(tmp_path / "Ring.png", rgb())
    picture = inspect(path)
    assert picture == Picture(path, hashlib.sha256(path.read_bytes()).hexdigest(), 24, 16, "RGB")
    assert picture.name == "Ring.png"
    assert picture.converted_from is None
    assert inspect(saved(tmp_path / "alpha.png", rgba())).converted_from == "RGBA"


@pytest.mark.parametrize(("name", "passes"), [("a.png", 0), ("a.jpg", 1), ("a.bmp", 1),
                                              ("a.tif", 1)])
def test_inspect_decodes_no_png_and_other_formats_once_as_decode_does(
    tmp_path, decoders, name, passes
):
    path = saved(tmp_path / name, rgb())
    decoders.clear()
    inspect(path)
    assert len(decoders) == passes
    decoders.clear()
    decode(path)
    assert len(decoders) == 1


@pytest.mark.filterwarnings("ignore:Truncated File Read", "ignore:Corrupt EXIF data")
@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.JPEG", "a.bmp", "a.webp", "a.tif", "a.TIFF"])
def test_whole_files_of_every_format_pass_and_short_ones_do_not(tmp_path, name):
    path = saved(tmp_path / name, rgb())
    assert inspect(path).width == 24
    data = path.read_bytes()
    for length in (len(data) // 2, len(data) - 20):
        path.write_bytes(data[:length])
        with pytest.raises(UploadError, match=r"Save it again as an RGB PNG\.$") as error:
            inspect(path)
        assert str(error.value).startswith(f"{path}: ")


@pytest.mark.filterwarnings("ignore:Truncated File Read", "ignore:Corrupt EXIF data")
@pytest.mark.parametrize(("name", "options"), [
    ("a.png", {}), ("a.jpg", {}), ("a.jpg", {"progressive": True}), ("a.bmp", {}),
    ("a.webp", {}), ("a.webp", {"lossless": True}), ("a.tif", {}),
    ("a.tif", {"compression": "tiff_lzw"}), ("a.tif", {"compression": "tiff_deflate"}),
    ("a.tif", {"compression": "jpeg"}),
])
def test_wherever_a_file_is_cut_inspect_finds_it_or_no_pixel_is_lost(tmp_path, name, options):
    path = saved(tmp_path / name, rgb(), **options)
    data, expected = path.read_bytes(), values(decode(path))
    found = 0
    for length in range(0, len(data), 3):
        path.write_bytes(data[:length])
        try:
            inspect(path)
        except UploadError:
            found += 1
        else:
            np.testing.assert_array_equal(values(decode(path)), expected)
    assert found > 0.9 * len(data) / 3


def test_a_png_with_a_wrong_checksum_is_damaged(tmp_path):
    path = saved(tmp_path / "a.png", rgb())
    data = bytearray(path.read_bytes())
    data[data.index(b"IDAT") + 30] ^= 1
    path.write_bytes(data)
    with pytest.raises(UploadError, match="a.png: damaged or cannot be decoded: broken PNG file"):
        inspect(path)


def test_a_png_without_pixels_is_damaged(tmp_path):
    path = tmp_path / "a.png"
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 4, 8, 2, 0, 0, 0))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + chunk(b"IEND", b""))
    with pytest.raises(UploadError, match="it has no pixels"):
        inspect(path)
    with pytest.raises(UploadError):
        decode(path)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"quality": 100, "restart": True}])
def test_a_jpeg_needs_its_end_marker_but_may_go_on_after_it(tmp_path, options):
    if options.pop("restart", False):
        options["restart_marker_blocks"] = 1
    path = saved(tmp_path / "a.jpg", rgb(), **options)
    data = path.read_bytes()
    path.write_bytes(data + b"a phone's own data \xff\x00")
    assert inspect(path).height == 16
    path.write_bytes(data[:-1])
    with pytest.raises(UploadError, match="image file is truncated"):
        inspect(path)


def test_the_end_marker_of_a_jpegs_thumbnail_is_not_its_own(tmp_path):
    thumbnail = io.BytesIO()
    rgb().save(thumbnail, "JPEG")
    # APP1 holds the thumbnail, as Exif does.
    whole = saved(tmp_path / "a.jpg", rgb()).read_bytes()
    body = b"Exif\x00\x00" + thumbnail.getvalue()
    with_thumbnail = whole[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + whole[2:]
    path = tmp_path / "b.jpg"
    path.write_bytes(with_thumbnail)
    inspect(path)
    path.write_bytes(with_thumbnail[:-40])
    with pytest.raises(UploadError, match="image file is truncated"):
        inspect(path)


@pytest.mark.parametrize("look", [inspect, decode])
@pytest.mark.parametrize(("content", "message"), [
    (b"", "the file is empty"),
    (b"a text", "not a PNG, JPEG, WebP, TIFF or similar image, whatever its name says"),
    (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not a PNG"),
])
def test_a_file_that_is_no_image_is_named(tmp_path, look, content, message):
    path = tmp_path / "Ring.png"
    path.write_bytes(content)
    with pytest.raises(UploadError, match=message) as error:
        look(path)
    assert str(error.value).startswith(f"{path}: ")


@pytest.mark.parametrize("look", [inspect, decode])
def test_a_file_that_is_not_there_is_named(tmp_path, look):
    with pytest.raises(UploadError, match="gone.png: cannot be read: No such file"):
        look(tmp_path / "gone.png")


@pytest.mark.parametrize("look", [inspect, decode])
def test_a_decompression_bomb_is_an_upload_error(tmp_path, look, monkeypatch):
    monkeypatch.setattr(PIL.Image, "MAX_IMAGE_PIXELS", 10)
    path = saved(tmp_path / "a.png", rgb())
    with pytest.raises(UploadError, match="a.png: .* pixels are too many"):
        look(path)


def test_decode_refuses_a_file_cut_short(tmp_path):
    for name in ("a.png", "a.jpg"):
        path = saved(tmp_path / name, rgb())
        path.write_bytes(path.read_bytes()[:-400])
        with pytest.raises(UploadError, match=f"{name}: damaged or cannot be decoded"):
            decode(path)


def test_a_suffix_that_does_not_fit_the_content_does_not_matter(tmp_path):
    path = tmp_path / "a.png"
    rgb().save(path, "JPEG")
    assert inspect(path).mode == "RGB"
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(UploadError, match="image file is truncated"):
        inspect(path)


# --- the pixels --------------------------------------------------------------------------------


def transparent_palette(path: Path) -> Path:
    return saved(path, palette(), transparency=bytes([0, 128, 255, 7]))


@pytest.mark.parametrize(("make", "mode"), [
    (lambda path: saved(path, rgb()), "RGB"),
    (lambda path: saved(path, rgba()), "RGBA"),
    (lambda path: saved(path, grey()), "L"),
    (lambda path: saved(path, grey_alpha()), "LA"),
    (lambda path: saved(path, palette()), "P"),
    (lambda path: saved(path, palette(), transparency=3), "P"),
    (transparent_palette, "P"),
    (lambda path: saved(path, one_bit()), "1"),
    (lambda path: saved(path, grey(), transparency=9), "L"),
    (lambda path: saved(path, rgb(), transparency=(1, 2, 3)), "RGB"),
], ids=["rgb", "rgba", "grey", "la", "palette", "palette-one-clear", "palette-alpha", "1-bit",
        "grey-one-clear", "rgb-one-clear"])
def test_png_pixels_are_those_of_cv2(tmp_path, make, mode, recwarn):
    path = make(tmp_path / "a.png")
    assert inspect(path).mode == mode
    np.testing.assert_array_equal(values(decode(path)), official(path))
    assert not recwarn.list


def test_alpha_is_dropped_not_composited(tmp_path):
    path = saved(tmp_path / "a.png", rgba())
    np.testing.assert_array_equal(values(decode(path)), pixels(4)[..., :3])


def test_grey_palette_and_one_bit_keep_their_values(tmp_path):
    path = saved(tmp_path / "grey.png", grey())
    np.testing.assert_array_equal(values(decode(path)), np.repeat(pixels(1), 3, axis=2))
    path = saved(tmp_path / "palette.png", palette(), transparency=0)
    np.testing.assert_array_equal(values(decode(path)), np.asarray(palette().convert("RGB")))
    path = saved(tmp_path / "bits.png", one_bit())
    assert set(np.unique(values(decode(path)))) == {0, 255}


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_16_bit_grey_is_scaled_not_clipped(tmp_path, name):
    steps = np.array([[0, 128, 129, 257, 300, 32768, 65406, 65407, 65535]], dtype=np.uint16)
    path = saved(tmp_path / name, Image.fromarray(steps))
    assert inspect(path).mode.startswith("I")
    expected = np.array([0, 0, 1, 1, 1, 128, 254, 255, 255], dtype=np.uint8)
    np.testing.assert_array_equal(expected, np.round(steps[0] / 257))
    np.testing.assert_array_equal(values(decode(path))[0], np.stack([expected] * 3, axis=1))


@pytest.mark.parametrize("mode", ["I", "F"])
def test_numbers_without_a_white_are_refused(tmp_path, mode):
    path = saved(tmp_path / "a.tif", Image.new(mode, (4, 4)))
    with pytest.raises(UploadError, match="have no defined white"):
        decode(path)


def test_a_cmyk_jpeg_has_the_right_colours(tmp_path):
    red = Image.new("RGB", SIZE, (220, 30, 40))
    path = saved(tmp_path / "a.jpg", red.convert("CMYK"), quality=100)
    assert inspect(path).converted_from == "CMYK"
    assert np.abs(values(decode(path)).astype(int) - (220, 30, 40)).max() <= 3
    assert np.abs(values(decode(path)).astype(int) - official(path)).max() <= 3


def test_an_exif_rotation_is_not_applied(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    path = saved(tmp_path / "a.jpg", rgb(), exif=exif)
    assert (inspect(path).width, inspect(path).height) == SIZE
    assert decode(path).size == SIZE


def test_the_decoded_image_lives_without_its_file(tmp_path):
    path = saved(tmp_path / "a.png", rgb())
    image = decode(path)
    path.unlink()
    np.testing.assert_array_equal(values(image), pixels(3))


@pytest.mark.skipif("JSTYLEID_SPLIT_DATA" not in os.environ, reason="JSTYLEID_SPLIT_DATA not set")
def test_real_references_are_read_as_cv2_reads_them():
    paths = sorted((Path(os.environ["JSTYLEID_SPLIT_DATA"]) / "B").glob("*/images/*"))
    assert len(paths) > 80
    for path in paths:
        assert (inspect(path).width, inspect(path).height) == (512, 512)
    for path in paths[::12]:
        np.testing.assert_array_equal(values(decode(path)), official(path))


# --- the same answers as jstyleid's, unless the official score wants others -------------------


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_files_as_people_have_them(case: ImageCase, tmp_path: Path) -> None:
    codecs = {"AVIF": "avif", "JPEG2000": "jpg_2000"}
    if case.format and not features.check(codecs[case.format]):
        pytest.skip(f"this Pillow has no {case.format}")
    path = tmp_path / case.file
    case.make(path)
    if isinstance(case.scored, Refused):
        with pytest.raises(UploadError, match=case.scored.message) as refusal:
            inspect(path)
        assert str(refusal.value).startswith(f"{path}: ")
        return
    picture, image = inspect(path), decode(path)
    assert (image.mode, image.size) == ("RGB", case.scored.size)
    assert (picture.width, picture.height) == case.scored.size
    found = image.getpixel((0, 0))
    difference = max(abs(a - b) for a, b in zip(found, case.scored.colour, strict=True))
    assert difference <= case.scored.tolerance, found
    if case.stored is not None:  # seen otherwise elsewhere, and said
        assert picture.not_applied or picture.converted_from or "transparen" in case.name


def test_names_of_images() -> None:
    assert [name for name in IMAGE_NAMES if not is_image_name(Path(name))] == []
    assert [name for name in NO_IMAGE_NAMES if is_image_name(Path(name))] == []


def test_what_viewers_show_and_the_score_leaves_out(tmp_path: Path) -> None:
    wanted = {"a rotated photo": "an EXIF rotation", "an animation in GIF": "further frames",
              "a profile of other colours": "a colour profile"}
    for case in CASES:
        if isinstance(case.scored, Refused):
            continue
        (tmp_path / case.name).mkdir()
        path = tmp_path / case.name / case.file
        case.make(path)
        if case.name in wanted:
            assert inspect(path).not_applied == (wanted[case.name],)
        if case.name in ("16 bits", "the profile of sRGB", "a profile that is noise"):
            assert inspect(path).not_applied == ()


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_deflate", "packbits"])
def test_libtiff_says_nothing_of_its_own(
    compression: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    picture, whole = Image.effect_mandelbrot((90, 70), (-2, -1, 1, 1), 20), io.BytesIO()
    picture.convert("RGB").save(whole, "TIFF", compression=compression)
    damaged = bytearray(whole.getvalue())
    middle = len(damaged) // 2
    damaged[middle - 300 : middle + 300] = bytes(range(1, 201)) * 3
    (tmp_path / "a.tif").write_bytes(damaged)

    def read(_: int):
        try:
            decode(tmp_path / "a.tif")
        except UploadError as error:
            return str(error)
        return None

    with ThreadPoolExecutor(4) as pool:
        said = set(pool.map(read, range(8)))
    assert said == {text for text in said if text and "damaged" in text}
    assert capfd.readouterr() == ("", "")
