"""Scoring with weights that are missing, damaged, or not the published ones."""

import io
import json
import pathlib
import pickle
from pathlib import Path

import pytest

from jdiff_checker import read_result
from jdiff_checker.weights.published import PUBLISHED, WeightsFile

DINO, CLIP_R = "dinov2-base/model.safetensors", "clip-vit-l-14/open_clip_model.safetensors"
CLIP_IQA = "clip-rn50/open_clip_model.safetensors"
LPIPS, FID = "lpips/squeezenet1_1-b8a52dc0.pth", "fid/pt_inception-2015-12-05-6726825d.pth"
CONFIG = "dinov2-base/config.json"
METRICS = {DINO: "dino", CLIP_R: "clip-r", CLIP_IQA: "clip-iqa", LPIPS: "lpips", FID: "fid",
           CONFIG: "dino"}
SAFETENSORS, PICKLES = (DINO, CLIP_R, CLIP_IQA), (LPIPS, FID)


class TouchesAFile:
    """Makes a file when it is unpickled by a reader that runs what it reads."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return pathlib.Path.touch, (self.path,)


def saved(content: object) -> bytes:
    import torch

    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()


@pytest.fixture
def refused(command, own_weights: Path, tmp_path: Path):
    """Puts `content` in a file's place, and checks that the command ends well and names it."""
    def run(path: str, content: bytes | None, *options: str) -> str:
        (own_weights / path).unlink()
        if content is not None:
            (own_weights / path).write_bytes(content)
        done = command("--weights", own_weights, "--metrics", METRICS[path], *options)
        assert done.exit_code == 2, done.stderr
        assert "Traceback" not in done.output
        assert str(own_weights) in done.stderr
        # A configuration may also come to light by the tensors that do not fit it.
        assert path in done.stderr or (path == CONFIG and "dinov2-base" in done.stderr)
        assert not (tmp_path / "out" / "result.json").exists()
        return done.stderr

    return run


# --- missing -----------------------------------------------------------------------------------


@pytest.mark.parametrize("file", PUBLISHED, ids=lambda file: file.path)
def test_a_missing_file_is_named_with_its_metric_and_the_command_that_fetches_it(
    refused, own_weights: Path, file: WeightsFile
) -> None:
    message = refused(file.path, None)
    assert f"{file.path} ({file.name}" in message
    (metric,) = file.metrics
    assert f"for {metric}" in message
    assert f"jdiff-check weights fetch --dir '{own_weights}' --metrics {metric}" in message


def test_all_missing_files_come_in_one_message(command, tmp_path: Path) -> None:
    done = command("--weights", tmp_path / "empty")
    assert done.exit_code == 2
    assert all(file.path in done.stderr for file in PUBLISHED)
    assert "--metrics hist" in done.stderr


def test_hist_needs_no_weights_and_claims_no_final_score(command, tmp_path: Path) -> None:
    done = command("--weights", tmp_path / "empty", "--metrics", "hist")
    assert done.exit_code == 0
    content = json.loads((tmp_path / "out" / "result.json").read_text())
    for scoring in ("official", "corrected"):
        assert content[scoring]["components"]["hist"] is not None
        assert content[scoring]["final_score"] is None
        reason = content[scoring]["no_final_because"]
        assert all(name in reason for name in ("DINO", "FID", "LPIPS", "CLIP-IQA", "CLIP-R"))
    assert content["weights"] == []
    assert "No final score" in done.stdout
    assert "unpublished" not in done.stdout


# --- not the published ones --------------------------------------------------------------------


def test_other_weights_than_the_published_are_refused(score, command, weights: Path) -> None:
    # `command` accepts them, so this goes around it.
    from typer.testing import CliRunner

    from jdiff_checker.cli import app

    result = score(metrics=["hist"])
    done = CliRunner().invoke(app, ["--upload", result.upload, "--gt", result.gt, "--weights",
                                    str(weights)])
    assert done.exit_code == 2
    assert all(file.path in done.stderr for file in PUBLISHED)
    assert "not the published ones" in done.stderr
    assert "--unpublished-weights" in done.stderr
    assert "--replace" in done.stderr


def test_other_weights_can_be_accepted_and_are_loudly_marked(command, tmp_path: Path) -> None:
    done = command()
    assert done.exit_code == 0
    result = read_result(tmp_path / "out" / "result.json")
    assert set(result.unpublished_weights) == {file.path for file in PUBLISHED}
    assert "unpublished weights: " in done.stdout
    for file in PUBLISHED:
        assert file.path in done.stdout
    assert "compare to nothing" in done.stdout
    final = next(line for line in done.stdout.splitlines() if line.startswith("Final score"))
    assert final.endswith("(unpublished weights: compares to nothing)")


def test_one_other_file_marks_the_result_too(score) -> None:
    assert score(metrics=["fid"]).unpublished_weights == [FID]


# --- damaged -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kept", [0.0, 0.00001, 0.5, 0.9999])
@pytest.mark.parametrize("path", [*SAFETENSORS, *PICKLES])
def test_a_file_that_was_cut_short_is_named(refused, weights: Path, path, kept) -> None:
    content = (weights / path).read_bytes()
    refused(path, content[:int(kept * len(content))], "--no-cache")


@pytest.mark.parametrize("path", [*SAFETENSORS, *PICKLES, CONFIG])
def test_a_web_page_in_a_files_place_is_named(refused, path) -> None:
    refused(path, b"<!DOCTYPE html><html>please log in</html>\n" * 9, "--no-cache")


@pytest.mark.parametrize(("path", "other"), [
    (DINO, CLIP_R), (DINO, LPIPS), (CLIP_R, DINO), (CLIP_R, CLIP_IQA), (CLIP_IQA, CLIP_R),
    (CLIP_IQA, DINO), (LPIPS, FID), (LPIPS, CLIP_R), (FID, LPIPS), (FID, DINO), (FID, CLIP_IQA),
])
def test_weights_of_another_network_are_named(refused, weights: Path, path, other) -> None:
    refused(path, (weights / other).read_bytes(), "--no-cache")


@pytest.mark.parametrize("path", SAFETENSORS)
def test_a_safetensors_file_with_a_tensor_less_is_named(refused, weights: Path, path) -> None:
    from safetensors.torch import load_file, save

    tensors = load_file(weights / path)
    del tensors[sorted(tensors)[len(tensors) // 2]]
    refused(path, save(tensors, {"format": "pt"}), "--no-cache")


@pytest.mark.parametrize("path", PICKLES)
@pytest.mark.parametrize("content", [[1], None, 3.5, {}, {"a": "text"}, {1: "number for a name"}],
                         ids=repr)
def test_a_pickle_of_something_else_is_named(refused, path, content) -> None:
    refused(path, saved(content), "--no-cache")


@pytest.mark.parametrize("path", PICKLES)
@pytest.mark.parametrize("form", ["torch.save", "pickle", "among the tensors"])
def test_code_in_a_pickle_is_not_run(refused, weights: Path, tmp_path: Path, path, form) -> None:
    import torch

    evidence = tmp_path / "it was run"
    evil = TouchesAFile(evidence)
    if form == "pickle":
        content = pickle.dumps(evil, protocol=2)  # as torch does
    elif form == "torch.save":
        content = saved(evil)
    else:
        content = saved({**torch.load(weights / path, weights_only=True), "more": evil})
    refused(path, content, "--no-cache")
    assert not evidence.exists()
    # It would have been, by a reader that trusts the file.
    if form == "pickle":
        pickle.loads(content)
    else:
        torch.load(io.BytesIO(content), weights_only=False)
    assert evidence.exists()


@pytest.mark.parametrize("change", [
    "not JSON", "a list", "bert", {"hidden_size": 128}, {"hidden_size": "wide"},
    {"num_hidden_layers": 1}, {"num_hidden_layers": 3}, {"patch_size": 16}, {"image_size": 224},
], ids=str)
def test_a_configuration_of_another_model_is_named(refused, weights: Path, change) -> None:
    config = json.loads((weights / CONFIG).read_text())
    if change == "not JSON":
        content = "{"
    elif change == "a list":
        content = "[]"
    elif change == "bert":
        content = json.dumps({"model_type": "bert", "architectures": ["BertModel"],
                              "hidden_size": 64, "num_hidden_layers": 2})
    else:
        content = json.dumps(config | change)
    refused(CONFIG, content.encode(), "--no-cache")
