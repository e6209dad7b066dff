"""The page that says which worker did what when, and the figures on it."""

import math
import re
from collections.abc import Callable, Iterator
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from jstyleid_core.errors import OutputError
from jstyleid_runner.reports.figures import Span, busy_seconds, span_of, utilisation
from jstyleid_runner.reports.pages.timeline import write_timeline
from jstyleid_runner.scheduling.ledger import Entry
from jstyleid_runner.scheduling.task import State

HOSTILE = "</script><script>alert(1)</script> \"&' 🚀"
Open = Callable[..., Any]


def entry(id: str, worker: str | None = "gpu0", started: float | None = 1000.0,
          seconds: float | None = 10.0, **changes: Any) -> Entry:
    values: dict[str, Any] = {
        "style": "00", "stage": "draw", "cost": 50, "state": State.DONE, "attempts": 1,
        "error": None, "output": None,
    }
    return Entry(id=id, worker=worker, started=started, seconds=seconds, **(values | changes))


def some() -> list[Entry]:
    return [
        entry("lora/00", stage="train", seconds=60.0),
        entry("style/00", "gpu2", stage="invert"),
        entry("picture/00/Ring", "gpu10", 1010.0, 20.0, stage="stylise"),
        entry(f"picture/00/{HOSTILE}", "gpu2", 1020.0, 30.0, stage="stylise", attempts=3,
              state=State.QUARANTINED, error=f"RuntimeError: {HOSTILE}\n  second line"),
        entry("picture/00/Bee", "gpu2", 1090.0, 1.0, stage="stylise", state=State.RUNNING),
        entry("picture/00/Cat", None, None, None, stage="stylise", state=State.WAITING, attempts=0),
    ]


def written(folder: Path, entries: list[Entry]) -> str:
    write_timeline(folder / "timeline.html", entries, now=1100.0)
    return (folder / "timeline.html").read_text(encoding="utf-8")


def test_time_is_busy_once_however_many_spans_hold_it() -> None:
    assert busy_seconds([]) == 0
    assert busy_seconds([Span(10, 20), Span(0, 5)]) == 15  # a gap, and not in order
    assert busy_seconds([Span(0, 10), Span(5, 12)]) == 12  # an overlap
    assert busy_seconds([Span(0, 10), Span(2, 3), Span(9, 11)]) == 11  # one within another
    assert busy_seconds([Span(0, 10), Span(10, 20), Span(20, 20)]) == 20


@pytest.mark.parametrize("seconds", [-3.0, math.nan, math.inf, -math.inf, None])
def test_a_length_that_makes_no_sense_is_none(seconds: float | None) -> None:
    assert span_of(5.0, seconds) == Span(5.0, 5.0)


def test_shares_are_of_the_time_from_first_start_to_last_end() -> None:
    used = utilisation({
        "one": [Span(100, 110), Span(105, 120)], "two": [Span(130, 140)], "none": []})
    assert used.span == Span(100, 140)
    assert [(load.worker, load.tasks, load.busy, load.share) for load in used.loads] == [
        ("one", 2, 20, 0.5), ("two", 1, 10, 0.25), ("none", 0, 0, 0)]
    assert used.share == 0.25


def test_shares_of_nothing() -> None:
    assert (utilisation({}).span, utilisation({}).share) == (None, 0)
    assert utilisation({"one": []}).loads[0].share == 0
    moment = utilisation({"one": [Span(7, 7)]})
    assert (moment.span, moment.share) == (Span(7, 7), 0)


def test_the_page_holds_every_task_and_sum(tmp_path: Path) -> None:
    text = written(tmp_path, some())
    assert re.findall(r'<span class="name foreign"><bdi>(.*?)</bdi>', text) == [
        "gpu0", "gpu2", "gpu10"]  # in the order of their numbers
    rows = re.findall(r"<tr( data-row=.*?)?><th scope=\"row\" class=\"text\">(.*?)</th>", text)
    assert [unescape(id) for _, id in rows][-6:] == [one.id for one in some()]
    assert ' data-row="1" data-start="90.000" data-end="100.000"' in text  # running: until now
    assert rows[-1][0] == ""  # not begun: not drawn
    # 60, 50 and 20 of 100 seconds.
    assert '<b id="utilisation">43.3%</b>' in text
    assert "6, 1 waiting, 1 running, 3 done, 1 quarantined" in text
    transfer = text.partition('<th scope="row" class="text">stylise</th>')[2].partition("</tr>")[0]
    assert re.findall(r"<td>(.*?)</td>", transfer) == [
        "4", "1", "1", "1", "1", "5", "1:00", "50"]
    failed = text.partition('id="failed"')[2].partition("</section>")[0]
    assert f"RuntimeError: {HOSTILE}\n  second line" in unescape(failed)
    assert failed.count("<pre") == 1


def test_names_and_errors_are_text(tmp_path: Path) -> None:
    text = written(tmp_path, some())
    assert text.count("<script>") == 1
    assert "http" not in text.replace('http-equiv="Content-Security-Policy"', "")


def test_a_clock_that_was_wrong(tmp_path: Path) -> None:
    text = written(tmp_path, [
        entry("a", seconds=-5.0), entry("b", started=1e300), entry("c", started=math.nan),
        entry("d", started=1200.0, state=State.RUNNING)])  # begun in the future
    assert text.count("data-row=") == 2
    assert "nan" not in text
    assert '<b id="utilisation">0.0%</b>' in text


def test_a_timeline_of_nothing_and_of_one(tmp_path: Path) -> None:
    assert "Nothing has been begun." in written(tmp_path, [])
    assert "Nothing has been begun." in written(tmp_path, [entry("a", None, None, None)])
    assert '<b id="utilisation">100.0%</b> of the time of 1 worker ' in written(
        tmp_path, [entry("a")])


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        written(tmp_path / "file", [])


@pytest.fixture
def opened(browser: Any) -> Iterator[Open]:
    """Opens a page; at the end it must have asked for nothing else and complained of nothing."""
    context = browser.new_context(viewport={"width": 1200, "height": 900})
    asked: list[str] = []
    said: list[str] = []
    context.on("request", lambda request: asked.append(request.url))

    def open_(path: Path) -> Any:
        page = context.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(path.as_uri())
        return page

    yield open_
    context.close()
    assert [url for url in asked if not url.startswith("data:")] == asked[:1]
    assert said == []


def test_bars_tell_what_they_are(tmp_path: Path, opened: Open) -> None:
    written(tmp_path, some())
    page = opened(tmp_path / "timeline.html")
    track = page.locator(".track").nth(1)
    box = track.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.3, box["y"] + 5)  # at 30 of 100 seconds
    tip = page.locator("#tip")
    assert tip.is_visible()
    told = tip.inner_text().splitlines()
    assert told[0] == f"picture/00/{HOSTILE}"
    assert {"stage: stylise", "state: quarantined", "took: 30.00 s", "attempts: 3"} <= set(told)
    assert f"error: RuntimeError: {HOSTILE}" in told
    page.mouse.move(box["x"] + box["width"] * 0.7, box["y"] + 5)  # a gap
    assert not tip.is_visible()


def test_keys_go_from_task_to_task_and_zoom(tmp_path: Path, opened: Open) -> None:
    written(tmp_path, some())
    page = opened(tmp_path / "timeline.html")
    track = page.locator(".track").nth(1)
    title = page.locator("#tip b")
    track.focus()
    titles = []
    for key in ("ArrowRight", "ArrowRight", "ArrowRight", "ArrowRight", "ArrowLeft", "Home"):
        page.keyboard.press(key)
        titles.append(title.inner_text())
    hostile, bee = f"picture/00/{HOSTILE}", "picture/00/Bee"
    assert titles == ["style/00", hostile, bee, bee, hostile, "style/00"]
    page.keyboard.press("+")
    assert track.locator("svg").get_attribute("viewBox") == "2.5 0 50 1"  # about the task's middle
    page.keyboard.press("End")  # out of sight, so the view follows
    assert track.locator("svg").get_attribute("viewBox") == "50 0 50 1"
    assert track.locator(".marker").is_visible()
    page.keyboard.press("0")
    assert track.locator("svg").get_attribute("viewBox") == "0 0 100 1"
    page.keyboard.press("Escape")
    assert not page.locator("#tip").is_visible()
    page.get_by_role("button", name="Zoom in").click()
    page.get_by_role("button", name="Later", exact=True).click()
    assert track.locator("svg").get_attribute("viewBox") == "50 0 50 1"


def test_ten_thousand_tasks(tmp_path: Path, opened: Open) -> None:
    entries = [entry(f"picture/{number}", f"gpu{number % 8}", 1e9 + number // 8 * 3, 2.5)
               for number in range(10_000)]
    assert len(written(tmp_path, entries)) < 5_000_000
    page = opened(tmp_path / "timeline.html")
    assert page.locator(".bars path").count() == 8
    page.locator(".track").last.focus()
    page.keyboard.press("End")
    assert page.locator("#tip b").inner_text() == "picture/9999"
    page.locator("summary").click()
    assert page.locator("#tasks tbody tr").last.is_visible()


def test_pages_of_little_work_too(tmp_path: Path, opened: Open) -> None:
    written(tmp_path, [])
    page = opened(tmp_path / "timeline.html")
    assert page.locator(".track").count() == 0


def test_a_moment_can_be_looked_at(tmp_path: Path, opened: Open) -> None:
    written(tmp_path, [entry("a", seconds=None)])
    page = opened(tmp_path / "timeline.html")
    page.locator(".track").focus()
    page.keyboard.press("ArrowRight")
    assert page.locator("#tip b").inner_text() == "a"


@pytest.mark.parametrize("width", [320, 1200])
def test_nothing_sticks_out(tmp_path: Path, opened: Open, width: int) -> None:
    written(tmp_path, [*some(), entry("x" * 300, "worker-" + "y" * 90, error="z" * 500)])
    page = opened(tmp_path / "timeline.html")
    page.set_viewport_size({"width": width, "height": 700})
    page.locator("summary").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
