"""`jstyleid compare`: two runs side by side on one page."""

from pathlib import Path
from typing import Annotated

import typer

from jstyleid_runner.options.common import given_path


def compare(
    out_a: Annotated[
        Path,
        typer.Argument(
            metavar="OUT_A", parser=given_path, help="Folder of a run, as --out named it."
        ),
    ],
    out_b: Annotated[
        Path, typer.Argument(metavar="OUT_B", parser=given_path, help="Folder of another run.")
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out", "-o", parser=given_path, metavar="<path>",
            help="The page to write, an .html file.",
        ),
    ] = Path("compare.html"),
    open: Annotated[
        bool, typer.Option("--open", help="Open the page in the browser at the end.")
    ] = False,
) -> None:
    """Write a page that shows two runs side by side: the same prompts, and what differs.

    Each picture can be enlarged, with a slider between content and result and between the runs. The
    folders of the runs are only read; a run may be unfinished, or at work.
    """
    from jstyleid_core.errors import InputError
    from jstyleid_runner.reports.comparison import compare_runs, read_run
    from jstyleid_runner.reports.pages.compare import write_comparison
    from jstyleid_runner.reports.pages.opening import open_page
    from jstyleid_runner.reports.progress import make_display

    if out.is_dir() or out.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"--out {out}: the page is an .html file. Name one.", fields=["out"])
    found = compare_runs(read_run(out_a), read_run(out_b))
    display = make_display()
    try:
        write_comparison(
            out, found, lambda done, total: display.preparing("writing the page", done, total))
    finally:
        display.close()
    counts = found.counts
    print(f"{counts['both']} prompts in both runs, {counts['A']} only in {out_a}, "
          f"{counts['B']} only in {out_b}; {len(found.changes)} settings differ; look at {out}")
    if open and not open_page(out):
        print(f"--open: no browser here can show it; open it yourself: {out.resolve()}")
