"""The page of `jstyleid compare`, in Chromium."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from jstyleid_runner.reports.comparison import compare_runs, read_run
from jstyleid_runner.reports.pages.compare import write_comparison
from jstyleid_runner.reports.progress import LineDisplay
from jstyleid_runner.storage.layout import OutFolder
from jstyleid_runner.workflows.execution import RunRequest
from jstyleid_runner.workflows.run import run_split
from jstyleid_runner.workflows.session import RunCounts
from watched_page import PATIENCE, watched

LONG = "a very long prompt " * 6 + "Donaudampfschifffahrtsgesellschaftskapitänsmützenabzeichen"


@pytest.fixture
def runs(
    make_request: Callable[..., RunRequest], fake_model: Callable[..., Any], display: LineDisplay,
    tmp_path: Path, data: Path, write_style: Callable[..., Path],
) -> Path:
    """The page of two runs: the second has no style 15 and two prompts of each other one."""
    write_style(data / "S", "15", ("Ring", LONG))
    for name, changes in (
        ("a", {"negative": "x" * 120}),
        ("b", {"styles": ["00", "04"], "prompts": 2, "styleid": {"steps": 4, "gamma": 0.3},
               "negative": "x" * 120}),
    ):
        run_split(make_request(out=name, **changes), fake_model(), display, RunCounts())
    OutFolder(tmp_path / "b").picture("04", "Hotel").unlink()
    path = tmp_path / "compare.html"
    write_comparison(path, compare_runs(read_run(tmp_path / "a"), read_run(tmp_path / "b")))
    return path


@pytest.fixture
def page(browser: Any, runs: Path, tmp_path: Path) -> Iterator[Any]:
    """The open page; at the end it must have asked for the runs' pictures only."""
    with watched(browser, runs.as_uri(), 1200) as (opened, asked):
        yield opened
    others = [url for url in asked if url != runs.as_uri()]
    assert all(url.startswith(tmp_path.as_uri()) and url.endswith(".png") for url in others)


def open_first(page: Any) -> Any:
    page.locator("figure.prompt .open").first.click()
    return page.get_by_role("dialog")


def cut(view: Any) -> str:
    found: str = view.locator("img").last.evaluate("(image) => getComputedStyle(image).clipPath")
    return found


def test_the_table_says_what_differs(page: Any) -> None:
    lines = [line.split("\t") for line in page.locator("#runs").inner_text().splitlines() if line]
    assert ["pictures", "8 of 8", "3 of 4, unfinished"] in lines
    assert ["styleid.gamma", "0.75", "0.3"] in lines
    assert page.locator("#changes tr").count() == 2
    assert "only in A" in page.locator("section.style h2").last.inner_text()
    assert page.get_by_text("not made yet", exact=True).count() == 1
    assert page.get_by_text("not in B", exact=True).count() == 4


def test_the_slider_between_each_pair(page: Any) -> None:
    view = open_first(page)
    pairs = view.get_by_role("group", name="One over the other")
    assert pairs.get_by_role("button").all_inner_texts() == [
        "content | A", "content | B", "A | B"]
    assert view.locator("img").evaluate_all("(all) => all.map((image) => image.alt)") == [
        "A: Ring", "B: Ring"]
    first, second = (image.bounding_box() for image in view.locator("img").all())
    assert first == second
    view.get_by_role("slider").fill("20")
    assert cut(view) == "inset(0px 0px 0px 20%)"
    page.mouse.move(first["x"] + 0.5 * first["width"], first["y"] + 50)
    page.mouse.down()
    page.mouse.move(first["x"] + 0.75 * first["width"], first["y"] + 90)
    page.mouse.up()
    assert cut(view) == "inset(0px 0px 0px 75%)"
    page.mouse.move(first["x"], first["y"] + 90)  # without a button nothing moves
    assert view.get_by_role("slider").input_value() == "75"
    pairs.get_by_role("button", name="content | A").click()
    assert view.locator("img").evaluate_all("(all) => all.map((image) => image.alt)") == [
        "Content: Ring", "A: Ring"]
    page.keyboard.press("o")
    assert pairs.get_by_role("button", name="content | B").get_attribute("aria-pressed") == "true"
    pairs.get_by_role("button", name="content | B").click()  # pressed again: side by side
    assert view.locator("figure img").count() == 3
    assert not view.get_by_role("slider").is_visible()


def test_the_whole_pictures_are_shown(page: Any) -> None:
    view = open_first(page)
    page.wait_for_function("""() => Array.from(document.querySelectorAll("#view-stage img"))
      .every((image) => image.src.startsWith("file:"))""")
    assert [Path(src).name for src in view.locator("img").evaluate_all(
        "(all) => all.map((image) => image.src)")] == ["Ring.png", "Ring.png"]


def test_arrows_lead_from_picture_to_picture(page: Any) -> None:
    view = open_first(page)
    title = view.locator("h2")
    page.keyboard.press("ArrowRight")
    assert title.inner_text() == "Hotel · style 00"
    assert page.locator("#view-place").inner_text() == "2 of 8"
    page.keyboard.press("ArrowRight")
    assert title.inner_text() == "Two Words · style 00"
    # The pair that was chosen is not here: all is side by side, and it comes back.
    assert view.get_by_role("img", name="B: Two Words, not in B").is_visible()
    page.keyboard.press("ArrowLeft")
    assert view.get_by_role("button", name="A | B").get_attribute("aria-pressed") == "true"
    page.keyboard.press("Escape")
    page.locator("figure.prompt .open").first.focus()
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.dataset.title") == "Hotel"
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")  # before the first comes the last
    assert page.evaluate("document.activeElement.dataset.title") == LONG


def test_the_filter_of_the_runs(page: Any) -> None:
    box, count = page.get_by_label("In", exact=True), page.locator("#filter-count")
    box.select_option("both")
    assert count.inner_text() == "4 of 8 prompts"
    assert page.locator("section.style:visible").count() == 2
    box.select_option("A")
    assert count.inner_text() == "4 of 8 prompts"
    page.get_by_label("Prompt", exact=True).fill("ring")
    assert count.inner_text() == "1 of 8 prompts"
    box.select_option("B")
    assert count.inner_text() == "0 of 8 prompts"


@pytest.mark.parametrize("width", [320, 390, 700, 1280])
@pytest.mark.parametrize("pair", ["content | A", "side by side"])
def test_nothing_sticks_out(page: Any, width: int, pair: str) -> None:
    page.set_viewport_size({"width": width, "height": 700})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    view = open_first(page)
    view.get_by_role("button", name="A | B" if pair == "side by side" else pair).click()
    for _ in range(2):
        box = view.bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
        assert box["y"] + box["height"] <= 700
        assert view.evaluate("(dialog) => dialog.scrollWidth <= dialog.clientWidth")
        for image in view.locator("img").all():
            inner = image.bounding_box()
            assert inner["x"] >= box["x"]
            assert inner["x"] + inner["width"] <= box["x"] + box["width"]
        page.keyboard.press("ArrowLeft")  # the long prompt


def test_a_finger_moves_the_cut(browser: Any, runs: Path) -> None:
    context = browser.new_context(
        viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    context.set_default_timeout(PATIENCE)
    opened = context.new_page()
    opened.goto(runs.as_uri())
    view = open_first(opened)
    box = view.locator("img").first.bounding_box()
    opened.touchscreen.tap(box["x"] + 0.25 * box["width"], box["y"] + 0.5 * box["height"])
    assert view.get_by_role("slider").input_value() == "25"
    context.close()


def test_a_page_that_was_moved_keeps_its_small_pictures(
    browser: Any, runs: Path, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    moved = shutil.move(runs, tmp_path / "elsewhere" / "page.html")
    opened = browser.new_page()
    opened.set_default_timeout(PATIENCE)
    opened.goto(Path(moved).as_uri())
    view = open_first(opened)
    view.get_by_text("small: the page was moved, or the picture").first.wait_for()
    assert view.locator("img").count() == 2
    assert all(view.locator("img").evaluate_all(
        "(all) => all.map((image) => image.naturalWidth > 0)"))
    opened.close()


@pytest.mark.parametrize(("scheme", "paper"), [
    ("light", "rgb(251, 250, 247)"), ("dark", "rgb(20, 21, 23)")])
def test_both_colour_schemes(page: Any, scheme: str, paper: str) -> None:
    page.emulate_media(color_scheme=scheme)
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == paper
