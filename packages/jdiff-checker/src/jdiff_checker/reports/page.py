"""HTML report of a result: one self-contained page.

The page is written while it is rendered, style by style, so that only one picture is in memory at a
time. File names and prompts are foreign text: Jinja2 escapes them, and a content security policy
keeps the page from loading anything and from running any script but its own.
"""

from __future__ import annotations

import base64
import hashlib
import io
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from jdiff_checker.errors import UploadError
from jdiff_checker.files import atomic_path
from jdiff_checker.reports.chart import panels
from jdiff_checker.reports.formatting import arrow, direction, format_value, printable
from jdiff_checker.reports.ranking import (
    image_term,
    images_worst_first,
    means_term,
    shown_scoring,
    styles_worst_first,
)
from jdiff_checker.result import CheckResult, ClipR, Components, ImageScores, StyleScores
from jdiff_checker.scoring import ALL_METRICS, PUBLISHED, Metric, Scoring

if TYPE_CHECKING:
    from jinja2 import Environment
    from PIL import Image

_PAGE_BYTES = 7_600_000
"""Size limit of a page; a few thousand images exceed it, at the lowest quality."""
_TEXT_BYTES_EACH = 2_000
"""Share of the limit for the markup of one image."""
_THUMBNAIL_BYTES = (2_500, 14_000)
"""Lowest and highest size limit of a JPEG."""
_THUMBNAIL_SIDE = 192
"""Longer side in pixels."""
_QUALITIES = (85, 78, 70, 62, 54, 46, 38, 30)


@dataclass(frozen=True)
class Entry:
    """One image on the page: its anchor for links, and its values."""

    anchor: str
    style: str
    left_out: bool
    """True if the selected scoring does not count the style; the numbers are then corrected."""
    image: ImageScores
    term: float | None
    hist: float | None
    clip_iqa: float | None
    clip_r: ClipR | None


@dataclass(frozen=True)
class Sheet:
    """Contact sheet of one style: the values above the pictures, and the images."""

    anchor: str
    style: StyleScores
    scoring: Scoring
    """Scoring of the numbers; see `shown_scoring`."""
    means: Components
    term: float | None
    entries: list[Entry]
    """Worst first."""


@dataclass
class _Thumbnails:
    """Makes the thumbnails one after the other, and lists the pictures that cannot be shown."""

    most_bytes: int
    total: int
    on_progress: Callable[[int, int], None] | None
    done: int = 0
    not_shown: list[str] = field(default_factory=list)

    def make(self, path: Path) -> Thumbnail:
        made = thumbnail(path, self.most_bytes)
        if made.missing_because:
            self.not_shown.append(f"{path}: {made.missing_because}")
        self.done += 1
        if self.on_progress is not None:
            self.on_progress(self.done, self.total)
        return made


def write_report(
    result: CheckResult, folder: Path, on_progress: Callable[[int, int], None] | None = None
) -> Path:
    """Write `report.html` into `folder`: one self-contained page, and no other file.

    Args:
        result: the result to show. Its images and references are read again for the thumbnails; a
            missing picture is an empty frame, and is named at the end of the page.
        folder: destination; made if it does not exist.
        on_progress: called after each picture with the number of finished and of all pictures.

    Returns:
        The path of the page.

    Raises:
        OutputError: the page cannot be written.
    """
    page = folder / "report.html"
    with atomic_path(page) as temporary, open(
        # A file name that is not text cannot be encoded otherwise.
        temporary, "w", encoding="utf-8", errors="backslashreplace", newline="\n"
    ) as stream:
        for part in _parts(result, on_progress):
            stream.write(part)
    return page


def _parts(
    result: CheckResult, on_progress: Callable[[int, int], None] | None
) -> Iterator[str]:
    from markupsafe import Markup

    environment = _environment()
    script = _source(environment, "report.js")
    sheets = list(_sheets(result))
    total = sum(len(style.references) + len(style.images) for style in result.styles)
    least, most = _THUMBNAIL_BYTES
    # Base64 makes four characters of three bytes.
    each = (_PAGE_BYTES // max(total, 1) - _TEXT_BYTES_EACH) * 3 // 4
    thumbnails = _Thumbnails(min(max(each, least), most), total, on_progress)
    return environment.get_template("report.html.j2").generate(
        result=result, chosen=result.chosen, scorings=list(Scoring), metrics=ALL_METRICS,
        sheets=sheets, entries=_in_table_order(sheets), thumbnails=thumbnails,
        published=PUBLISHED, panels=[Markup(panel) for panel in panels(result)],
        css=Markup(_source(environment, "report.css")), script=Markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )


def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("jdiff_checker.reports"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )
    environment.filters.update(format_value=format_value, printable=printable, sortable=_sortable,
                               top5=_top5)
    environment.globals.update(Metric=Metric, arrow=arrow, direction=direction)
    return environment


def _source(environment: Environment, name: str) -> str:
    assert environment.loader is not None
    return environment.loader.get_source(environment, name)[0].strip()


def _sheets(result: CheckResult) -> Iterator[Sheet]:
    for number, style in enumerate(styles_worst_first(result)):
        scoring = shown_scoring(result, style)
        means = style.means.get(scoring, Components())
        entries = [
            Entry(f"s{number}-{place}", style.style, scoring != result.scoring, image,
                  image_term(image, scoring), image.hist.get(scoring),
                  image.clip_iqa.get(scoring), image.clip_r.get(scoring))
            for place, image in enumerate(images_worst_first(style.images, scoring))
        ]
        yield Sheet(f"s{number}", style, scoring, means, means_term(means), entries)


def _in_table_order(sheets: list[Sheet]) -> list[Entry]:
    """Worst image first; styles that the scoring leaves out come last, as among the sheets."""

    def key(entry: Entry) -> tuple[bool, float]:
        return entry.left_out, math.inf if entry.term is None else entry.term

    return sorted((entry for sheet in sheets for entry in sheet.entries), key=key)


def _sortable(value: float | None) -> str:
    """A number in the form that the script of the page reads; empty if it is missing."""
    return "" if value is None or not math.isfinite(value) else f"{value:.6g}"


def _top5(clip_r: ClipR) -> str:
    """The five likeliest prompts as lines of text."""
    lines = [f"{place}. {printable(label)}  {probability:.1%}"
             for place, (label, probability) in enumerate(clip_r.top5, 1)]
    return "\n".join([f"Looked for: {printable(clip_r.label)}. The five likeliest:", *lines])


@dataclass(frozen=True)
class Thumbnail:
    """A small picture, or the reason why it is missing."""

    uri: str = ""
    """Data URI; empty if there is no picture."""
    width: int = _THUMBNAIL_SIDE
    height: int = _THUMBNAIL_SIDE
    missing_because: str = ""


def thumbnail(path: Path, most_bytes: int) -> Thumbnail:
    """Read the picture at `path` and scale it down.

    Args:
        path: a scored picture, which may have been removed since.
        most_bytes: size limit; the JPEG has the best quality below it. Grain compresses badly: at a
            fixed quality, a page of grainy pictures would be three times as large.

    Returns:
        The thumbnail; without a picture, but with a reason, if the file is missing or unreadable.
    """
    from PIL import Image

    from jdiff_checker.inputs.images import decode

    if not path.is_file():
        return Thumbnail(missing_because="file not found")
    try:
        picture = decode(path)
    except UploadError:
        return Thumbnail(missing_because="file not readable")
    picture.thumbnail((_THUMBNAIL_SIDE, _THUMBNAIL_SIDE), Image.Resampling.LANCZOS)
    content = base64.b64encode(_jpeg(picture, most_bytes)).decode("ascii")
    return Thumbnail(f"data:image/jpeg;base64,{content}", picture.width, picture.height)


def _jpeg(picture: Image.Image, most_bytes: int) -> bytes:
    for quality in _QUALITIES:
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=quality, optimize=True)
        if buffer.tell() <= most_bytes:
            break
    return buffer.getvalue()
