"""Real references as results: of their own style, they beat those of another style."""

import json
import os
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.skipif("JSTYLEID_SPLIT_DATA" not in os.environ,
                                reason="JSTYLEID_SPLIT_DATA not set")

STYLES = ("00", "06", "10", "12")
SHUFFLED = dict(pairwise(STYLES)) | {STYLES[-1]: STYLES[0]}
STRANGE = dict(zip(STYLES, ("03", "09", "17", "22"), strict=True))


@pytest.fixture(scope="module")
def scored(
    weights: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[dict[str, str]], Any]:
    """Scores an upload in which each style's images are the references of the style named."""
    from jdiff_checker import check

    data = Path(os.environ["JSTYLEID_SPLIT_DATA"]) / "B"
    folder = tmp_path_factory.mktemp("real")
    for style in STYLES:
        (folder / "B" / style).mkdir(parents=True)
        (folder / "B" / style / "images").symlink_to(data / style / "images")
        prompts = json.loads((data / style / "prompt.json").read_text(encoding="utf-8"))
        count = len(list((data / style / "images").iterdir()))
        few = dict(list(prompts.items())[:count])
        (folder / "B" / style / "prompt.json").write_text(json.dumps(few))

    def run(sources: dict[str, str]) -> Any:
        upload = folder / "-".join(sources.values())
        for style, source in sources.items():
            (upload / style).mkdir(parents=True)
            prompts = json.loads((folder / "B" / style / "prompt.json").read_text()).values()
            references = sorted((data / source / "images").iterdir())
            for prompt, reference in zip(prompts, references, strict=True):
                (upload / style / f"{prompt}.png").symlink_to(reference)
        return check(upload, folder / "B", metrics=["dino", "hist", "fid", "lpips"],
                     weights=weights, allow_unpublished_weights=True,
                     cache=folder / "features.sqlite")

    return run


@pytest.fixture(scope="module")
def own(scored) -> Any:
    return scored({style: style for style in STYLES})


@pytest.fixture(scope="module")
def shuffled(scored) -> Any:
    return scored(SHUFFLED)


@pytest.fixture(scope="module")
def strange(scored) -> Any:
    return scored(STRANGE)


def style_term(components: Any) -> float:
    return 0.2 * components.dino + 0.4 * components.hist + 0.4 * (1 - components.lpips)


@pytest.mark.parametrize("scoring", ["official", "corrected"])
def test_own_styles_score_better_than_others(own, shuffled, strange, scoring: str) -> None:
    better = getattr(own, scoring).components
    for other in (shuffled, strange):
        worse = getattr(other, scoring).components
        assert better.dino > worse.dino
        assert better.hist > worse.hist
        assert better.lpips < worse.lpips
        assert style_term(better) > style_term(worse)
        if (other, scoring) != (shuffled, "corrected"):
            assert better.fid < worse.fid


def test_the_corrected_fid_does_not_see_which_style_an_image_lies_in(shuffled) -> None:
    # It compares all images of all styles, and these are the references, elsewhere.
    assert shuffled.corrected.components.fid == pytest.approx(0, abs=1e-6)
    assert shuffled.official.components.fid > 0.001


def test_each_style_is_better_in_its_own_colours(own, shuffled) -> None:
    for better, worse in zip(own.styles, shuffled.styles, strict=True):
        assert better.style == worse.style
        for scoring in ("official", "corrected"):
            assert better.means[scoring].hist > worse.means[scoring].hist
            assert better.means[scoring].fid < worse.means[scoring].fid


def test_identical_images_are_alike_in_everything(own) -> None:
    same = 0
    for style in own.styles:
        files = {reference.sha256: reference.file for reference in style.references}
        for image in style.images:
            reference = files[image.sha256]
            assert image.dino_pairs[reference] == pytest.approx(1, abs=1e-6)
            assert image.lpips_pairs[reference] == 0
            assert max(image.dino_pairs.values()) == image.dino_pairs[reference]
            same += 1
        for means in style.means.values():
            assert means.fid == pytest.approx(0, abs=1e-6)
    assert same == 12


def test_a_strict_check_of_the_cut_down_split_finds_nothing_missing(own) -> None:
    assert own.problems == []
    assert own.official.incomplete == []
