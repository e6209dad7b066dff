"""`jdiff-check weights` on the command line."""

import hashlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from jdiff_checker.commands.common import parse_metrics
from jdiff_checker.commands.weights import fetch_with_progress, print_states, verify, weights_app
from jdiff_checker.errors import InputError, WeightsError
from jdiff_checker.scoring import ALL_METRICS, Metric
from jdiff_checker.weights import fetch as fetching
from jdiff_checker.weights.folder import MEMO, WeightsFolder
from jdiff_checker.weights.published import PUBLISHED, WeightsFile


@pytest.fixture
def folder(tmp_path: Path) -> WeightsFolder:
    (tmp_path / "net.bin").write_bytes(b"content")
    return WeightsFolder(tmp_path)


@pytest.fixture
def file() -> WeightsFile:
    return WeightsFile("Net", "net.bin", "https://example.org/net.bin", 7,
                       hashlib.sha256(b"content").hexdigest(), (Metric.FID,), "someone, MIT")


def test_metrics_are_read_in_any_order_and_case() -> None:
    assert parse_metrics(None) == ALL_METRICS
    assert parse_metrics("LPIPS, dino,,lpips") == (Metric.DINO, Metric.LPIPS)
    assert parse_metrics("Clip-IQA") == (Metric.CLIP_IQA,)


@pytest.mark.parametrize("text", ["dino,fdi", "", " , "])
def test_wrong_metrics_are_told_the_valid_ones(text: str) -> None:
    with pytest.raises(InputError, match="dino, hist, fid, lpips, clip-iqa, clip-r"):
        parse_metrics(text)


def test_list_shows_every_file_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    shown = CliRunner().invoke(weights_app, ["list", "--dir", str(tmp_path)])
    assert shown.exit_code == 0
    assert shown.stdout.count("missing") == len(PUBLISHED)
    for file in PUBLISHED:
        for expected in (file.path, file.source, file.sha256[:12], file.metric_names):
            assert expected in shown.stdout
    some = CliRunner().invoke(
        weights_app, ["list", "--dir", str(tmp_path), "--metrics", "fid,hist"])
    assert some.stdout.count("missing") == 1


def test_verify_fails_on_missing_files(tmp_path: Path) -> None:
    shown = CliRunner().invoke(weights_app, ["verify", "--dir", str(tmp_path), "--metrics", "fid"])
    assert shown.exit_code == 2
    assert "jdiff-check weights fetch --dir" in shown.stderr


def test_verify_with_nothing_to_verify(tmp_path: Path) -> None:
    shown = CliRunner().invoke(weights_app, ["verify", "--dir", str(tmp_path), "--metrics", "hist"])
    assert shown.exit_code == 0


def test_verify_does_not_trust_the_memo(
    folder: WeightsFolder, file: WeightsFile, capsys: pytest.CaptureFixture[str]
) -> None:
    verify(folder, [file])
    assert "all 1 are the published ones" in capsys.readouterr().out
    (folder.root / "net.bin").write_bytes(b"damaged")
    folder.downloaded(file)  # a memo that is wrong about the file
    assert folder.state(file).presence.value == "published"
    found = hashlib.sha256(b"damaged").hexdigest()[:12]
    with pytest.raises(WeightsError, match=found):
        verify(folder, [file])
    assert found in (folder.root / MEMO).read_text()


def test_the_table_shows_what_was_found(
    folder: WeightsFolder, file: WeightsFile, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder.root / "net.bin").write_bytes(b"another")
    print_states(folder, [file], afresh=False)
    shown = capsys.readouterr().out
    for expected in ("different", hashlib.sha256(b"another").hexdigest()[:12], "someone, MIT"):
        assert expected in shown
    assert str(folder.root) in shown


def test_fetch_has_nothing_to_do_when_all_is_there(
    folder: WeightsFolder, file: WeightsFile, capsys: pytest.CaptureFixture[str]
) -> None:
    fetch_with_progress(folder, [file])
    assert capsys.readouterr().out == f"0 downloaded, 1 already there: {folder.root}\n"


def test_fetch_leaves_other_files_alone(folder: WeightsFolder) -> None:
    path = folder.root / "fid" / "pt_inception-2015-12-05-6726825d.pth"
    path.parent.mkdir()
    path.write_bytes(b"mine")
    shown = CliRunner().invoke(
        weights_app, ["fetch", "--dir", str(folder.root), "--metrics", "fid"])
    assert shown.exit_code == 2
    assert "--replace" in shown.stderr
    assert path.read_bytes() == b"mine"


def test_ctrl_c_ends_with_130(
    folder: WeightsFolder, file: WeightsFile, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def interrupted(
        *_: object, on_start: Callable[[WeightsFile], None], replace: bool
    ) -> None:
        on_start(file)
        raise KeyboardInterrupt

    monkeypatch.setattr(fetching, "fetch", interrupted)
    with pytest.raises(typer.Exit) as raised:
        fetch_with_progress(folder, [file])
    assert raised.value.exit_code == 130
    told = capsys.readouterr().err
    assert "Net (7 bytes)" in told
    assert "the same command goes on" in told


def test_help_needs_no_heavy_import() -> None:
    code = ("import sys; from jdiff_checker.commands.weights import weights_app; "
            "print([m for m in ('torch', 'huggingface_hub', 'rich.progress', 'pydantic') "
            "if m in sys.modules])")
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout == "[]\n"
