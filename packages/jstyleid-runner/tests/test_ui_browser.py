"""The page in a real browser, with the embedded model: `jstyleid ui` as a user starts it."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from PIL import Image

from jstyleid_runner.planning.provenance import read_facts
from watched_page import PATIENCE

_GALLERY = """[...document.querySelectorAll("#transfer-gallery img")].map(
    picture => [picture.currentSrc || picture.src, picture.complete, picture.naturalWidth])"""
Open = Callable[[], Any]


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with pictures."""
    folder = tmp_path_factory.mktemp("ui")
    Image.effect_mandelbrot((96, 80), (-2, -1, 1, 1), 20).convert("RGB").save(
        folder / "content.png")
    Image.linear_gradient("L").convert("RGB").resize((64, 64)).save(folder / "grey.png")
    Image.new("RGB", (64, 64), (200, 30, 60)).save(folder / "red.png")
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n<script>broken")
    return folder


@pytest.fixture(scope="module")
def address(work: Path) -> Iterator[str]:
    """The page's address."""
    words = ["ui", "--model", "embedded", "--device", "cpu", "--port", "0", "--out", "out",
             "--runs", ".", "--preview", "2"]
    command = [sys.executable, "-m", "jstyleid_runner", *words]
    with subprocess.Popen(command, cwd=work, stdout=subprocess.PIPE, text=True,
                          env={**os.environ, "HF_HUB_OFFLINE": "1"}) as server:
        assert server.stdout
        yield server.stdout.readline().strip()
        server.terminate()


@pytest.fixture
def open_page(browser: Any, address: str) -> Iterator[Open]:
    """Open the page; at the end of the test no request has gone to another host."""
    # High enough for the gallery, whose pictures are loaded when they come into view.
    context = browser.new_context(viewport={"width": 1280, "height": 2000})
    context.set_default_timeout(PATIENCE)
    refused: list[str] = []
    context.on("response", lambda response: refused.append(response.url)
               if response.status >= 400 else None)
    asked: list[str] = []
    context.on("request", lambda request: asked.append(request.url))

    def open_one() -> Any:
        page = context.new_page()
        page.goto(address)
        page.wait_for_selector("#transfer-status .note, #transfer-status .jobs")
        return page

    yield open_one
    context.close()
    assert refused == []
    assert asked
    outside = [url for url in asked if urlsplit(url).scheme not in ("data", "blob")
               and urlsplit(url).netloc != urlsplit(address).netloc]
    assert outside == []


def fill(page: Any, work: Path, steps: int, *styles: str, content: str = "content.png") -> None:
    page.set_input_files("#transfer-content input[type=file]", work / content)
    page.set_input_files("#transfer-styles input[type=file]", [work / style for style in styles])
    page.fill("#transfer-steps input", str(steps))
    page.fill("#transfer-size textarea, #transfer-size input", "64")
    page.wait_for_selector("#transfer-content-shown img, #transfer-content-shown .alert")
    page.wait_for_selector(f"#transfer-styles-shown img:nth-of-type({len(styles)})")


def job(page: Any, state: str, text: str = "") -> Any:
    """Wait for the newest job to be in a state."""
    found = page.locator(f"#transfer-status .jobs li:first-child.{state}", has_text=text)
    found.wait_for()
    return found


def wait_for_pictures(page: Any, number: int) -> None:
    """Wait for so many pictures of the gallery to be loaded."""
    try:
        page.wait_for_function(
            f"number => ({_GALLERY}).filter(picture => picture[2]).length >= number", arg=number)
    except Exception as error:
        status = page.locator("#transfer-status").inner_text()
        raise AssertionError(f"in the gallery: {page.evaluate(_GALLERY)}; {status}") from error


def number_of(found: Any) -> int:
    return int(re.search(r"#(\d+)", found.inner_text())[1])  # type: ignore[index]


def test_a_picture_is_made_and_found_again(open_page: Open, work: Path) -> None:
    page = open_page()
    fill(page, work, 4, "grey.png", "red.png")
    page.click("#transfer-start")
    page.wait_for_selector("#transfer-status .jobs")
    page.reload()  # in the middle: the job goes on, and is shown
    job(page, "done", "content.png as grey.png, red.png")
    wait_for_pictures(page, 3)
    page.reload()
    wait_for_pictures(page, 3)
    for name in ("grey.png", "red.png"):
        facts = read_facts(work / "out" / "0001-transfer" / name)
        assert (facts["styleid"]["steps"], facts["size"]) == (4, [64, 64])
    assert (work / "out" / "0001-transfer" / "contact-sheet.png").is_file()


def test_two_pages_and_a_cancelled_job(open_page: Open, work: Path) -> None:
    first, second = open_page(), open_page()
    fill(first, work, 900, "grey.png")
    fill(second, work, 2, "red.png")
    first.click("#transfer-start")
    running = job(first, "running", "content.png as grey.png")
    long = number_of(running)
    second.click("#transfer-start")
    job(second, "waiting", "content.png as red.png")
    second.wait_for_selector("#transfer-status .jobs li.running")
    # A page that is opened anew takes over what is not done.
    first.locator("#transfer-status li.running progress").wait_for()
    first.click("#transfer-cancel")
    job(second, "done", "content.png as red.png")
    ended = second.locator("#transfer-status li.cancelled", has_text=f"#{long} ")
    ended.wait_for()
    [folder] = [path for path in (work / "out").iterdir()
                if not list(path.glob("*.png")) and path.name.endswith("transfer")]
    assert {path.name for path in folder.iterdir()} == {"inputs"}


def test_errors_are_shown_as_on_the_command_line(open_page: Open, work: Path) -> None:
    page = open_page()
    fill(page, work, 2, "red.png", content="broken.png")
    alert = page.locator("#transfer-content-shown .alert")
    assert "error: broken.png: not a picture but" in alert.inner_text()
    page.click("#transfer-start")
    assert "error: broken.png: not a picture but" in job(page, "failed").inner_text()
    page.fill("#transfer-layers textarea, #transfer-layers input", "2-40")
    before = number_of(job(page, "failed"))
    page.click("#transfer-start")
    failed = page.locator("#transfer-status li:first-child.failed", has_text=f"#{before + 1} ")
    failed.wait_for()
    assert "--layers" in failed.inner_text() or "layers" in failed.inner_text()


def test_generating_and_the_other_tabs(open_page: Open, work: Path) -> None:
    page = open_page()
    page.get_by_role("tab", name="Generate").click()
    page.fill("#generate-prompt textarea, #generate-prompt input", "a house")
    page.fill("#generate-steps input", "2")
    page.fill("#generate-size textarea, #generate-size input", "64")
    page.click("#generate-start")
    page.wait_for_selector("#generate-status li.done")
    page.wait_for_selector("#generate-gallery img")
    [picture] = (work / "out").glob("*-generate/a house.png")
    assert read_facts(picture)["prompt"] == "a house"
    page.get_by_role("tab", name="Runs").click()
    page.wait_for_selector("#runs-status .note")
    page.click("#runs-timeline")
    assert "no run is chosen" in page.locator("#runs-answer .alert").inner_text()
    page.get_by_role("tab", name="Score").click()
    (work / "result.json").write_text("{}")
    page.set_input_files("#score-file input[type=file]", work / "result.json")
    assert "not a result of jdiff-check" in page.locator("#score-shown .alert").inner_text()
