"""Where weights are looked for, and which of them are accepted."""

import errno
import hashlib
import json
import os
import re
import tempfile
from pathlib import Path

import pytest

from jdiff_checker.errors import WeightsError
from jdiff_checker.scoring import ALL_METRICS, Metric
from jdiff_checker.weights import folder as folders
from jdiff_checker.weights.folder import MEMO, Presence, WeightsFolder
from jdiff_checker.weights.published import PUBLISHED, WeightsFile, needed, size_text

CONTENT = {"a/eye.bin": b"eye" * 1000, "b/ear.bin": b"ear" * 2000}


@pytest.fixture
def files() -> tuple[WeightsFile, ...]:
    metrics = {"a/eye.bin": (Metric.DINO,), "b/ear.bin": (Metric.CLIP_R,)}
    return tuple(
        WeightsFile(Path(path).stem, path, f"https://example.org/{path}", len(content),
                    hashlib.sha256(content).hexdigest(), metrics[path], "test")
        for path, content in CONTENT.items())


@pytest.fixture
def folder(tmp_path: Path) -> WeightsFolder:
    for path, content in CONTENT.items():
        place = tmp_path / "weights" / path
        place.parent.mkdir(parents=True)
        place.write_bytes(content)
    return WeightsFolder(tmp_path / "weights")


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that were read in full to hash them."""
    names: list[str] = []
    original = folders.sha256_of

    def counted(path: Path) -> str:
        names.append(path.name)
        return original(path)

    monkeypatch.setattr(folders, "sha256_of", counted)
    return names


def test_published_files_are_pinned_and_cover_all_metrics_but_hist() -> None:
    assert {metric for file in PUBLISHED for metric in file.metrics} == \
        set(ALL_METRICS) - {Metric.HIST}
    assert len({file.path for file in PUBLISHED}) == len(PUBLISHED)
    for file in PUBLISHED:
        assert re.fullmatch("[0-9a-f]{64}", file.sha256)
        if "huggingface.co" in file.url:
            assert re.search("/resolve/[0-9a-f]{40}/", file.url)


def test_needed_follows_the_metrics() -> None:
    assert needed([Metric.HIST]) == ()
    assert [file.path for file in needed([Metric.FID, Metric.DINO])] == [
        "dinov2-base/model.safetensors", "dinov2-base/config.json",
        "fid/pt_inception-2015-12-05-6726825d.pth"]


def test_sizes_are_readable() -> None:
    assert [size_text(size) for size in (548, 4_958_839, 346_345_912, 1_710_517_724)] == [
        "548 bytes", "5.0 MB", "346 MB", "1.7 GB"]


def test_the_folder_is_the_given_one_or_the_environments_or_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JDIFF_WEIGHTS", str(tmp_path / "named"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert WeightsFolder.locate(tmp_path / "given").root == tmp_path / "given"
    assert WeightsFolder.locate(Path("~/w")).root == tmp_path / "home" / "w"
    assert WeightsFolder.locate(None).root == tmp_path / "named"
    monkeypatch.setenv("JDIFF_WEIGHTS", "")
    assert WeightsFolder.locate(None).root == tmp_path / "cache" / "jdiff-checker" / "weights"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert WeightsFolder.locate(None).root == \
        tmp_path / "home" / ".cache" / "jdiff-checker" / "weights"


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(WeightsError, match="is a file"):
        WeightsFolder.locate(tmp_path / "file")


def test_states(folder: WeightsFolder, files: tuple[WeightsFile, ...]) -> None:
    eye, ear = files
    folder.path(ear).write_bytes(b"other")
    assert folder.state(eye).presence is Presence.PUBLISHED
    assert folder.state(ear).presence is Presence.DIFFERENT
    assert folder.state(ear).sha256 == hashlib.sha256(b"other").hexdigest()
    folder.path(eye).unlink()
    assert (folder.state(eye).presence, folder.state(eye).sha256) == (Presence.MISSING, None)


def test_something_unreadable_is_named(
    folder: WeightsFolder, files: tuple[WeightsFile, ...]
) -> None:
    folder.path(files[0]).unlink()
    folder.path(files[0]).mkdir()
    with pytest.raises(WeightsError, match=r"eye\.bin cannot be read"):
        folder.state(files[0])


def test_require_returns_records(folder: WeightsFolder, files: tuple[WeightsFile, ...]) -> None:
    records = folder.require([Metric.CLIP_R, Metric.DINO, Metric.HIST], allow_unpublished=False,
                             published=files)
    assert [(record.file, record.sha256, record.published) for record in records] == [
        (file.path, file.sha256, True) for file in files]
    assert folder.require([Metric.HIST], allow_unpublished=False, published=files) == []


def test_all_that_is_missing_is_listed_with_the_fix(
    tmp_path: Path, files: tuple[WeightsFile, ...]
) -> None:
    folder = WeightsFolder(tmp_path / "with space")
    with pytest.raises(WeightsError) as raised:
        folder.require([Metric.DINO, Metric.HIST, Metric.CLIP_R], allow_unpublished=True,
                       published=files)
    message = str(raised.value)
    assert "a/eye.bin (eye, 3.0 kB), for dino" in message
    assert "b/ear.bin (ear, 6.0 kB), for clip-r" in message
    assert f"jdiff-check weights fetch --dir '{folder.root}' --metrics dino,clip-r" in message
    assert message.endswith("--metrics hist")
    assert raised.value.exit_code == 2


def test_missing_and_unpublished_come_in_one_message(
    folder: WeightsFolder, files: tuple[WeightsFile, ...]
) -> None:
    folder.path(files[0]).unlink()
    folder.path(files[1]).write_bytes(b"other")
    with pytest.raises(WeightsError) as raised:
        folder.require(ALL_METRICS, allow_unpublished=False, published=files)
    message = str(raised.value)
    assert "a/eye.bin" in message
    assert "--metrics hist,fid,lpips,clip-iqa\n" in message
    found = hashlib.sha256(b"other").hexdigest()
    assert f"sha256 {found[:12]} instead of {files[1].sha256[:12]}" in message
    assert "--replace" in message
    assert "--unpublished-weights" in message


def test_unpublished_files_can_be_allowed_and_are_marked(
    folder: WeightsFolder, files: tuple[WeightsFile, ...]
) -> None:
    folder.path(files[1]).write_bytes(b"other")
    records = folder.require(ALL_METRICS, allow_unpublished=True, published=files)
    assert [record.published for record in records] == [True, False]
    assert records[1].sha256 == hashlib.sha256(b"other").hexdigest()


def test_an_unchanged_file_is_read_once(
    folder: WeightsFolder, files: tuple[WeightsFile, ...], read: list[str]
) -> None:
    for _ in range(2):
        for file in files:
            # As a new process would: the memo on the disk is all it knows.
            assert WeightsFolder(folder.root).state(file).presence is Presence.PUBLISHED
    assert read == ["eye.bin", "ear.bin"]
    WeightsFolder(folder.root).state(files[0], afresh=True)
    assert read == ["eye.bin", "ear.bin", "eye.bin"]


@pytest.mark.parametrize("change", ["size", "time", "inode"])
def test_a_changed_file_is_read_again(
    folder: WeightsFolder, files: tuple[WeightsFile, ...], read: list[str], change: str
) -> None:
    eye = files[0]
    path = folder.path(eye)
    folder.state(eye)
    before = path.stat()
    if change == "size":
        path.write_bytes(b"x")
    elif change == "time":
        path.write_bytes(bytes(eye.size))
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    else:
        other = path.with_name("other")
        other.write_bytes(bytes(eye.size))
        os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
        other.replace(path)
    if change != "time":
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert folder.state(eye).presence is Presence.DIFFERENT
    assert WeightsFolder(folder.root).state(eye).presence is Presence.DIFFERENT
    assert read == ["eye.bin"] * 2


def test_a_hash_of_a_file_that_changes_meanwhile_is_not_kept(
    folder: WeightsFolder, files: tuple[WeightsFile, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    original = folders.sha256_of

    def changing(path: Path) -> str:
        sha256 = original(path)
        path.write_bytes(b"changed")
        return sha256

    monkeypatch.setattr(folders, "sha256_of", changing)
    assert folder.state(files[0]).presence is Presence.PUBLISHED
    assert folder.state(files[0]).presence is Presence.DIFFERENT


@pytest.mark.parametrize("damage", [
    b"{", b"\xff\xfe", b"[1]", b'{"a/eye.bin": 3}', b'{"a/eye.bin": {"sha256": 1}}'])
def test_a_damaged_memo_is_ignored_and_written_anew(
    folder: WeightsFolder, files: tuple[WeightsFile, ...], read: list[str], damage: bytes
) -> None:
    (folder.root / MEMO).write_bytes(damage)
    for _ in range(2):
        assert WeightsFolder(folder.root).state(files[0]).presence is Presence.PUBLISHED
    assert read == ["eye.bin"]
    assert json.loads((folder.root / MEMO).read_text())["a/eye.bin"]["sha256"] == files[0].sha256


def test_a_read_only_folder_works_and_is_read_once_a_process(
    folder: WeightsFolder, files: tuple[WeightsFile, ...], read: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(**_: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    # Permissions would not stop a test that runs as root.
    monkeypatch.setattr(tempfile, "mkstemp", refuse)
    for _ in range(2):
        assert len(folder.require(ALL_METRICS, allow_unpublished=False, published=files)) == 2
    assert read == ["eye.bin", "ear.bin"]
    assert not (folder.root / MEMO).exists()
