"""The gallery of a run: each style's references and the pictures of each prompt, on one page."""

import base64
import io
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

from PIL import Image

from jstyleid_core.errors import InputError
from jstyleid_core.image_files import open_image
from jstyleid_core.runtime.processors import processors
from jstyleid_runner.planning.plan import Plan, StylePlan
from jstyleid_runner.reports.pages.page import write_page
from jstyleid_runner.storage.layout import OutFolder

T = TypeVar("T")
R = TypeVar("R")

_MOST_THREADS = 8


def in_order(work: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """`work(item)` of each item, computed a little ahead of whoever takes the results."""
    threads = min(processors(), _MOST_THREADS)
    waiting = iter(items)
    with ThreadPoolExecutor(threads) as pool:
        begun: deque[Future[R]] = deque(
            pool.submit(work, item) for item in islice(waiting, 2 * threads)
        )
        while begun:
            result = begun.popleft().result()
            begun.extend(pool.submit(work, item) for item in islice(waiting, 1))
            yield result


SIDE = 384
"""The longer side in pixels, where there is room for it."""
_STEPS = ((SIDE, 78, 1.0), (SIDE, 60, 0.77), (SIDE, 40, 0.6), (288, 40, 0.36), (208, 40, 0.2),
          (144, 40, 0.1), (96, 30, 0.0))
"""Side, quality, and the share of the first one's bytes that it usually takes; best first.

A coarse picture shows more than a small one, down to a point.
"""


@dataclass(frozen=True)
class Thumbnail:
    """A small picture, or why there is none."""

    uri: str = ""
    """A data URI; empty where there is no picture."""
    width: int = SIDE
    height: int = SIDE
    missing_because: str = ""


def thumbnail(path: Path, most_bytes: int) -> Thumbnail:
    """Read the picture at `path` and make it small.

    Args:
        path: a picture, which need not be there.
        most_bytes: limit; the best quality below it is taken. Grain compresses badly: at a fixed
            quality, its pages would be many times as large as those of flat drawings.
    """
    if not os.path.isfile(path):
        return Thumbnail(missing_because="missing")
    try:
        picture = open_image(path)
    except InputError:
        return Thumbnail(missing_because="not readable")
    width, height, content = _webp(picture, most_bytes)
    encoded = base64.b64encode(content).decode("ascii")
    return Thumbnail(f"data:image/webp;base64,{encoded}", width, height)


def _webp(picture: Image.Image, most_bytes: int) -> tuple[int, int, bytes]:
    first = 0
    buffer = io.BytesIO()
    for side, quality, share in _STEPS:
        if share * first > most_bytes:
            continue
        picture.thumbnail((side, side), Image.Resampling.LANCZOS)
        buffer = io.BytesIO()
        # A method above 2 gains a few percent and takes twice as long.
        picture.save(buffer, "WEBP", quality=quality, method=2)
        if buffer.tell() <= most_bytes:
            break
        first = first or buffer.tell()
    return picture.width, picture.height, buffer.getvalue()


_PAGE_BYTES = 24_000_000
"""Size of a page; tens of thousands of pictures get the worst quality and take more."""
_TEXT_BYTES_EACH = 600
"""Part of the size for the markup of one picture."""
_PICTURE_BYTES = (1_500, 40_000)
"""A thumbnail is allowed at least and at most this."""


@dataclass(frozen=True)
class GalleryPrompt:
    """The pictures of a prompt.

    Attributes:
        prompt: prompt as in the split.
        result: the picture asked for; it may not be there yet.
        content: the picture that was stylised; None where what was drawn is the result.
    """

    prompt: str
    result: Path
    content: Path | None = None


@dataclass(frozen=True)
class GalleryStyle:
    """The pictures of a style.

    Attributes:
        name: name as in the split.
        references: sample images of the style.
        chosen: those among them whose look the results take; none where all are learnt from.
    """

    name: str
    references: tuple[Path, ...]
    prompts: tuple[GalleryPrompt, ...]
    chosen: tuple[Path, ...] = ()

    @property
    def pictures(self) -> Iterator[Path]:
        """Every picture, in the page's order."""
        yield from self.references
        for prompt in self.prompts:
            if prompt.content:
                yield prompt.content
            yield prompt.result


class Pictures:
    """Hands the thumbnails to the template, in its order, and keeps what could not be shown.

    Args:
        folder: folder of the page.
        paths: the pictures.
        page_bytes: size that the page is to have.
        on_progress: called after each picture with how many are done, and of how many.
    """

    def __init__(
        self,
        folder: Path,
        paths: Sequence[Path],
        on_progress: Callable[[int, int], None] | None,
        page_bytes: int = _PAGE_BYTES,
    ) -> None:
        self.total = len(paths)
        self.not_shown: list[str] = []
        self._folder = folder
        self._on_progress = on_progress
        least, most = _PICTURE_BYTES
        # Base64 makes four characters of three bytes.
        each = (page_bytes // max(self.total, 1) - _TEXT_BYTES_EACH) * 3 // 4
        each = min(max(each, least), most)
        made = in_order(lambda path: thumbnail(path, each), paths)
        self._left = enumerate(zip(paths, made, strict=True), 1)

    def take(self, path: Path) -> Thumbnail:
        """The thumbnail of the next picture, which is `path`."""
        done, (expected, made) = next(self._left)
        assert path == expected, f"{path} in place of {expected}"
        if made.missing_because:
            self.not_shown.append(f"{self._relative(path)}: {made.missing_because}")
        if self._on_progress is not None:
            self._on_progress(done, self.total)
        return made

    def link(self, path: Path) -> str:
        """A relative link to the whole picture, so that page and pictures can move together."""
        return quote(os.fsencode(self._relative(path)))

    def _relative(self, path: Path) -> str:
        return os.path.relpath(path, self._folder)


def write_gallery(
    path: Path,
    styles: Sequence[GalleryStyle],
    *,
    title: str,
    facts: Mapping[str, str] | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write the page: one file with small pictures inside, and links to the whole ones.

    Args:
        path: path of the page.
        styles: pictures to show; those that do not exist are shown as missing.
        title: the heading.
        facts: values below the heading, by name: method, seed, size.
        on_progress: called after each picture with how many are done, and of how many.

    Raises:
        OutputError: the page cannot be written.
    """
    paths = [picture for style in styles for picture in style.pictures]
    pictures = Pictures(path.parent, paths, on_progress)
    write_page(
        path, "gallery", title=title, facts=facts or {}, styles=styles, pictures=pictures,
        prompts=sum(len(style.prompts) for style in styles),
    )


def gallery_of(plan: Plan, folder: OutFolder) -> tuple[GalleryStyle, ...]:
    """The pictures that `plan` makes in `folder`, whether they are there yet or not."""
    return tuple(_gallery_style(style, folder) for style in plan.styles)


def _gallery_style(style: StylePlan, folder: OutFolder) -> GalleryStyle:
    prompts = tuple(
        GalleryPrompt(
            generate.prompt,
            folder.picture(generate.style, generate.prompt),
            folder.content(generate.style, generate.prompt) if transfer else None,
        )
        for generate, transfer in style.pairs
    )
    return GalleryStyle(style.style, style.samples, prompts, style.references)
