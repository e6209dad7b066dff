"""The contact sheet of one style of a run: its reference, each content, each result."""

from jstyleid_core.images import open_image, save_png
from jstyleid_runner.out_folder import OutFolder
from jstyleid_runner.plan import StylePlan
from jstyleid_runner.sheet import Cell, contact_sheet


def write_style_sheet(folder: OutFolder, plan: StylePlan) -> None:
    """Draw the sheet from the pictures in `folder`."""
    columns: list[tuple[Cell, Cell]] = []
    for content, picture in plan.pairs:
        drawn = folder.content(content.style, content.prompt)
        # A picture kept from before may have outlived its content.
        above = open_image(drawn) if drawn.is_file() else None
        below = open_image(folder.picture(picture.style, picture.prompt))
        columns.append((Cell(content.prompt, above), Cell("", below)))
    reference = plan.invert.reference
    sheet = contact_sheet(Cell(reference.name, open_image(reference)), columns)
    save_png(sheet, folder.sheet(plan.style))
