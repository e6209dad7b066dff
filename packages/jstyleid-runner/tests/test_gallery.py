"""The page that shows a run's pictures."""

import base64
import hashlib
import io
import re
from collections.abc import Callable, Iterator
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from PIL import Image

from jstyleid_core.errors import OutputError
from jstyleid_runner.planning.plan import build_plan
from jstyleid_runner.reports.pages.gallery import (
    GalleryPrompt,
    GalleryStyle,
    gallery_of,
    in_order,
    thumbnail,
    write_gallery,
)
from jstyleid_runner.settings import RunSettings
from jstyleid_runner.storage.layout import OutFolder
from jstyleid_runner.storage.split import read_split
from watched_page import PATIENCE, watched

HOSTILE = "a \"quoted\" 'cat' <b>&amp; 100% #1 👩‍🚀"
PROMPTS = ("Ring", "Hotel Ring", HOSTILE)
Open = Callable[..., Any]


def paint(path: Path, size: tuple[int, int] = (96, 64), shade: int = 90) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (shade, 120, 200 - shade)).save(path)
    return path


@pytest.fixture
def styles(tmp_path: Path) -> list[GalleryStyle]:
    """Two stylised styles, with a content missing and a result damaged, and one only drawn."""
    made = []
    for number, name in enumerate(("00", "<i>04", "15")):
        reference = paint(tmp_path / "data" / str(number) / "apple #1.png", shade=40 * number)
        prompts = tuple(
            GalleryPrompt(
                prompt,
                paint(tmp_path / "out" / str(number) / f"{prompt}.png"),
                paint(tmp_path / "out" / ".jstyleid" / str(number) / f"{prompt}.png", shade=10)
                if number < 2 else None,
            )
            for prompt in PROMPTS
        )
        chosen = (reference,) if number < 2 else ()
        made.append(GalleryStyle(name, (reference,), prompts, chosen))
    missing, damaged = made[0].prompts[0].content, made[1].prompts[1].result
    assert missing
    missing.unlink()
    damaged.write_bytes(b"no picture")
    return made


def written(folder: Path, styles: list[GalleryStyle], title: str = "Run") -> str:
    write_gallery(folder / "out" / "gallery.html", styles, title=title,
                  facts={"Method": "styleid"})
    return (folder / "out" / "gallery.html").read_text(encoding="utf-8")


def test_every_picture_is_there_or_told_to_be_missing(
    tmp_path: Path, styles: list[GalleryStyle]
) -> None:
    text = written(tmp_path, styles)
    total = 3 * 1 + 2 * 6 + 3
    assert text.count('<img src="data:image/webp;base64,') == text.count("<img") == total - 2
    assert 'aria-label="Content: Ring, missing">missing<' in text
    assert 'aria-label="Result: Hotel Ring, not readable">not readable<' in text
    assert f"2 of {total} pictures are not shown" in text
    assert text.count('<span class="tag">used</span>') == 2
    assert all(re.findall(r'<img [^>]*alt="([^"]*)"', text))


def test_names_are_text_everywhere(tmp_path: Path, styles: list[GalleryStyle]) -> None:
    text = written(tmp_path, styles, title="</title><script>alert(1)</script>")
    assert text.count("<script>") == 1
    assert "<b>" not in text
    assert "<i>04" not in text
    assert f"Result: {HOSTILE}" in [unescape(alt) for alt in re.findall(r'alt="([^"]*)"', text)]


def test_links_lead_to_the_whole_pictures(tmp_path: Path, styles: list[GalleryStyle]) -> None:
    text = written(tmp_path, styles)
    links = re.findall(r'data-href="([^"]*)"', text)
    assert len(links) == text.count("<img")
    assert "../data/0/apple%20%231.png" in links
    for link in links:
        assert (tmp_path / "out" / unquote(unescape(link))).is_file()


def test_the_policy_allows_what_the_page_holds_only(
    tmp_path: Path, styles: list[GalleryStyle]
) -> None:
    text = written(tmp_path, styles)
    policy = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)[0]
    assert policy.startswith("default-src 'none'; img-src data: 'self';")
    for name, tag in (("style", "style"), ("script", "script")):
        [source] = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()
        assert f"{name}-src 'sha256-{digest}'" in policy


def test_thumbnails_keep_their_shape_and_to_their_size(tmp_path: Path) -> None:
    noise = Image.effect_noise((800, 400), 120).convert("RGB")
    noise.save(tmp_path / "noise.png")
    sides = []
    for most in (1_000_000, 9_000, 3_000, 1_500):
        made = thumbnail(tmp_path / "noise.png", most)
        content = base64.b64decode(made.uri.partition(",")[2])
        assert len(content) <= most
        with Image.open(io.BytesIO(content)) as small:
            assert (small.format, small.size) == ("WEBP", (made.width, made.height))
        assert made.width == 2 * made.height
        sides.append(made.width)
    assert sides[0] == 384
    assert sides == sorted(sides, reverse=True)


def test_progress_counts_every_picture(tmp_path: Path, styles: list[GalleryStyle]) -> None:
    calls: list[tuple[int, int]] = []
    write_gallery(tmp_path / "out" / "gallery.html", styles, title="Run",
                  on_progress=lambda done, total: calls.append((done, total)))
    assert calls == [(done, 18) for done in range(1, 19)]


def test_only_a_little_is_computed_ahead() -> None:
    begun: list[int] = []
    results = in_order(lambda item: begun.append(item) or item * 2, range(1000))
    assert [next(results) for _ in range(3)] == [0, 2, 4]
    assert len(begun) < 50
    assert list(results) == [item * 2 for item in range(3, 1000)]


def test_a_folder_that_cannot_be_written(tmp_path: Path, styles: list[GalleryStyle]) -> None:
    with pytest.raises(OutputError):
        write_gallery(tmp_path / "out" / "0" / "Ring.png" / "gallery.html", styles, title="Run")


def test_a_gallery_of_a_plan(tmp_path: Path, data: Path) -> None:
    split, folder = read_split(data, "S", None), OutFolder(tmp_path / "out")
    settings = RunSettings.create(
        split="S", method="styleid", reference="first", styleid={"steps": 4})
    shown = gallery_of(build_plan(split, settings, 2), folder)
    assert [style.name for style in shown] == ["00", "04"]
    assert [path.name for path in shown[0].references] == ["apple.png", "ball.png"]
    assert shown[0].chosen == shown[0].references[:1]
    assert shown[1].prompts[0] == GalleryPrompt(
        "Ring", folder.picture("04", "Ring"), folder.content("04", "Ring"))
    assert len(shown[1].prompts) == 2
    only_drawn = RunSettings.create(split="S", method="dreambooth")
    [style, _] = gallery_of(build_plan(split, only_drawn), folder)
    assert style.chosen == ()
    assert [prompt.content for prompt in style.prompts] == [None] * 3
    write_gallery(folder.root / "gallery.html", [style], title="Not begun")


@pytest.fixture
def page(browser: Any, tmp_path: Path, styles: list[GalleryStyle]) -> Iterator[Any]:
    """The open page; at the end it must have asked for the run's pictures only, and no more."""
    written(tmp_path, styles)
    address = (tmp_path / "out" / "gallery.html").as_uri()
    with watched(browser, address, 1200) as (opened, asked):
        yield opened
    others = [url for url in asked if url != address]
    assert all(url.startswith(tmp_path.as_uri()) and url.endswith(".png") for url in others)


def shown(page: Any) -> list[str]:
    return [text.strip() for text in page.locator("figure.prompt:visible").all_inner_texts()]


def test_every_picture_can_be_seen(page: Any) -> None:
    assert page.evaluate(
        "Promise.all(Array.from(document.images, (image) => image.decode())).then(() => true)")
    assert "9 of 9 prompts" in page.locator("#filter-count").inner_text()


def test_the_filter(page: Any) -> None:
    box, count = page.get_by_label("Prompt", exact=True), page.locator("#filter-count")
    box.fill("rING")
    assert count.inner_text() == "6 of 9 prompts"
    assert page.locator("figure.prompt:visible").count() == 6
    box.fill("ring hotel")
    assert [text.splitlines()[-1] for text in shown(page)] == ["Hotel Ring"] * 3
    page.get_by_label("Style", exact=True).select_option(label="<i>04")
    assert count.inner_text() == "1 of 9 prompts"
    assert page.locator("section.style:visible h2").all_inner_texts() == ["Style <i>04"]
    box.fill("<b>&amp; 👩‍🚀")
    assert count.inner_text() == "1 of 9 prompts"
    box.fill("nothing")
    assert count.inner_text() == "0 of 9 prompts"
    assert page.locator("section.style:visible").count() == 0
    box.fill("")
    page.keyboard.press("Enter")  # sends nothing
    assert count.inner_text() == "3 of 9 prompts"


def test_enlarging_by_mouse(page: Any) -> None:
    page.get_by_label("Prompt", exact=True).fill("hotel")
    page.locator("figure.prompt:visible .open").first.click()
    view = page.get_by_role("dialog")
    title, place = view.locator("h2"), page.locator("#view-place")
    assert title.inner_text() == "Hotel Ring · style 00"
    assert place.inner_text() == "2 of 6"
    assert view.locator("img").count() == 2
    wide = view.locator("img").first.bounding_box()["width"]
    assert wide > 400
    assert view.get_by_role("link", name="Full size of the result").get_attribute("href") == (
        "0/Hotel%20Ring.png")
    view.get_by_role("button", name="Overlay").click()
    first, second = (image.bounding_box() for image in view.locator("img").all())
    assert first == second
    view.get_by_role("slider").fill("20")
    assert "inset(0px 0px 0px 20%)" in view.locator("img").last.evaluate(
        "(image) => getComputedStyle(image).clipPath")
    view.get_by_role("button", name="Next").click()
    assert title.inner_text() == "apple #1.png · style <i>04"
    assert not view.get_by_role("slider").is_visible()  # one picture has nothing to compare
    view.get_by_role("button", name="Close").click()
    assert not view.is_visible()


def test_enlarging_by_keyboard(page: Any) -> None:
    page.locator("figure.prompt .open").first.focus()
    page.keyboard.press("Enter")
    view = page.get_by_role("dialog")
    title = view.locator("h2")
    assert title.inner_text() == "Ring · style 00"
    assert view.get_by_role("img", name="Content: Ring, missing").is_visible()
    assert not view.get_by_role("button", name="Overlay").is_visible()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert title.inner_text() == f"{HOSTILE} · style 00"
    page.keyboard.press("o")
    page.get_by_role("slider").focus()
    page.keyboard.press("ArrowRight")  # moves the slider
    assert page.get_by_role("slider").input_value() == "51"
    assert title.inner_text() == f"{HOSTILE} · style 00"
    view.get_by_role("button", name="Close").focus()
    for _ in range(4):
        page.keyboard.press("ArrowLeft")  # past the first comes the last
    assert title.inner_text() == f"{HOSTILE} · style 15"
    page.keyboard.press("Escape")
    assert not view.is_visible()
    # The browser gives the focus back a moment after the dialog is gone.
    page.wait_for_function("title => document.activeElement.dataset.title === title", arg=HOSTILE)


def test_scripts_and_addresses_in_names_would_do_nothing(
    browser: Any, tmp_path: Path, styles: list[GalleryStyle]
) -> None:
    written(tmp_path, styles)
    context = browser.new_context()
    refused: list[tuple[str, str]] = []
    context.on("requestfailed", lambda request: refused.append((request.url, request.failure)))
    context.set_default_timeout(PATIENCE)
    opened = context.new_page()
    opened.goto((tmp_path / "out" / "gallery.html").as_uri())
    broken = opened.evaluate("""async () => {
      const broken = new Set();
      addEventListener("securitypolicyviolation",
                       (event) => broken.add(event.effectiveDirective));
      const script = document.createElement("script");
      script.textContent = "window.ran = true";
      const image = new Image();
      image.src = "http://127.0.0.1:9/x.png";
      document.body.append(script, image);
      await new Promise((done) => { setTimeout(done, 200); });
      return [window.ran === undefined, ...Array.from(broken).sort()];
    }""")
    context.close()
    assert broken == [True, "img-src", "script-src-elem"]
    assert refused == [("http://127.0.0.1:9/x.png", "csp")]


@pytest.mark.parametrize("width", [320, 700, 1200])
def test_nothing_sticks_out(page: Any, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 700})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.locator("figure.prompt .open").nth(1).click()
    box = page.get_by_role("dialog").bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= width
    assert box["y"] + box["height"] <= 700


def test_paper_has_no_controls(page: Any) -> None:
    page.emulate_media(media="print")
    assert not page.locator("#filter").is_visible()
    assert page.locator("figure.prompt:visible").count() == 9
