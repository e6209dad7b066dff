"""`result.json`: the official checker's keys beside everything that a score came from."""

import hashlib
import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest

from jdiff_checker import Scoring, read_result, write_result
from jdiff_checker.errors import InputError, OutputError
from jdiff_checker.result import official_keys

OFFICIAL_KEYS = {"dino_score", "dino_summary", "dino_scores", "hist_score", "hist_summary",
                 "hist_scores", "fid_score", "lpip_score", "clip_iqa_score", "clip_iqa_summary",
                 "clip_r_score", "clip_r_scores"}
FILES = {"00": ["Cactus.png", "Hotel.png", "Ring.png", "Spare.png"],
         "03": ["Panda.png", "Ring.png", "Volcano.png"]}
REFERENCES = ["sample 0.png", "sample 1.png", "sample 2.png"]


@pytest.fixture
def content(example, tmp_path: Path) -> dict:
    write_result(example.result, tmp_path / "result.json")
    return json.loads((tmp_path / "result.json").read_text(encoding="utf-8"))


def numbers(value: object) -> list[float]:
    if isinstance(value, dict):
        return [number for one in value.values() for number in numbers(one)]
    if isinstance(value, list):
        return [number for one in value for number in numbers(one)]
    return [value] if isinstance(value, float) else []


# --- the official checker's keys ---------------------------------------------------------------


def test_all_official_keys_are_there_and_hold_finite_numbers(content) -> None:
    assert set(content) >= OFFICIAL_KEYS
    assert all(math.isfinite(number) for number in numbers(content))


def test_dino_is_listed_by_pair_and_summed_up_by_image_style_and_total(content) -> None:
    assert {style: sorted(files) for style, files in content["dino_scores"].items()} == FILES
    assert set(content["dino_summary"]) == {*FILES, "total"}
    totals = []
    for style, files in content["dino_scores"].items():
        summary = content["dino_summary"][style]
        assert set(summary) == {*FILES[style], "total"}
        for file, pairs in files.items():
            assert [reference for reference, _ in pairs] == REFERENCES
            assert summary[file] == pytest.approx(np.mean([value for _, value in pairs]))
        assert summary["total"] == pytest.approx(np.mean([summary[file] for file in files]))
        totals.append(summary["total"])
    assert content["dino_summary"]["total"] == content["dino_score"]
    assert content["dino_score"] == pytest.approx(np.mean(totals))


def test_hist_has_a_number_a_style_and_a_total(content) -> None:
    assert content["hist_summary"] == {"total": content["hist_score"]}
    assert set(content["hist_scores"]) == set(FILES)
    assert content["hist_score"] == pytest.approx(np.mean(list(content["hist_scores"].values())))


def test_clip_iqa_has_a_number_a_style_and_a_total(content) -> None:
    summary = dict(content["clip_iqa_summary"])
    assert summary.pop("total") == content["clip_iqa_score"]
    assert set(summary) == set(FILES)
    assert content["clip_iqa_score"] == pytest.approx(np.mean(list(summary.values())))


def test_clip_r_has_five_prompts_an_image_and_the_ratio_of_all(content) -> None:
    scores = dict(content["clip_r_scores"])
    ratio = scores.pop("total_correct_ratio")
    assert {style: sorted(files) for style, files in scores.items()} == FILES
    entries = [(file, entry) for files in scores.values() for file, entry in files.items()]
    for file, entry in entries:
        assert set(entry) == {"correct", "result"}
        prompts = [prompt for prompt, _ in entry["result"]]
        assert len(prompts) == 5
        assert entry["correct"] is (Path(file).stem.lower() in prompts)
    assert ratio == content["clip_r_score"]
    assert ratio == pytest.approx(np.mean([entry["correct"] for _, entry in entries]))


def test_fid_and_lpips_are_one_number_each(content) -> None:
    components = content["official"]["components"]
    assert content["fid_score"] == components["fid"] > 0
    assert content["lpip_score"] == components["lpips"] > 0


def test_official_keys_hold_the_official_scoring_whichever_was_asked_for(content, score,
                                                                         example) -> None:
    result = score(upload=example.upload, gt=example.split, cache=example.cache,
                   scoring="corrected", allow_missing=True)
    assert result.scoring is Scoring.CORRECTED
    assert result.final_score == result.corrected.final_score
    keys = json.loads(json.dumps(official_keys(result)))
    assert keys == {key: content[key] for key in OFFICIAL_KEYS}


def test_keys_of_metrics_not_asked_for_are_absent(score) -> None:
    keys = official_keys(score(metrics=["hist", "fid"]))
    assert set(keys) == {"hist_score", "hist_summary", "hist_scores", "fid_score"}


def test_without_official_styles_there_are_no_official_keys(score, split, tmp_path) -> None:
    for style in ("00", "03"):
        shutil.rmtree(split / style)
    result = score(metrics=["hist"], scoring="corrected")
    write_result(result, tmp_path / "result.json")
    content = json.loads((tmp_path / "result.json").read_text())
    assert not OFFICIAL_KEYS & set(content)
    assert content["official"] is None
    assert read_result(tmp_path / "result.json") == result


def test_the_file_holds_clip_iqa_where_the_official_program_prints_the_histogram_score(
    content, example
) -> None:
    components = example.result.official.components  # quirk 6 is in the printing only
    assert content["clip_iqa_score"] == components.clip_iqa != components.hist
    assert content["hist_score"] == components.hist


# --- what it came from -------------------------------------------------------------------------


def test_both_scorings_have_their_inputs_and_what_they_do_about_each_quirk(content) -> None:
    metrics = ["clip_iqa", "clip_r", "dino", "fid", "hist", "lpips"]
    for scoring in ("official", "corrected"):
        scored = content[scoring]
        assert sorted(scored["components"]) == metrics
        assert None not in scored["components"].values()
        assert 0 < scored["final_score"] < 1
        assert len(scored["notes"]) == 7
    assert content["official"]["styles"] == ["00", "03"]
    assert content["corrected"]["styles"] == ["00", "03", "17"]
    # Style 17 is not the official scoring's, so its gap is none of it.
    assert content["official"]["incomplete"] == []
    assert ["Watch" in line for line in content["corrected"]["incomplete"]] == [True]


def test_every_value_of_every_image_is_there(content, example) -> None:
    for style in content["styles"]:
        folder = example.upload / style["style"]
        assert [image["file"] for image in style["images"]] == sorted(
            path.name for path in folder.iterdir())
        for image in style["images"]:
            assert image["sha256"] == hashlib.sha256(
                (folder / image["file"]).read_bytes()).hexdigest()
            assert (image["width"], image["height"]) == (128, 128)
            assert list(image["dino_pairs"]) == list(image["lpips_pairs"]) == REFERENCES
            assert set(image["hist"]) == set(image["clip_iqa"]) == {"official", "corrected"}
            scorings = {"official", "corrected"} if image["prompt"] else {"official"}
            assert set(image["clip_r"]) == scorings
        for reference in style["references"]:
            path = example.split / style["style"] / "images" / reference["file"]
            assert reference["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()


def test_it_says_what_was_scored_with_what(content, example, weights: Path) -> None:
    assert (content["upload"], content["gt"]) == (str(example.upload), str(example.split))
    assert content["scoring"] == "official"
    assert content["metrics"] == ["dino", "hist", "fid", "lpips", "clip-iqa", "clip-r"]
    assert len(content["prompts"]) == 8
    assert str(example.split) in content["prompts_from"]
    assert {"python", "jdiff-checker", "torch", "torchvision", "transformers", "open_clip_torch",
            "lpips", "numpy", "pillow"} <= set(content["versions"])
    assert content["device"].split(":")[0] in ("cpu", "cuda")
    assert content["started"].endswith("+00:00")
    assert content["seconds"] > 0
    files = {record["file"]: record for record in content["weights"]}
    own = {str(path.relative_to(weights)) for path in weights.glob("*/*")}
    assert own <= set(files)
    for file in own:
        assert files[file]["sha256"] == hashlib.sha256((weights / file).read_bytes()).hexdigest()
        assert files[file]["published"] is False
    # The learned heads of LPIPS come with its package and are the published ones.
    (heads,) = (record for file, record in files.items() if file not in own)
    assert "lpips" in heads["file"]
    assert heads["published"] is True


def test_it_lists_the_problems_that_were_found(content) -> None:
    kinds = {problem["kind"] for problem in content["problems"]}
    assert {"extra-image", "missing-image", "wrong-size"} <= kinds


# --- reading it again --------------------------------------------------------------------------


def test_a_result_reads_back_as_it_was(example, tmp_path: Path) -> None:
    write_result(example.result, tmp_path / "new" / "result.json")
    assert read_result(tmp_path / "new" / "result.json") == example.result
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["result.json"]


@pytest.mark.parametrize(("text", "message"), [
    (None, "no such file"), ("{", "not readable as JSON"), ("[1]", "not a result"),
    ('{"dino_score": 0.5}', "not a result of this program: scoring"), ("", "not readable as JSON"),
])
def test_something_else_than_a_result_is_refused_by_name(tmp_path: Path, text, message) -> None:
    path = tmp_path / "result.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError, match=message) as raised:
        read_result(path)
    assert str(raised.value).startswith(f"{path}: ")


def test_a_result_that_cannot_be_written_leaves_nothing_behind(example, tmp_path: Path) -> None:
    (tmp_path / "result.json").mkdir()
    with pytest.raises(OutputError, match=r"result\.json"):
        write_result(example.result, tmp_path / "result.json")
    assert [path.name for path in tmp_path.iterdir()] == ["result.json"]
