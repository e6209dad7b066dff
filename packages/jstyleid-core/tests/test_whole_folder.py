"""Folders that appear whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from jstyleid_core.errors import OutputError
from jstyleid_core.files import whole_folder


def test_a_folder_appears_whole(tmp_path: Path) -> None:
    target = tmp_path / "a" / "b"
    with whole_folder(target) as folder:
        (folder / "inner").mkdir()
        (folder / "inner" / "file").write_text("x")
        assert not target.exists()
    assert (target / "inner" / "file").read_text() == "x"
    assert target.stat().st_mode & 0o777 == (tmp_path / "a").stat().st_mode & 0o777
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b"]


def test_or_not_at_all(tmp_path: Path) -> None:
    def stopped() -> None:
        with whole_folder(tmp_path / "a") as folder:
            (folder / "file").write_text("x")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert not any(tmp_path.iterdir())


def test_what_is_there_stays(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with whole_folder(tmp_path / "empty") as folder:
        (folder / "file").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for taken in ("empty", "empty/file", "link"):
        with pytest.raises(OutputError, match=f"{taken}: there already, and not an empty folder"), \
                whole_folder(tmp_path / taken):
            raise AssertionError("not reached")
    assert (tmp_path / "empty" / "file").read_text() == "x"
