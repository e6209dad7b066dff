"""The page that shows two runs side by side: each prompt's contents and both results."""

from collections.abc import Callable
from pathlib import Path

from jstyleid_runner.reports.comparison import Comparison
from jstyleid_runner.reports.pages.gallery import Pictures
from jstyleid_runner.reports.pages.page import write_page

_PAGE_BYTES = 48_000_000
"""Size of a page: twice that of a run's gallery."""


def write_comparison(
    path: Path,
    comparison: Comparison,
    on_progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write the page: one file with small pictures inside, and relative links to the whole ones.

    Args:
        path: path of the page.
        comparison: the two runs.
        on_progress: called after each picture with how many are done, and of how many.

    Raises:
        OutputError: the page cannot be written.
    """
    paths = [shown.path for style in comparison.styles for prompt in style.prompts
             for shown in prompt.shown if shown.path]
    write_page(
        path, "compare", base="gallery", title="Two runs", styles=comparison.styles,
        about=comparison.about, changes=comparison.changes, counts=comparison.counts,
        pictures=Pictures(path.parent, paths, on_progress, _PAGE_BYTES),
    )
