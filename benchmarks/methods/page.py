"""The page of the comparison: a table, and one sheet of pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image

from cases import Case
from jstyleid_core.contact_sheet import Cell, contact_sheet
from jstyleid_core.files import atomic_path
from jstyleid_core.image_files import open_image

COLUMNS = ("colour", "texture", "structure", "recognised", "evaluations", "seconds",
           "style_evaluations", "style_seconds")
START, END = "<!-- measured: start -->", "<!-- measured: end -->"
_SHOWN = ("styleid", "gated", "4 references", "inversion fixed-point:2", "trajectory", "direct",
          "direct, gated")
"""With the contents as many columns as a sheet has beside each other."""


def write_page(
    page: Path, rows: Mapping[str, Mapping[str, float]], cases: Sequence[Case], work: Path
) -> None:
    """Put the table between the page's marks, and the pictures beside the page."""
    text = page.read_text(encoding="utf-8")
    before, _, rest = text.partition(START)
    _, _, after = rest.partition(END)
    with atomic_path(page) as path:
        path.write_text(f"{before}{START}\n{table(rows)}\n{END}{after}", encoding="utf-8")
    heads = [Cell(case.name, case.references[0]) for case in cases]
    columns = [[Cell("content", case.contents[0]) for case in cases]]
    for name in _SHOWN:
        if name in rows:
            folder = work / folder_name(name)
            columns.append([Cell(name, open_image(folder / f"{case.name}-0.png"))
                            for case in cases])
    sheet = contact_sheet(heads, columns)
    # As JPEG: a page of the documentation is not to weigh megabytes.
    with atomic_path(page.with_suffix(".jpg")) as path:
        sheet.resize((sheet.width // 2, sheet.height // 2), Image.Resampling.LANCZOS).save(
            path, "JPEG", quality=85)


def folder_name(name: str) -> str:
    """The folder of a line's pictures."""
    return name.replace(", ", "-").replace(" ", "-").replace(":", "-")


def table(rows: Mapping[str, Mapping[str, float]]) -> str:
    """The rows in Markdown; what a row does not have is a dash."""
    lines = ["| | " + " | ".join(name.replace("_", " ") for name in COLUMNS) + " |",
             "|---" * (1 + len(COLUMNS)) + "|"]
    for name, row in rows.items():
        values = [_number(column, row.get(column)) for column in COLUMNS]
        lines.append(f"| {name} | " + " | ".join(values) + " |")
    return "\n".join(lines)


def _number(column: str, value: float | None) -> str:
    if value is None:
        return "-"
    if column.endswith("evaluations"):
        return f"{value:.0f}"
    return f"{value:.1f}" if column.endswith("seconds") else f"{value:.3f}"
