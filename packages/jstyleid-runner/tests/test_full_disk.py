"""A disk that fills up while a run writes: a real one, where the machine lets tests mount one."""

import errno
import resource
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from jstyleid_core.errors import OutputError
from jstyleid_runner.reports.progress import LineDisplay
from jstyleid_runner.storage.layout import OutFolder
from jstyleid_runner.workflows.execution import RunRequest
from jstyleid_runner.workflows.run import run_split
from jstyleid_runner.workflows.session import RunCounts, log_to

MakeRequest = Callable[..., RunRequest]
FakeModelClass = Callable[..., Any]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 200 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a file system takes root")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def made(folder: OutFolder) -> dict[str, bytes]:
    return {str(p.relative_to(folder.root)): p.read_bytes() for p in folder.root.glob("*/*.png")}


def test_a_disk_that_fills_up(
    small_disk: Path,
    make_request: MakeRequest,
    fake_model: FakeModelClass,
    display: LineDisplay,
    capsys: pytest.CaptureFixture[str],
) -> None:
    whole = make_request(out="whole")
    run_split(whole, fake_model(), display, RunCounts())

    request: RunRequest = make_request(out="disk/out")
    counts = RunCounts()
    with log_to(request.folder.log), pytest.raises(OutputError) as caught:
        run_split(request, fake_model(), display, counts)
    assert "No space left on device" in str(caught.value)
    kept = made(request.folder)
    assert 0 < len(kept) == counts.done < 6
    assert kept.items() <= made(whole.folder).items()
    assert not list(small_disk.rglob("*.part*"))
    # The log may have met the full disk too: then it says so, once, without a traceback.
    assert "Traceback" not in capsys.readouterr().err

    subprocess.run(["mount", "-o", "remount,size=2m", str(small_disk)], check=True)
    run_split(request, fake_model(), display, counts)
    assert made(request.folder) == made(whole.folder)


def test_files_that_may_not_be_as_long(
    make_request: MakeRequest, fake_model: FakeModelClass, display: LineDisplay
) -> None:
    request = make_request(size=(256, 256))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    # More than the ledger takes, and less than a picture.
    resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, before[1]))
    try:
        with pytest.raises(OutputError, match=r"Ring\.png: File too large"):
            run_split(request, fake_model(), display, RunCounts())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list(request.folder.root.rglob("*.p*ng"))
    counts = RunCounts()
    run_split(request, fake_model(), display, counts)
    assert counts.done == 6


@pytest.mark.parametrize("at", range(1, 8))
def test_full_at_any_file(
    make_request: MakeRequest,
    fake_model: FakeModelClass,
    display: LineDisplay,
    monkeypatch: pytest.MonkeyPatch,
    at: int,
) -> None:
    request, written = make_request(styles=["00"]), 0
    original = Path.open

    def opened(path: Path, mode: str = "r", *rest: Any, **options: Any) -> Any:
        nonlocal written
        if mode == "wb" and path.suffix == ".png":
            written += 1
            if written == at:
                original(path, "wb").write(b"half of it")
                raise OSError(errno.ENOSPC, "No space left on device")
        return original(path, mode, *rest, **options)

    def save(image: Image.Image, file: Any, **options: Any) -> None:
        if isinstance(file, Path):
            with file.open("wb") as handle:
                encode(image, handle, **options)
        else:
            encode(image, file, **options)

    encode: Callable[..., None] = Image.Image.save
    monkeypatch.setattr(Path, "open", opened)
    monkeypatch.setattr(Image.Image, "save", save)
    counts = RunCounts()
    with pytest.raises(OutputError, match="No space left on device"):
        run_split(request, fake_model(), display, counts)
    # Content and picture take turns; the contact sheet is the seventh file.
    assert counts.done == len(made(request.folder)) == (at - 1) // 2
    assert not list(request.folder.root.rglob("*.part*"))
    monkeypatch.undo()
    run_split(request, fake_model(), display, counts)
    assert counts.done == 3
    assert request.folder.sheet("00").is_file()
