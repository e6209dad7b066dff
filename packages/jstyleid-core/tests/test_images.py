"""Pictures as people have them, and files that appear whole or not at all."""

from __future__ import annotations

import errno
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jstyleid_core.errors import InputError, OutputError
from jstyleid_core.files import atomic_path, remove_leftovers
from jstyleid_core.image_files import open_image, save_png
from jstyleid_core.images import fit, mean_image, to_array, to_images


def test_damaged_files_are_named(tmp_path: Path) -> None:
    Image.effect_noise((64, 64), 50).save(tmp_path / "a.png")
    damaged = bytearray((tmp_path / "a.png").read_bytes())
    damaged[len(damaged) // 2] ^= 0xFF
    (tmp_path / "a.png").write_bytes(damaged)
    with pytest.raises(InputError, match=r"a\.png: the picture is damaged or truncated"):
        open_image(tmp_path / "a.png")


def test_fit_covers_and_cuts_the_centre() -> None:
    image = Image.new("RGB", (300, 100), "red")
    image.paste("blue", (100, 0, 200, 100))
    fitted = fit(image, (64, 64))
    assert fitted.size == (64, 64)
    assert fitted.getpixel((32, 32)) == (0, 0, 255)
    assert fitted.getpixel((4, 32)) == (0, 0, 255)


def test_pixels_survive_the_way_to_numbers_and_back() -> None:
    image = Image.effect_noise((16, 8), 80).convert("RGB")
    array = to_array([image])
    assert array.shape == (1, 3, 8, 16)
    assert array.min() >= -1
    assert array.max() <= 1
    assert to_images(array)[0].tobytes() == image.tobytes()


def test_text_chunks_are_written(tmp_path: Path) -> None:
    save_png(Image.new("RGB", (2, 2)), tmp_path / "a" / "b.png", {"jstyleid": "{}"})
    assert Image.open(tmp_path / "a" / "b.png").info["jstyleid"] == "{}"


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "result.txt"
    target.write_text("old")
    with pytest.raises(OutputError, match="No space left"), atomic_path(target):
        raise OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(KeyboardInterrupt), atomic_path(target):
        raise KeyboardInterrupt
    assert target.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["result.txt"]


def test_leftovers_of_a_killed_process_are_removed(tmp_path: Path) -> None:
    (tmp_path / "result.png").touch()
    with atomic_path(tmp_path / "result.png") as temporary:
        copy = temporary.read_bytes()
        left = temporary.name
    (tmp_path / left).write_bytes(copy)
    (tmp_path / ".mine.part.png").touch()
    remove_leftovers(tmp_path)
    remove_leftovers(tmp_path / "nowhere")
    assert sorted(p.name for p in tmp_path.iterdir()) == [".mine.part.png", "result.png"]


def test_a_full_disk(tmp_path: Path) -> None:
    """A limit on file size stands in for the disk: the write fails half-way, for real."""
    program = (
        "import signal, sys\nfrom PIL import Image\nfrom jstyleid_core.errors import OutputError\n"
        "from jstyleid_core.image_files import save_png\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "try:\n    save_png(Image.effect_noise((256, 256), 90), sys.argv[1])\n"
        "except OutputError as error:\n    print(error)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "big.png")], capture_output=True, text=True,
        check=True, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)))
    assert f"cannot write {tmp_path / 'big.png'}: File too large" in ran.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot write .*result.png"):
        save_png(Image.new("RGB", (2, 2)), tmp_path / "file" / "result.png")


def test_the_mean_of_pictures() -> None:
    ramp = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    images = [Image.fromarray(ramp), Image.fromarray(ramp + 4), Image.fromarray(ramp + 5)]
    assert np.array_equal(np.asarray(mean_image(images)), ramp + 3)
