"""The page of a sweep, in Chromium."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from jstyleid_runner.reports.pages.sweep import SweepRow, write_sweep
from watched_page import watched

LAYERS = '["7-11", "10-11 steps 0-5:0.5"]'
SCORES = (0.31, 0.08, 0.22, 0.9)


@pytest.fixture
def page(browser: Any, tmp_path: Path) -> Iterator[Any]:
    """The open page of four runs; at the end it must have asked for nothing."""
    pictures = []
    for name in ("Ring", "<b>Hotel", "Two Words", "Cat"):
        pictures.append(tmp_path / f"{name}.png")
        Image.effect_noise((96, 96), 90).convert("RGB").save(pictures[-1])
    rows = [
        SweepRow(f"run-{number}", {"gamma": gamma, "rule": "styleid", "layers": layers,
                                   "negative": "x" * 80},
                 {"colour": score, "final": score / 2}, 90 + 10 * number, 1000 - 99.5 * number,
                 tuple(pictures), {})
        for number, (gamma, layers, score) in enumerate(
            zip(("0.3", "10", "0.75", "9"), ("7-11", LAYERS) * 2, SCORES, strict=True))
    ]
    write_sweep(tmp_path / "sweep.html", rows)
    address = (tmp_path / "sweep.html").as_uri()
    with watched(browser, address, 1280) as (opened, asked):
        yield opened
    assert asked == [address]


def column(page: Any, index: int) -> list[str]:
    return [text.strip() for text in page.locator(
        f"#runs tbody td:nth-child({index})").all_inner_texts()]


@pytest.mark.parametrize("width", [390, 1280])
def test_each_column_can_be_sorted(page: Any, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    heads = page.locator("#runs thead")
    heads.get_by_role("button", name="gamma").click()
    assert column(page, 1) == ["0.3", "0.75", "9", "10"]  # as numbers
    heads.get_by_role("button", name="gamma").click()
    assert column(page, 1) == ["10", "9", "0.75", "0.3"]
    heads.get_by_role("button", name="colour").click()
    assert column(page, 5) == [f"{score:.4f}" for score in sorted(SCORES)]
    assert page.locator("#runs [aria-sort]").all_inner_texts() == ["colour"]
    heads.get_by_role("button", name="layers").focus()
    page.keyboard.press("Enter")
    assert column(page, 3) == [LAYERS, LAYERS, "7-11", "7-11"]


@pytest.mark.parametrize("width", [320, 390, 700, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_sticks_out(page: Any, width: int, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    if width != 700:  # between, the table scrolls in its own box
        assert page.locator(".scroll").evaluate("(box) => box.scrollWidth <= box.clientWidth")
        for picture in page.locator("td.pictures img").all():
            box = picture.bounding_box()
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= width
    sizes = page.locator("#plot text").evaluate_all(
        "(all) => all.map((text) => text.getBoundingClientRect().height)")
    assert min(sizes) > 10
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert paper == ("rgb(251, 250, 247)" if scheme == "light" else "rgb(20, 21, 23)")


def test_short_words_are_not_broken(page: Any) -> None:
    lines = page.locator("#runs tbody td:nth-child(2) bdi").evaluate_all(
        "(words) => words.map((word) => word.getClientRects().length)")
    assert lines == [1] * 4


def test_a_point_shows_its_run(page: Any) -> None:
    page.locator("#plot circle").nth(2).click()
    assert page.locator("tr.chosen td").first.inner_text() == "0.75"
    page.locator("#runs tbody tr").nth(1).click()
    assert page.locator("circle.chosen").get_attribute("data-row") == "1"


def test_a_point_shows_its_run_by_the_keyboard(page: Any) -> None:
    page.locator("#plot circle").first.focus()
    page.keyboard.press("Tab")
    point = page.locator("#plot circle:focus")
    assert point.get_attribute("data-row") == "1"
    assert page.get_by_role("button", name=point.get_attribute("aria-label")).count() == 1
    page.keyboard.press("Enter")
    assert page.locator("tr.chosen").get_attribute("data-row") == "1"
