"""What is computed, what is remembered, and that neither changes a score."""

import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from jdiff_checker import checking
from jdiff_checker.errors import OutputError
from jdiff_checker.features.cache import FeatureCache
from jdiff_checker.scoring import ALL_METRICS, Metric

NETWORKS = [metric for metric in ALL_METRICS if metric is not Metric.LPIPS]
CLIP = (Metric.CLIP_IQA, Metric.CLIP_R)


def draw_over(path: Path) -> None:
    """Give an image other pixels."""
    from PIL import Image

    with Image.open(path) as image:
        turned = image.convert("RGB").transpose(Image.Transpose.ROTATE_90)
    turned.save(path)


def scores(result) -> dict:
    """All numbers of a result, without what differs between any two runs."""
    return result.model_dump(mode="json", include={"official", "corrected", "styles"})


def assert_equal(one: object, other: object, tolerance: float) -> None:
    """Equal in structure and texts, and in numbers within `tolerance`."""
    if isinstance(one, float):
        assert one == pytest.approx(other, abs=tolerance)
    elif isinstance(one, dict):
        assert list(one) == list(other)
        for key, value in one.items():
            assert_equal(value, other[key], tolerance)
    elif isinstance(one, list):
        assert len(one) == len(other)
        for value, its_other in zip(one, other, strict=True):
            assert_equal(value, its_other, tolerance)
    else:
        assert one == other


@pytest.fixture
def known(known_features: Path, tmp_path: Path) -> None:
    """Lets `score` begin with a cache that knows everything."""
    shutil.copy(known_features, tmp_path / "cache.sqlite")


@pytest.fixture
def batch(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Sets how many images are run at once."""
    def choose(size: int) -> None:
        monkeypatch.setattr(checking, "batch_size", lambda device: size)

    return choose


# --- one pass ----------------------------------------------------------------------------------


def test_each_image_is_decoded_once_and_passes_each_network_once_and_never_again(
    score, passes, split, upload
) -> None:
    first = score()
    files = sorted([*split.glob("*/images/*"), *upload.glob("*/*")])
    assert sorted(passes.decoded) == files
    # CLIP looks at the results alone.
    assert Counter(passes.prepared) == Counter(
        (metric, file) for metric in ALL_METRICS for file in files
        if metric not in CLIP or file.is_relative_to(upload))
    assert passes.images == {metric: 9 if metric in CLIP else 18 for metric in ALL_METRICS}
    assert sorted(passes.loaded) == sorted(ALL_METRICS)
    assert len(passes.texts) == len(set(passes.texts)) == 2 + 8
    passes.clear()
    second = score()
    assert passes.decoded == passes.loaded == passes.texts == []
    assert scores(second) == scores(first)
    without = score(use_cache=False)
    assert len(passes.decoded) == 18
    assert scores(without) == scores(first)


@pytest.mark.parametrize("use_cache", [True, False])
def test_files_of_one_content_within_a_style_are_decoded_once(
    score, passes, upload, use_cache
) -> None:
    shutil.copy(upload / "00" / "Ring.png", upload / "00" / "Hotel.png")
    result = score(metrics=["hist", "lpips", "fid"], use_cache=use_cache)
    assert len(passes.decoded) == 17
    assert set(passes.images.values()) == {17}
    images = {image.file: image for image in result.styles[0].images}
    assert images["Ring.png"].lpips_pairs == images["Hotel.png"].lpips_pairs


# --- a second check, of the same or of something more ------------------------------------------


def test_other_metrics_over_a_known_cache_load_theirs_only(score, passes) -> None:
    score(metrics=["fid", "hist"])
    passes.clear()
    score(metrics=["fid", "hist", "dino"])
    assert passes.loaded == [Metric.DINO]
    assert passes.images == {Metric.DINO: 18}
    passes.clear()
    score(metrics=["dino"])
    assert passes.decoded == passes.loaded == []


def test_an_added_style_is_all_that_is_decoded(
    score, passes, split, upload, tmp_path: Path
) -> None:
    metrics = ["dino", "lpips", "clip-r"]
    for place in (split, upload):
        (place / "17").rename(tmp_path / f"17 of {place.name}")
    score(metrics=metrics)
    passes.clear()
    for place in (split, upload):
        (tmp_path / f"17 of {place.name}").rename(place / "17")
    result = score(metrics=metrics)
    assert sorted(passes.decoded) == sorted([*(split / "17" / "images").iterdir(),
                                             *(upload / "17").iterdir()])
    # Prompts are known like images are.
    assert passes.texts == ["tower", "lion", "watch"]
    assert_equal(scores(result), scores(score(metrics=metrics, use_cache=False)), 1e-7)


def test_a_changed_image_is_all_that_is_decoded(score, passes, known, upload) -> None:
    changed = upload / "03" / "Panda.png"
    draw_over(changed)
    result = score(metrics=NETWORKS)
    assert passes.decoded == [changed]
    assert set(passes.images.values()) == {1}
    assert_equal(scores(result), scores(score(metrics=NETWORKS, use_cache=False)), 1e-6)


def test_lpips_of_a_changed_image_reads_its_styles_references_again_and_nothing_else(
    score, passes, known, split, upload
) -> None:
    changed = upload / "03" / "Panda.png"
    draw_over(changed)
    result = score()
    # Its embeddings of an image are 9 MB, so distances are kept in their place.
    again = {changed, *(split / "03" / "images").iterdir()}
    assert sorted(passes.decoded) == sorted(again)
    assert passes.images == dict.fromkeys(NETWORKS, 1) | {Metric.LPIPS: 4}
    assert_equal(scores(score(metrics=["lpips"])), scores(score(metrics=["lpips"],
                                                                use_cache=False)), 1e-6)
    assert result.styles[1].images[0].file == "Panda.png"
    assert len(result.styles[1].images[0].lpips_pairs) == 3


def test_a_changed_reference_changes_its_style_only(score, passes, known, split) -> None:
    before = score(metrics=NETWORKS)
    draw_over(split / "00" / "images" / "sample 1.png")
    after = score(metrics=NETWORKS)
    assert passes.decoded == [split / "00" / "images" / "sample 1.png"]
    assert after.styles[0].means != before.styles[0].means
    assert after.styles[1:] == before.styles[1:]


def test_a_renamed_image_is_known_by_its_content(score, passes, known, upload) -> None:
    before = score()
    (upload / "00" / "Ring.png").rename(upload / "00" / "ring.PNG")
    after = score()
    assert passes.decoded == []
    assert after.corrected.components == before.corrected.components


def test_other_weights_are_computed_anew_for_their_metric_only(
    score, passes, known, own_weights
) -> None:
    import torch

    before = score(weights=own_weights)
    file = next((own_weights / "fid").iterdir())
    tensors = torch.load(file, weights_only=True)
    tensors["Conv2d_1a_3x3.conv.weight"] *= 1.5
    file.unlink()
    torch.save(tensors, file)
    after = score(weights=own_weights)
    assert passes.loaded == [Metric.FID]
    assert passes.images == {Metric.FID: 18}
    assert after.official.components.fid != before.official.components.fid
    unchanged = {"dino", "hist", "lpips", "clip_iqa", "clip_r"}
    assert after.official.components.model_dump(include=unchanged) == \
        before.official.components.model_dump(include=unchanged)
    fid = {"weights": own_weights, "metrics": ["fid"]}
    assert scores(score(**fid)) == scores(score(**fid, use_cache=False))


def test_another_prompt_list_embeds_its_new_prompts_only(
    score, passes, known, tmp_path: Path
) -> None:
    (tmp_path / "list.txt").write_text("Ring\nsubmarine\n")
    result = score(metrics=["clip-r"], prompts=tmp_path / "list.txt")
    assert result.prompts == ["ring", "submarine"]
    assert result.prompts_from == str(tmp_path / "list.txt")
    assert passes.texts == ["submarine"]
    assert passes.decoded == []


# --- batches and threads -----------------------------------------------------------------------


def test_one_image_at_a_time_gives_the_scores_of_many(score, known, batch) -> None:
    many = score()
    batch(1)
    assert_equal(scores(score(use_cache=False)), scores(many), 1e-6)


def test_one_thread_gives_the_scores_of_many(score) -> None:
    one, many = (score(use_cache=False, workers=workers, metrics=["hist", "dino", "fid"])
                 for workers in (1, 6))
    assert scores(one) == scores(many)


def test_images_of_several_sizes_are_scored_together(score, batch, upload, passes) -> None:
    from PIL import Image

    for name, size in (("Ring", (96, 160)), ("Hotel", (200, 128))):
        with Image.open(upload / "00" / f"{name}.png") as image:
            resized = image.resize(size)
        resized.save(upload / "00" / f"{name}.png")
    batch(64)
    options = {"use_cache": False, "scoring": "corrected", "metrics": ["fid", "clip-iqa"]}
    together = score(**options)
    assert len(passes.decoded) == 18
    assert passes.images == {Metric.FID: 18, Metric.CLIP_IQA: 9}
    batch(1)
    alone = score(**options)
    assert_equal(scores(together), scores(alone), 1e-6)


# --- an interrupted check ----------------------------------------------------------------------


def test_what_was_computed_before_an_interrupt_is_kept(
    score, passes, batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    from jdiff_checker.features import extraction

    decode = extraction.decode

    def pressed(path: Path):
        if len(passes.decoded) == 11:
            raise KeyboardInterrupt
        return decode(path)

    batch(2)
    metrics = ["hist", "dino", "lpips"]
    with monkeypatch.context() as patch:
        patch.setattr(extraction, "decode", pressed)
        with pytest.raises(KeyboardInterrupt):
            score(workers=1, metrics=metrics)
    passes.clear()
    result = score(metrics=metrics)
    # The first style's six images are done; of the second some are.
    assert len(passes.decoded) <= 12
    assert passes.images[Metric.DINO] <= 10
    assert_equal(scores(result), scores(score(metrics=metrics, use_cache=False)), 1e-6)


# --- the file ----------------------------------------------------------------------------------


def test_the_default_file_is_in_the_users_cache_folder(score, private_folders: Path) -> None:
    score(cache=None, metrics=["hist"])
    files = [path for path in private_folders.rglob("*") if path.is_file()]
    assert files == [private_folders / "jdiff-checker" / "features.sqlite"]


def test_without_a_cache_no_file_is_written(score, tmp_path: Path, private_folders: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    score(use_cache=False, cache=None, metrics=["hist", "fid", "lpips"])
    assert list(private_folders.rglob("*")) == []
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("damage", ["text", "cut", "other table", "folder", "in the way"])
def test_a_file_that_is_no_cache_is_named_and_left_alone(
    score, tmp_path: Path, known_features: Path, damage
) -> None:
    file = tmp_path / "features.sqlite"
    if damage == "text":
        file.write_text("my notes, which are longer than the header of a database\n" * 20)
    elif damage == "cut":
        content = known_features.read_bytes()
        file.write_bytes(content[:len(content) // 2])
    elif damage == "other table":
        with sqlite3.connect(file) as database:
            database.execute("CREATE TABLE features (x)")
        database.close()
    elif damage == "folder":
        file.mkdir()
    else:
        (tmp_path / "a file").touch()
        file = tmp_path / "a file" / "features.sqlite"
    before = file.read_bytes() if file.is_file() else None
    with pytest.raises(OutputError, match="cache") as raised:
        score(cache=file)
    assert str(file) in str(raised.value)
    assert "--no-cache" in str(raised.value)
    assert raised.value.exit_code == 2
    assert (file.read_bytes() if file.is_file() else None) == before


DAMAGES = {
    "nothing": "data = NULL", "a text": "data = 'many numbers'", "a number": "data = 7",
    "shorter": "data = substr(data, 1, length(data) - 4)", "empty": "data = x''",
    "of an odd length": "data = substr(data, 1, 7)", "zeros": "data = zeroblob(length(data))",
    "not finite": "data = CAST(x'0000c07f' || substr(data, 5) AS BLOB)",
    "one other number": "data = CAST(x'00002041' || substr(data, 5) AS BLOB)",
    "no digest": "digest = NULL", "a text as digest": "digest = 'right'",
    "of another picture": "data = (SELECT data FROM features AS other"
                          " WHERE other.network = features.network LIMIT 1)",
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_row_is_not_known(tmp_path: Path, damage: str) -> None:
    vectors = {name: np.arange(4, dtype=np.float32) + number
               for number, name in enumerate(["one picture", "picture"])}
    with FeatureCache(tmp_path / "cache.sqlite") as cache:
        cache.put("network", vectors)
        cache._database.execute(f"UPDATE features SET {damage} WHERE content = 'picture'")
        cache._database.commit()
        assert list(cache.get("network", vectors)) == ["one picture"]
        cache.put("network", vectors)
        assert cache.get("network", vectors)["picture"].tolist() == [1, 2, 3, 4]


def test_damaged_rows_are_computed_again(score, passes, known, tmp_path: Path) -> None:
    right = scores(score())
    assert passes.decoded == []
    with sqlite3.connect(tmp_path / "cache.sqlite") as database:
        database.execute("UPDATE features SET data = zeroblob(length(data))")
    database.close()
    assert_equal(scores(score()), right, 1e-6)
    passes.clear()
    score()
    assert passes.decoded == passes.texts == []


def test_two_checks_may_share_a_file_at_a_time(score, tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: score(metrics=["hist", "fid"]), range(2))
    assert_equal(scores(first), scores(second), 1e-6)
