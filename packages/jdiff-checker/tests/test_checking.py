"""What a check covers, and that every number follows from the ones below it."""

import json
import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pytest

import jdiff_checker
from jdiff_checker import CheckResult, check
from jdiff_checker.errors import InputError, UploadError
from jdiff_checker.scoring import ALL_METRICS, Scoring

OFFICIAL, CORRECTED = Scoring.OFFICIAL, Scoring.CORRECTED


def counted(style, scoring):
    return [image for image in style.images if scoring is OFFICIAL or image.prompt is not None]


def expected_means(style, scoring) -> dict[str, float]:
    """Means of a style's images, from their pairs where there are some."""
    images = counted(style, scoring)
    return {
        "dino": np.mean([np.mean(list(image.dino_pairs.values())) for image in images]),
        "lpips": np.mean([np.mean(list(image.lpips_pairs.values())) for image in images]),
        "hist": np.mean([image.hist[scoring] for image in images]),
        "clip_iqa": np.mean([image.clip_iqa[scoring] for image in images]),
        "clip_r": np.mean([image.clip_r[scoring].correct for image in images]),
    }


def stored(cache: Path, metric: str) -> dict[str, np.ndarray]:
    """The vectors of a metric's network by image, straight from the file."""
    with sqlite3.connect(cache) as database:
        rows = database.execute("SELECT content, data FROM features WHERE network LIKE ?",
                                [f"{metric} %"])
        return {content: np.frombuffer(data, "<f4").astype(float) for content, data in rows}


def frechet(first: list[np.ndarray], second: list[np.ndarray]) -> float:
    """The formula as it is written, with the root of a symmetric matrix."""
    def root(matrix: np.ndarray) -> np.ndarray:
        values, vectors = np.linalg.eigh(matrix)
        return vectors @ np.diag(np.sqrt(values.clip(0))) @ vectors.T

    one, other = np.cov(np.array(first).T), np.cov(np.array(second).T)
    half = root(one)
    shared = np.sqrt(np.linalg.eigvalsh(half @ other @ half).clip(0)).sum()
    apart = np.square(np.mean(first, axis=0) - np.mean(second, axis=0)).sum()
    return float(apart + np.trace(one) + np.trace(other) - 2 * shared)


# --- what is covered ---------------------------------------------------------------------------


def test_official_covers_the_styles_00_to_14_that_exist_and_corrected_all(example) -> None:
    assert example.result.official.styles == ["00", "03"]
    assert example.result.corrected.styles == ["00", "03", "17"]
    assert [set(style.means) for style in example.result.styles] == [
        {OFFICIAL, CORRECTED}, {OFFICIAL, CORRECTED}, {CORRECTED}]


def test_official_counts_extra_images_and_corrected_leaves_them_out(example) -> None:
    assert [image.file for image in example.result.styles[0].images] == [
        "Cactus.png", "Hotel.png", "Ring.png", "Spare.png"]
    assert example.result.official.images == 4 + 3
    assert example.result.corrected.images == 3 + 3 + 2


def test_styles_asked_for_are_those_of_both_scorings(score) -> None:
    result = score(styles=["17", "0"], metrics=["hist"])
    assert result.official.styles == result.corrected.styles == ["00", "17"]


def test_a_split_without_official_styles_has_no_official_score(score, split) -> None:
    for style in ("00", "03"):
        shutil.rmtree(split / style)
    with pytest.raises(InputError, match=r"00 to 14.*--styles.*--scoring corrected"):
        score(metrics=["hist"])
    result = score(metrics=["hist"], scoring="corrected")
    assert result.official is None
    assert result.chosen.styles == ["17"]


# --- every aggregate, computed again -----------------------------------------------------------


@pytest.mark.parametrize("scoring", Scoring)
def test_a_styles_means_follow_from_its_images(example, scoring) -> None:
    for style in example.result.styles:
        if scoring in style.means:
            for name, value in expected_means(style, scoring).items():
                assert getattr(style.means[scoring], name) == pytest.approx(value, abs=1e-12)


@pytest.mark.parametrize("scoring", Scoring)
def test_overall_values_are_means_over_styles_but_clip_r_is_pooled_over_images(
    example, scoring
) -> None:
    scored = getattr(example.result, scoring)
    styles = [style for style in example.result.styles if style.style in scored.styles]
    means = [expected_means(style, scoring) for style in styles]
    for name in ("dino", "hist", "lpips", "clip_iqa"):
        expected = np.mean([mean[name] for mean in means])
        assert getattr(scored.components, name) == pytest.approx(expected, abs=1e-12)
    pooled = [image.clip_r[scoring].correct for style in styles
              for image in counted(style, scoring)]
    assert 0 < sum(pooled) < len(pooled)
    assert scored.components.clip_r == pytest.approx(np.mean(pooled), abs=1e-12)


def test_fid_is_the_last_official_styles_and_that_of_all_images(example) -> None:
    vectors = stored(example.cache, "fid")
    styles = {style.style: style for style in example.result.styles}

    def distance(names: list[str], scoring: Scoring) -> float:
        references = [vectors[one.sha256] for name in names for one in styles[name].references]
        images = [vectors[one.sha256] for name in names for one in counted(styles[name], scoring)]
        return frechet(references, images)

    found = example.result
    assert found.official.components.fid == pytest.approx(distance(["03"], OFFICIAL), abs=1e-5)
    assert found.corrected.components.fid == pytest.approx(distance(list(styles), CORRECTED),
                                                           abs=1e-5)
    for name, style in styles.items():
        for scoring, mean in style.means.items():
            assert mean.fid == pytest.approx(distance([name], scoring), abs=1e-5)


def test_the_official_fid_is_the_last_style_that_has_images(score, upload) -> None:
    shutil.rmtree(upload / "03")
    result = score(metrics=["fid"], allow_missing=True)
    assert result.official.components.fid == result.styles[0].means[OFFICIAL].fid
    assert result.official.components.fid is not None


@pytest.mark.parametrize("scoring", Scoring)
def test_the_final_score_follows_from_the_components(example, scoring) -> None:
    scored = getattr(example.result, scoring)
    dino, hist, fid, lpips, clip_iqa, clip_r = (
        getattr(scored.components, name)
        for name in ("dino", "hist", "fid", "lpips", "clip_iqa", "clip_r"))
    expected = (0.2 * dino + 0.4 * hist + 0.4 * (1 - lpips)) * (
        0.5 * clip_r + 0.4 * (20 - min(fid, 20)) / 20 + 0.1 * clip_iqa)
    assert scored.final_score == pytest.approx(expected, abs=1e-12)
    assert scored.no_final_because is None


def test_pairs_follow_from_the_features_of_both_images(example) -> None:
    dino, hist = stored(example.cache, "dino"), stored(example.cache, "hist")
    for style in example.result.styles:
        mean = np.mean([hist[one.sha256] for one in style.references], axis=0)
        for image in style.images:
            for reference in style.references:
                one, other = dino[image.sha256], dino[reference.sha256]
                cosine = one @ other / np.linalg.norm(one) / np.linalg.norm(other)
                assert image.dino_pairs[reference.file] == pytest.approx(cosine, abs=1e-9)
            own = hist[image.sha256]
            # RGB, then HSV: official, then corrected.
            ends = np.cumsum([4096, 72, 4096, 72])
            rgb, hsv, true_rgb, true_hsv = (
                np.corrcoef(one, other)[0, 1]
                for one, other in zip(np.split(own, ends[:-1]), np.split(mean, ends[:-1]),
                                      strict=True))
            assert image.hist[OFFICIAL] == pytest.approx((rgb + hsv) / 2, abs=1e-6)
            assert image.hist[CORRECTED] == pytest.approx((true_rgb + true_hsv) / 2, abs=1e-6)


def test_clip_r_looks_for_the_files_stem_or_the_prompt_among_the_five_likeliest(example) -> None:
    for style in example.result.styles:
        for image in style.images:
            assert set(image.clip_r) == {OFFICIAL} | ({CORRECTED} if image.prompt else set())
            assert image.clip_r[OFFICIAL].label == image.file.split(".")[0].lower()
            for scoring, found in image.clip_r.items():
                if scoring is CORRECTED:
                    assert found.label == image.prompt.lower()
                odds = [probability for _, probability in found.top5]
                assert len(odds) == 5
                assert odds == sorted(odds, reverse=True)
                assert 0 < sum(odds) <= 1
                assert found.correct == (found.label in [prompt for prompt, _ in found.top5])


def test_clip_rs_list_is_every_prompt_of_the_split_once(example) -> None:
    assert example.result.prompts == ["ring", "hotel", "cactus", "volcano", "panda", "tower",
                                      "lion", "watch"]


# --- an image scored against itself ------------------------------------------------------------


def test_an_image_that_is_its_own_reference_is_alike_in_everything_and_costs_one_pass(
    score, split, upload, passes
) -> None:
    for style in ("00", "03", "17"):
        prompts = json.loads((split / style / "prompt.json").read_text()).values()
        for reference, prompt in zip(sorted((split / style / "images").iterdir()), prompts,
                                     strict=True):
            shutil.copy(reference, upload / style / f"{prompt}.png")
    result = score()
    for style in result.styles:
        for image in style.images:
            own = [one.file for one in style.references if one.sha256 == image.sha256]
            assert len(own) == 1
            assert image.dino_pairs[own[0]] == pytest.approx(1, abs=1e-6)
            assert image.lpips_pairs[own[0]] == 0
            others = [value for file, value in image.lpips_pairs.items() if file not in own]
            assert min(others) > 0
    assert result.official.components.fid == pytest.approx(0, abs=1e-6)
    assert result.corrected.components.fid == pytest.approx(0, abs=1e-6)
    assert len(passes.decoded) == 9
    assert set(passes.images) == set(ALL_METRICS)
    assert set(passes.images.values()) == {9}


def test_histograms_of_an_image_and_its_only_reference_are_alike(score, split, upload) -> None:
    for style in ("00", "03", "17"):
        first, *others = sorted((split / style / "images").iterdir())
        for other in others:
            other.unlink()
        for image in (upload / style).iterdir():
            shutil.copy(first, image)
    components = score(metrics=["hist", "dino", "lpips"]).corrected.components
    assert components.hist == pytest.approx(1, abs=1e-9)
    assert components.dino == pytest.approx(1, abs=1e-6)
    assert components.lpips == 0


# --- where there is no value -------------------------------------------------------------------


def test_metrics_not_asked_for_have_no_value_and_there_is_no_final_score(score) -> None:
    result = score(metrics=["hist", "fid"])
    assert result.metrics == ["hist", "fid"]
    assert result.final_score is None
    assert "DINO, LPIPS, CLIP-IQA, CLIP-R not asked for" in result.official.no_final_because
    assert result.official.components.dino is None
    assert result.styles[0].images[0].lpips is None


def test_one_image_a_style_has_no_official_fid_and_says_so(score, upload) -> None:
    for style, keep in (("00", "Ring"), ("03", "Ring"), ("17", "Lion")):
        for image in (upload / style).iterdir():
            if image.stem != keep:
                image.unlink()
    result = score(allow_missing=True)
    assert result.official.components.fid is None
    assert result.official.final_score is None
    assert "FID" in result.official.no_final_because
    assert "at least two" in result.official.no_final_because
    assert result.corrected.components.fid > 0
    assert result.corrected.final_score is not None


def test_a_style_without_images_is_no_part_of_the_means(score, upload) -> None:
    whole = score(metrics=["hist", "dino"])
    shutil.rmtree(upload / "03")
    result = score(metrics=["hist", "dino"], allow_missing=True)
    assert result.official.components == whole.styles[0].means[OFFICIAL]
    assert result.official.images == 3
    assert any(line.startswith("03: no folder") for line in result.official.incomplete)


def test_a_style_without_references_is_scored_by_what_needs_none(score, split) -> None:
    shutil.rmtree(split / "03" / "images")
    result = score(metrics=["hist", "dino", "lpips", "fid", "clip-r"], allow_missing=True)
    means = result.styles[1].means[OFFICIAL]
    assert (means.dino, means.hist, means.lpips, means.fid) == (None, None, None, None)
    assert means.clip_r is not None
    assert result.official.components.dino == result.styles[0].means[OFFICIAL].dino
    assert result.official.images == 6


# --- the library -------------------------------------------------------------------------------


def test_check_returns_a_typed_result_that_the_package_exports(example) -> None:
    assert isinstance(example.result, CheckResult)
    assert jdiff_checker.check is check
    assert example.result.chosen is example.result.official
    assert example.result.final_score == example.result.official.final_score
    assert all(getattr(jdiff_checker, name) for name in jdiff_checker.__all__)


def test_strings_and_paths_will_do_for_folders(score, split, upload) -> None:
    result = score(upload=str(upload), gt=str(split), metrics=["hist"])
    assert result == score(metrics=["hist"]).model_copy(
        update={"started": result.started, "seconds": result.seconds})
    image = result.styles[0].images[0]
    assert result.image_path("00", image.file) == upload / "00" / image.file
    assert result.reference_path("00", "sample 0.png").is_file()


@pytest.mark.parametrize(("options", "message"), [
    ({"metrics": ["dino", "fdi"]}, r"no metric 'fdi'.*dino, hist, fid, lpips, clip-iqa, clip-r"),
    ({"metrics": []}, "metric"),
    ({"metrics": "dino"}, "metrics='dino'"),
    ({"scoring": "fair"}, r"no scoring 'fair'.*official, corrected"),
    ({"styles": ["00", "55"]}, r"no style 55.*00, 03, 17"),
    ({"styles": []}, "no style"),
    ({"styles": "03"}, "styles='03'"),  # its digits are styles, too
    ({"device": "nonsense"}, "nonsense"),
    ({"device": "mps"}, "mps"),
    ({"workers": -1}, "workers"),
    ({"upload": "/nowhere/out"}, "/nowhere/out"),
    ({"gt": "/nowhere/B"}, "/nowhere/B"),
    ({"prompts": "/nowhere/list.txt"}, "/nowhere/list.txt"),
])
def test_arguments_that_cannot_be_used_are_named(score, options, message) -> None:
    with pytest.raises(InputError, match=message):
        score(**({"metrics": ["hist"]} | options))


def test_cuda_is_refused_where_there_is_none(score, monkeypatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match="--device cuda"):
        score(metrics=["hist"], device="cuda")


def test_an_image_that_goes_bad_after_it_was_looked_over_is_named(score, upload) -> None:
    def spoil(what: str, done: int, total: int) -> None:
        if what == "Starting torch":
            (upload / "03" / "Panda.png").write_bytes(b"cut")

    with pytest.raises(UploadError, match=r"03/Panda\.png"):
        score(metrics=["hist"], on_progress=spoil)


def test_problems_are_told_once_before_anything_is_decoded_or_refused(
    score, upload, passes
) -> None:
    told = []
    (upload / "00" / "Ring.png").unlink()

    def listen(problems) -> None:
        told.append((list(problems), len(passes.decoded)))

    with pytest.raises(UploadError):
        score(metrics=["hist"], on_problems=listen)
    assert len(told) == 1
    assert any("Ring" in problem.message for problem in told[0][0])
    result = score(metrics=["hist"], on_problems=listen, allow_missing=True)
    assert told[1:] == [(result.problems, 0)]


def test_progress_counts_files_then_images_and_names_the_networks(score) -> None:
    calls: list[tuple[str, int, int]] = []
    score(metrics=["hist", "fid"], on_progress=lambda *call: calls.append(call))
    phases = list(dict.fromkeys(what for what, _, _ in calls))
    assert phases[:2] == ["Looking over the files", "Starting torch"]
    assert "Loading the network of FID" in phases
    for phase in ("Looking over the files", "Scoring images"):
        done = [(count, total) for what, count, total in calls if what == phase]
        assert done == sorted(done)
        assert {total for _, total in done} == {18}
        assert done[-1] == (18, 18)


def test_progress_comes_to_its_end_from_the_cache_too(score) -> None:
    score(metrics=["lpips"])
    calls: list[tuple[str, int, int]] = []
    score(metrics=["lpips"], on_progress=lambda *call: calls.append(call))
    assert calls[-1] == ("Scoring images", 18, 18)
    assert not any(what.startswith("Loading") for what, _, _ in calls)


def test_an_image_too_small_for_clip_iqa_is_named_and_does_not_matter_to_others(
    score, upload
) -> None:
    from PIL import Image

    Image.new("RGB", (31, 40)).save(upload / "00" / "Ring.png")
    with pytest.raises(UploadError, match=r"Ring\.png: 31 x 40 pixels .* 32 a side"):
        score(allow_missing=True)
    assert score(allow_missing=True, metrics=["hist", "dino"]).official.components.dino
