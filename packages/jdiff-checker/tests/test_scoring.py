"""The challenge's formula against the results that were published with it."""

from dataclasses import fields
from itertools import product

import pytest

from jdiff_checker.scoring import PUBLISHED, final_score

ROWS = {
    # name: DINO, Hist, FID, LPIPS, CLIP-IQA, CLIP-R and the final score, as they were printed
    "rank-32 LoRA, mean-image start":
        ("0.120226", "0.779055", "1.674596", "0.428658", "0.757711", "0.930667", "0.512078"),
    "the same before tuning":
        ("0.164997", "0.829148", "2.119416", "0.409496", "0.758036", "0.810667", "0.503971"),
    "packed LoRA, n = 28":
        ("0.1737", "0.7144", "3.272", "0.4154", "0.7463", "0.8586", "0.4648"),
    "packed LoRA, n = 2":
        ("0.2125", "0.747", "2.813", "0.3939", "0.7451", "0.62", "0.4251"),
}
COMPONENTS = ("dino", "hist", "fid", "lpips", "clip_iqa", "clip_r")
HIGHER_IS_BETTER = {"dino": True, "hist": True, "fid": False, "lpips": False, "clip_iqa": True,
                    "clip_r": True}
A_RESULT = {"dino": 0.2, "hist": 0.7, "fid": 3.0, "lpips": 0.4, "clip_iqa": 0.75, "clip_r": 0.8}


def digits(printed: str) -> int:
    return len(printed.partition(".")[2])


def computed(row) -> float:
    return final_score(**{name: getattr(row, name) for name in COMPONENTS})


def test_the_published_numbers_are_those_that_were_printed():
    assert [row.name for row in PUBLISHED] == list(ROWS)
    assert [row.split for row in PUBLISHED] == ["A", "A", "B", "B"]
    assert [field.name for field in fields(PUBLISHED[0])][2:] == [*COMPONENTS, "final"]
    for row in PUBLISHED:
        printed = ROWS[row.name]
        assert [getattr(row, name) for name in (*COMPONENTS, "final")] == list(map(float, printed))


@pytest.mark.parametrize("row", PUBLISHED[1:], ids=lambda row: row.name)
def test_a_published_final_score_is_reproduced_to_its_last_digit(row):
    printed = ROWS[row.name][-1]
    assert f"{computed(row):.{digits(printed)}f}" == printed


def test_the_first_published_score_is_missed_by_one_in_its_last_digit():
    """0.51207870 rounds to 0.512079, and 0.512078 was printed: its inputs are rounded too."""
    assert computed(PUBLISHED[0]) == pytest.approx(0.51207870, abs=5e-9)
    assert computed(PUBLISHED[0]) - PUBLISHED[0].final == pytest.approx(7.0e-7, abs=1e-8)


@pytest.mark.parametrize("row", PUBLISHED, ids=lambda row: row.name)
def test_every_published_score_lies_within_the_rounding_of_its_inputs(row):
    """Some unrounded inputs that are printed as these give a score that is printed as this."""
    half = 0.5 * 10 ** -digits(ROWS[row.name][-1])  # six digits for A, four for B
    scores = [
        final_score(**{name: getattr(row, name) + sign * half
                       for name, sign in zip(COMPONENTS, signs, strict=True)})
        for signs in product((-1, 1), repeat=len(COMPONENTS))
    ]
    assert min(scores) - half <= row.final <= max(scores) + half
    assert max(scores) - min(scores) < 4 * half


def test_a_perfect_result_scores_one():
    assert final_score(dino=1, hist=1, fid=0, lpips=0, clip_iqa=1, clip_r=1) == pytest.approx(1)


def test_a_score_worked_out_by_hand():
    # (0.2 * 0.5 + 0.4 * 0.25 + 0.4 * 0.75) * (0.5 * 0.6 + 0.4 * 0.75 + 0.1 * 0.5)
    score = final_score(dino=0.5, hist=0.25, fid=5, lpips=0.25, clip_iqa=0.5, clip_r=0.6)
    assert score == pytest.approx(0.5 * 0.65, abs=1e-15)


def test_a_fid_above_20_counts_as_20():
    at_20 = final_score(**{**A_RESULT, "fid": 20})
    assert final_score(**{**A_RESULT, "fid": 20.001}) == at_20
    assert final_score(**{**A_RESULT, "fid": 1e9}) == at_20
    assert final_score(**{**A_RESULT, "fid": 19.999}) > at_20


@pytest.mark.parametrize("name", COMPONENTS)
def test_a_better_component_gives_a_better_score(name):
    values = [0, 0.1, 0.25, 0.5, 0.9, 1] if name != "fid" else [0, 0.1, 1, 5, 15, 20]
    scores = [final_score(**{**A_RESULT, name: value}) for value in values]
    ordered = sorted(scores, reverse=not HIGHER_IS_BETTER[name])
    assert scores == ordered
    assert len(set(scores)) == len(scores)
