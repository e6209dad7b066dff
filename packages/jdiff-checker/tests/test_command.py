"""`jdiff-check` from its options to its exit code."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import jdiff_checker
from jdiff_checker import checking, read_result
from jdiff_checker.cli import app

HEAVY = ("torch", "torchvision", "transformers", "open_clip", "lpips", "cv2", "numpy", "PIL",
         "matplotlib", "rich.progress", "jinja2", "huggingface_hub", "requests", "httpx")

HELP = f"""
import sys
import jdiff_checker.cli
def loaded():
    return [name for name in {HEAVY} if name in sys.modules]
print("imported:", loaded())
for arguments in (["--help"], ["weights", "--help"], ["compare", "--help"], ["--version"]):
    try:
        jdiff_checker.cli.app(arguments, prog_name="jdiff-check")
    except SystemExit as end:
        print("after", *arguments, end.code, loaded())
"""


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


# --- instant -----------------------------------------------------------------------------------


def test_help_and_version_load_nothing_heavy() -> None:
    done = subprocess.run([sys.executable, "-c", HELP], capture_output=True, text=True, check=True)
    for line in ("imported: []", "after --help 0 []", "after weights --help 0 []",
                 "after compare --help 0 []", "after --version 0 []"):
        assert line in done.stdout
    assert "--unpublished-weights" in done.stdout
    assert f"jdiff-check {jdiff_checker.__version__}" in done.stdout


# --- the whole program -------------------------------------------------------------------------


def test_the_program_scores_everything_without_a_warning(
    score, split: Path, upload: Path, weights: Path, out: Path, tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "jdiff_checker", "--upload", upload, "--gt", split, "--weights",
         weights, "--unpublished-weights", "--result", out, "--cache", tmp_path / "cache.sqlite"],
        capture_output=True, text=True, check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "arning" not in done.stderr
    result = read_result(out / "result.json")
    again = score()  # from the cache that the program left
    assert result.official == again.official
    assert result.corrected == again.corrected
    assert f"{result.final_score:.4f}" in done.stdout
    assert f"written: {out / 'result.json'}" in done.stdout


def test_a_score_ends_with_0_and_is_printed_logged_and_written(command, out: Path) -> None:
    done = command()
    assert done.exit_code == 0
    result = read_result(out / "result.json")
    assert f"Final score, official scoring: {result.final_score:.4f}" in done.stdout
    assert sorted(path.name for path in out.iterdir()) == ["jdiff-check.log", "result.json"]
    log = (out / "jdiff-check.log").read_text()
    for scored in (result.official, result.corrected):
        assert f"{scored.scoring}: " in log
        assert str(scored.final_score) in log
        assert str(scored.components.lpips) in log


def test_the_log_is_appended_to_and_names_the_problems(command, out: Path) -> None:
    command("--metrics", "hist")
    command("--metrics", "fid")
    log = (out / "jdiff-check.log").read_text()
    assert log.count("final score") == 4
    assert "WARNING wrong-size: 00/Ring.png" in log


# --- options -----------------------------------------------------------------------------------


def test_upload_and_gt_are_both_needed(split: Path, upload: Path) -> None:
    for options in ([], ["--upload", str(upload)], ["--gt", str(split)]):
        done = CliRunner().invoke(app, options)
        assert done.exit_code == 2
        assert "--upload and --gt are both needed" in done.stderr


def test_styles_choose_what_is_scored(command, out: Path) -> None:
    assert command("--metrics", "hist", "--styles", "17, 3").exit_code == 0
    assert read_result(out / "result.json").official.styles == ["03", "17"]


def test_prompts_are_read_from_a_file(command, out: Path, tmp_path: Path) -> None:
    listed = tmp_path / "list.txt"
    listed.write_text("Ring\nHotel\nSubmarine\nwatch\nWatch\n")
    done = command("--metrics", "clip-r", "--prompts", listed)
    assert done.exit_code == 0
    assert read_result(out / "result.json").prompts == ["ring", "hotel", "submarine", "watch"]
    assert f"CLIP-R's 4 prompts come from {listed}" in done.stdout


def test_the_corrected_scoring_can_be_asked_for(command, out: Path) -> None:
    done = command("--scoring", "corrected")
    assert done.exit_code == 0
    result = read_result(out / "result.json")
    assert result.final_score == result.corrected.final_score != result.official.final_score
    assert f"Final score, corrected scoring: {result.final_score:.4f}" in done.stdout


def test_a_report_is_written_on_request(command, out: Path, tmp_path: Path) -> None:
    done = command("--report", tmp_path / "page")
    assert done.exit_code == 0
    assert (tmp_path / "page" / "report.html").is_file()
    assert f"written: {tmp_path / 'page' / 'report.html'}" in done.stdout


def test_no_cache_reads_and_writes_none(command, passes, private_folders: Path) -> None:
    cache = private_folders / "jdiff-checker" / "features.sqlite"
    cache.unlink()
    assert command("--no-cache", "--metrics", "hist").exit_code == 0
    assert len(passes.decoded) == 18
    assert [path for path in private_folders.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(("options", "message"), [
    (["--metrics", "dino,fdi"], "no such metric: fdi. Choose from dino, hist, fid, lpips"),
    (["--metrics", ""], "no metric is named"),
    (["--scoring", "fair"], "fair"),
    (["--styles", "00,55"], "no style 55. There are 00, 03, 17"),
    (["--styles", ","], "no style is named"),
    (["--device", "nonsense"], "--device nonsense: no such device. Use auto, cpu, cuda or cuda:N"),
    (["--device", "meta"], "--device meta: not supported"),
    (["--workers", "0"], "--workers"),
    (["--upload", "/nowhere/out"], "/nowhere/out: no such folder"),
    (["--gt", "/nowhere/B"], "/nowhere/B: no such folder"),
    (["--prompts", "/nowhere/list.txt"], "/nowhere/list.txt: cannot be read"),
    (["--cache", "here", "--no-cache"], "exclude each other"),
    (["--nonsense"], "--nonsense"),
])
def test_what_cannot_be_used_ends_with_2_and_is_named(command, out, options, message) -> None:
    done = command(*options)
    assert done.exit_code == 2
    assert message in done.stderr
    assert "Traceback" not in done.output
    assert not (out / "result.json").exists()


def test_cuda_without_a_gpu_is_refused(command, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for device in ("cuda", "cuda:1"):
        done = command("--device", device)
        assert done.exit_code == 2
        assert f"--device {device}: torch sees 0 GPUs here. Use --device cpu" in done.stderr


# --- incomplete uploads ------------------------------------------------------------------------


def test_a_strict_check_lists_all_that_is_missing_and_leaves_an_older_result_alone(
    command, out: Path, upload: Path, split: Path
) -> None:
    (upload / "00" / "Ring.png").unlink()
    (upload / "00" / "Hotel.png").unlink()
    (upload / "03" / "Volcano.png").write_bytes(b"cut")
    (split / "03" / "images" / "sample 1.png").write_bytes(b"")
    out.mkdir()
    (out / "result.json").write_text("an older result")
    done = command()
    assert done.exit_code == 2
    for said in ("no image for 2 of 3 prompts: Ring, Hotel", "03/Volcano.png",
                 "03/images/sample 1.png"):
        assert said in done.output
    assert "--allow-missing" in done.stderr
    assert (out / "result.json").read_text() == "an older result"
    assert "Ring, Hotel" in (out / "jdiff-check.log").read_text()
    assert sorted(path.name for path in out.iterdir()) == ["jdiff-check.log", "result.json"]


def test_a_missing_style_stops_the_scorings_it_belongs_to(command, upload: Path) -> None:
    shutil.rmtree(upload / "17")
    assert command("--metrics", "hist").exit_code == 0
    done = command("--metrics", "hist", "--scoring", "corrected")
    assert done.exit_code == 2
    assert "17: no folder in the upload" in done.output


def test_an_incomplete_upload_is_scored_on_request_and_the_gap_recorded(
    command, out: Path, upload: Path
) -> None:
    (upload / "00" / "Ring.png").unlink()
    done = command("--allow-missing")
    assert done.exit_code == 0
    result = read_result(out / "result.json")
    assert ["Ring" in line for line in result.official.incomplete] == [True]
    assert result.official.images == 5
    assert result.final_score is not None
    assert result.official.incomplete[0] in " ".join(done.stdout.split())


# --- places that cannot be written -------------------------------------------------------------


@pytest.mark.parametrize("below", ["", "deeper/still"])
def test_a_file_in_the_way_of_the_result_folder_is_named(command, tmp_path, below) -> None:
    (tmp_path / "taken").write_text("mine")
    place = tmp_path / "taken" / below
    done = command("--result", place)
    assert done.exit_code == 2
    assert f"cannot write {place}" in done.stderr
    assert "Traceback" not in done.output
    assert (tmp_path / "taken").read_text() == "mine"


def test_a_cache_that_is_no_database_is_named_and_logged(command, out, tmp_path) -> None:
    (tmp_path / "notes.txt").write_text("my notes, longer than a header of SQLite\n" * 99)
    done = command("--cache", tmp_path / "notes.txt")
    assert done.exit_code == 2
    assert f"{tmp_path / 'notes.txt'}: the cache of features cannot be used" in done.stderr
    assert "notes.txt" in (out / "jdiff-check.log").read_text()


# --- other endings -----------------------------------------------------------------------------


@pytest.mark.parametrize("phase", ["Looking over the files", "Starting torch", "Scoring images"])
def test_ctrl_c_ends_with_130_at_any_time(command, out, monkeypatch, phase) -> None:
    check = checking.check

    def interrupted(*arguments, on_progress, **options):
        def press(what: str, done: int, total: int) -> None:
            if what == phase:
                raise KeyboardInterrupt

        return check(*arguments, on_progress=press, **options)

    monkeypatch.setattr(checking, "check", interrupted)
    done = command("--metrics", "hist")
    assert done.exit_code == 130
    assert done.stderr.strip().startswith("stopped; what was computed is kept")
    assert [path.name for path in out.iterdir()] == ["jdiff-check.log"]
    assert "ended by KeyboardInterrupt" in (out / "jdiff-check.log").read_text()


def test_a_fault_of_the_program_ends_with_1_and_a_full_report(
    command, out, tmp_path, monkeypatch
) -> None:
    def broken(*arguments, **options):
        raise ZeroDivisionError("in the middle")

    monkeypatch.setattr(checking, "check", broken)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    done = command()
    assert done.exit_code == 1
    assert "unexpected ZeroDivisionError: in the middle" in done.stderr
    assert "Traceback" not in done.output
    (report,) = tmp_path.glob("jdiff-check-*.log")
    assert str(report) in done.stderr
    assert "Traceback" in report.read_text()
    assert "ZeroDivisionError" in (out / "jdiff-check.log").read_text()


# --- compare -----------------------------------------------------------------------------------


def test_two_results_are_compared_by_file_or_folder(command, upload, tmp_path) -> None:
    command("--result", tmp_path / "before")
    shutil.copy(upload / "00" / "Ring.png", upload / "00" / "Hotel.png")
    command("--result", tmp_path / "after")
    before, after = (read_result(tmp_path / name / "result.json") for name in ("before", "after"))
    assert before.final_score != after.final_score
    compared = [CliRunner().invoke(app, ["compare", str(one), str(other)]) for one, other in (
        (tmp_path / "before", tmp_path / "after"),
        (tmp_path / "before" / "result.json", tmp_path / "after" / "result.json"))]
    assert [done.exit_code for done in compared] == [0, 0]
    assert compared[0].stdout == compared[1].stdout
    assert f"{before.final_score:.4f}" in compared[0].stdout
    assert f"{after.final_score:.4f}" in compared[0].stdout
    assert "Hotel" in compared[0].stdout


def test_several_results_are_shown_side_by_side(command, upload, tmp_path) -> None:
    command("--result", tmp_path / "one")
    shutil.copy(upload / "00" / "Ring.png", upload / "00" / "Hotel.png")
    command("--result", tmp_path / "two")
    results = [read_result(tmp_path / name / "result.json") for name in ("one", "two", "one")]
    folders = [str(tmp_path / name) for name in ("one", "two", "one")]
    done = CliRunner().invoke(app, ["compare", *folders], terminal_width=300)
    assert done.exit_code == 0
    lines = [line.split() for line in done.stdout.splitlines()]
    finals = [line[-3:] for line in lines if line[:2] == ["final", "score"]]
    assert finals == [[f"{getattr(result, scoring).final_score:.4f}" for result in results]
                      for scoring in ("official", "corrected")]


def test_one_result_is_not_compared(tmp_path) -> None:
    done = CliRunner().invoke(app, ["compare", str(tmp_path)])
    assert done.exit_code == 2
    assert "two results" in done.stderr


def test_comparing_with_something_else_ends_with_2_and_names_it(tmp_path) -> None:
    (tmp_path / "other.json").write_text(json.dumps({"final": 0.5}))
    for path, message in ((tmp_path / "none.json", "no such file"),
                          (tmp_path / "other.json", "not a result of this program"),
                          (tmp_path, "no such file")):
        done = CliRunner().invoke(app, ["compare", str(path), str(path)])
        assert done.exit_code == 2
        assert str(path) in done.stderr
        assert message in done.stderr
