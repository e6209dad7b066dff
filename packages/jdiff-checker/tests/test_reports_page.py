"""The page a result is shown on."""

import base64
import hashlib
import io
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from jdiff_checker.errors import OutputError
from jdiff_checker.reports.page import write_report
from jdiff_checker.reports.ranking import image_term
from jdiff_checker.result import (
    CheckResult,
    ClipR,
    Components,
    ImageScores,
    Problem,
    ReferenceImage,
    ScoringResult,
    StyleScores,
    WeightsRecord,
)
from jdiff_checker.scoring import Metric, Scoring

OFFICIAL, CORRECTED = Scoring.OFFICIAL, Scoring.CORRECTED
HOSTILE = "<script>alert(1)</script>.png"  # to the file system, a file in a folder
QUOTED = "a \"quoted\" 'prompt' <b>&amp;</b>"
VOID = {"meta", "img", "input", "link", "br", "hr"}


class Page(HTMLParser):
    """Every tag with its attributes, and a check that what is opened is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def scored(file: str, dino: float | None, hit: bool, prompt: str = "Ring") -> ImageScores:
    guess = ClipR(label=prompt.lower(), correct=hit, top5=[(QUOTED, 0.5), ("cat", 0.25)])
    return ImageScores(
        file=file, prompt=prompt, sha256="00", width=40, height=40, dino=dino, lpips=0.4,
        hist={OFFICIAL: 0.5, CORRECTED: 0.6}, clip_iqa={OFFICIAL: 0.7},
        clip_r={OFFICIAL: guess, CORRECTED: guess},
    )


def style(
    name: str, dino: float, images: list[ImageScores], *, counted: bool = True
) -> StyleScores:
    means = {CORRECTED: Components(dino=dino, hist=0.6, lpips=0.4)}
    if counted:
        means[OFFICIAL] = Components(dino=dino, hist=0.5, lpips=0.4)
    return StyleScores(style=name, prompts=2, images=images, means=means,
                       references=[ReferenceImage(file="a.png", sha256="aa", width=40, height=40)])


def result(tmp_path: Path, **changes: Any) -> CheckResult:
    styles = [
        style("00", 0.3, [scored("Good.png", 0.5, True), scored(HOSTILE, 0.1, False, QUOTED)]),
        style("01", 0.1, [scored("Ring.png", 0.1, True), scored("Cat.png", 0.05, True)]),
        style("15", -0.5, [scored("Ring.png", -0.5, True)], counted=False),
    ]
    upload, split = tmp_path / "upload", tmp_path / "split"
    for number, one in enumerate(styles):
        (split / one.style / "images").mkdir(parents=True)
        for image in one.images:
            path = upload / one.style / image.file
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (400, 200), (number * 90, 60, 90)).save(path)
        Image.new("RGB", (40, 40)).save(split / one.style / "images" / "a.png")
    content = {
        "scoring": OFFICIAL, "metrics": [metric.value for metric in Metric],
        "upload": str(upload), "gt": str(split),
        "official": ScoringResult(
            scoring=OFFICIAL, styles=["00", "01"], images=4, final_score=0.43219,
            components=Components(dino=0.2, hist=0.5, fid=7.654, lpips=0.4, clip_iqa=0.7,
                                  clip_r=0.75)),
        "corrected": ScoringResult(
            scoring=CORRECTED, styles=["00", "01", "15"], images=5, final_score=None,
            no_final_because="CLIP-IQA was not asked for.",
            components=Components(dino=0.1, hist=0.6, fid=2.5, lpips=0.4, clip_r=0.8)),
        "styles": styles, "problems": [], "prompts": ["ring", QUOTED], "prompts_from": "the list",
        "weights": [WeightsRecord(file="dino.pth", sha256="1" * 64, published=True)],
        "versions": {"torch": "2.9.0"}, "device": "cpu", "started": "2025-01-01T00:00:00Z",
        "seconds": 1.0,
    }
    return CheckResult.model_validate(content | changes)


def write(checked: CheckResult, folder: Path) -> tuple[str, Page]:
    path = write_report(checked, folder)
    assert path == folder / "report.html"
    text = path.read_text(encoding="utf-8")
    return text, Page(text)


def test_one_page_that_loads_nothing(tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    checked = result(tmp_path)
    path = write_report(checked, tmp_path / "out", lambda done, total: calls.append((done, total)))
    assert calls == [(done, 8) for done in range(1, 9)]
    assert [file.name for file in path.parent.iterdir()] == ["report.html"]
    text = path.read_text(encoding="utf-8")
    page = Page(text)
    assert page.open == []
    assert "http://" not in text
    assert "https://" not in text
    assert "url(" not in text
    assert "@import" not in text
    for _, attributes in page.tags:
        source = attributes.get("src")
        assert source is None or source.startswith("data:image/jpeg;base64,")
        link = attributes.get("href")
        assert link is None or link.startswith("#")
    assert not page.all("link")


def test_every_link_leads_somewhere(tmp_path: Path) -> None:
    page = write(result(tmp_path), tmp_path)[1]
    names = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(names) == len(set(names))
    assert {f"#{name}" for name in names} >= {link["href"] for link in page.all("a")}


def test_the_only_script_is_the_one_that_the_policy_allows(tmp_path: Path) -> None:
    text, page = write(result(tmp_path), tmp_path)
    scripts = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    assert len(scripts) == len(page.all("script")) == 1
    digest = base64.b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode()
    policy = page.all("meta")[1]["content"] or ""
    assert f"script-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'")


def test_names_and_prompts_are_text_everywhere(tmp_path: Path) -> None:
    text, page = write(result(tmp_path), tmp_path)
    assert "<script>alert" not in text
    assert "<b>&amp;</b>" not in text
    assert HOSTILE in page.text
    assert QUOTED in page.text
    assert HOSTILE in [image["alt"] for image in page.all("img")]
    tooltip = next(summary["title"] for summary in page.all("summary") if "title" in summary)
    assert tooltip is not None
    assert tooltip.splitlines() == [
        f"Looked for: {QUOTED.lower()}. The five likeliest:",
        f"1. {QUOTED}  50.0%",
        "2. cat  25.0%",
    ]


def test_styles_and_images_come_worst_first(tmp_path: Path) -> None:
    page = write(result(tmp_path), tmp_path)[1]
    headings = [text.strip() for text in page.text if text.startswith("Style ")]
    assert headings == ["Style 01", "Style 00", "Style 15"]  # 15 is not part of the score
    alts = [image["alt"] for image in page.all("img")]
    assert alts == ["a.png", "Cat.png", "Ring.png", "a.png", HOSTILE, "Good.png", "a.png",
                    "Ring.png"]


def test_the_style_term_leaves_out_what_was_not_asked_for() -> None:
    image = scored("a.png", 0.1, True)
    assert image_term(image, OFFICIAL) == pytest.approx(0.2 * 0.1 + 0.4 * 0.5 + 0.4 * 0.6)
    without = image.model_copy(update={"dino": None, "lpips": None})
    assert image_term(without, OFFICIAL) == pytest.approx(0.2)
    assert image_term(without.model_copy(update={"hist": {}}), OFFICIAL) is None


def test_numbers_sort_as_numbers(tmp_path: Path) -> None:
    text, page = write(result(tmp_path), tmp_path)
    values = [cell["data-value"] or "" for cell in page.all("td") if "data-value" in cell]
    assert len(values) == 5 * 6
    numbers = [float(value) for value in values if value]
    assert -0.5 in numbers
    assert "" in values  # the style that is not counted has no CLIP-IQA
    headers = [header for header in page.all("th") if "data-kind" in header]
    assert [header["data-kind"] for header in headers] == ["text"] * 3 + ["number"] * 6
    assert [header.get("aria-sort") for header in headers].count("ascending") == 1
    assert text.count('<button type="button">') == 9


def test_thumbnails_are_small_and_keep_their_shape(tmp_path: Path) -> None:
    page = write(result(tmp_path), tmp_path)[1]
    image = next(image for image in page.all("img") if image["alt"] == "Cat.png")
    content = base64.b64decode((image["src"] or "").partition(",")[2])
    with Image.open(io.BytesIO(content)) as small:
        assert (small.format, small.size) == ("JPEG", (192, 96))
    assert (image["width"], image["height"]) == ("192", "96")


def test_pictures_that_have_gone_are_empty_frames_and_told(tmp_path: Path) -> None:
    checked = result(tmp_path)
    checked.image_path("01", "Cat.png").unlink()
    checked.image_path("01", "Ring.png").write_bytes(b"no picture")
    text, page = write(checked, tmp_path)
    assert "Cat.png" not in [image["alt"] for image in page.all("img")]
    assert text.count('<div class="frame">file not found</div>') == 1
    assert text.count('<div class="frame">file not readable</div>') == 1
    note = text.partition('id="not-shown"')[2]
    assert f"{checked.image_path('01', 'Cat.png')}: file not found" in note
    assert 'id="not-shown"' not in write(result(tmp_path / "other"), tmp_path)[0]


def test_unpublished_weights_have_a_banner(tmp_path: Path) -> None:
    text = write(result(tmp_path), tmp_path)[0]
    assert "Unpublished weights" not in text
    weights = [WeightsRecord(file="mine.pth", sha256="1" * 64, published=False)]
    text = write(result(tmp_path / "other", weights=weights), tmp_path)[0]
    body = text.partition("<body>")[2]
    assert body.index("Unpublished weights: these numbers compare to nothing.") < body.index("<h1>")
    assert "mine.pth" in body.partition("<h1>")[0]


def test_problems_and_missing_values(tmp_path: Path) -> None:
    problems = [Problem(kind="extra-image", style="00", file="x", message="00/x: <no> prompt."),
                Problem(kind="missing-image", style="00", file=None, message="00: no Bee.",
                        stops=[CORRECTED])]
    text, page = write(result(tmp_path, problems=problems, scoring=CORRECTED), tmp_path)
    assert page.text.index("00: no Bee.") < page.text.index("00/x: <no> prompt.")
    assert "No final score" in page.text
    assert "CLIP-IQA was not asked for." in text
    assert "None" not in "".join(page.text)


def test_a_split_without_official_styles(tmp_path: Path) -> None:
    page = write(result(tmp_path, scoring=CORRECTED, official=None), tmp_path)[1]
    assert "official: no scores, the split has none of its styles." in page.text


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        write_report(result(tmp_path), tmp_path / "file")
