"""A run's pictures on one page: each style's references, and what was made for each prompt."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from jstyleid_runner.pages.ahead import in_order
from jstyleid_runner.pages.page import write_page
from jstyleid_runner.pages.thumbnail import Thumbnail, thumbnail

_PAGE_BYTES = 24_000_000
"""What a page may take; tens of thousands of pictures get the worst quality and take more."""
_TEXT_BYTES_EACH = 600
"""Of that, what the markup of one picture takes."""
_PICTURE_BYTES = (1_500, 40_000)
"""A thumbnail is allowed at least and at most this."""


@dataclass(frozen=True)
class GalleryPrompt:
    """What was made for a prompt.

    Attributes:
        prompt: as the split has it.
        result: the picture asked for; it may not be there yet.
        content: the picture that was stylised; None where what was drawn is the result.
    """

    prompt: str
    result: Path
    content: Path | None = None


@dataclass(frozen=True)
class GalleryStyle:
    """A style and what was made in it.

    Attributes:
        name: as the split has it.
        references: its sample images.
        chosen: the one among them whose look the results take; None where all are learnt from.
    """

    name: str
    references: tuple[Path, ...]
    prompts: tuple[GalleryPrompt, ...]
    chosen: Path | None = None

    @property
    def pictures(self) -> Iterator[Path]:
        """Every picture, in the page's order."""
        yield from self.references
        for prompt in self.prompts:
            if prompt.content:
                yield prompt.content
            yield prompt.result


class _Pictures:
    """Hands the thumbnails to the template, in its order, and keeps what could not be shown."""

    def __init__(
        self,
        folder: Path,
        paths: Sequence[Path],
        on_progress: Callable[[int, int], None] | None,
    ) -> None:
        self.total = len(paths)
        self.not_shown: list[str] = []
        self._folder = folder
        self._on_progress = on_progress
        least, most = _PICTURE_BYTES
        # Base64 makes four characters of three bytes.
        each = (_PAGE_BYTES // max(self.total, 1) - _TEXT_BYTES_EACH) * 3 // 4
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
        path: of the page.
        styles: what to show; pictures that are not there are shown as missing.
        title: the heading.
        facts: what stands below it, by name: the method, the model and the like.
        on_progress: called after each picture with how many are done, and of how many.

    Raises:
        OutputError: the page cannot be written.
    """
    paths = [picture for style in styles for picture in style.pictures]
    pictures = _Pictures(path.parent, paths, on_progress)
    write_page(
        path, "gallery", title=title, facts=facts or {}, styles=styles, pictures=pictures,
        prompts=sum(len(style.prompts) for style in styles),
    )
