"""The contact sheet of one style of a run: what it was made from, each content, each result."""

from jstyleid_core.images import open_image, save_png
from jstyleid_runner.planning.plan import StylePlan
from jstyleid_runner.sheet import Cell, contact_sheet
from jstyleid_runner.storage.layout import OutFolder


def write_style_sheet(folder: OutFolder, plan: StylePlan) -> None:
    """Draw the sheet from the pictures in `folder`."""
    shown = (plan.invert.reference,) if plan.invert else plan.samples
    columns: list[list[Cell]] = []
    for draw, stylise in plan.pairs:
        picture = open_image(folder.picture(draw.style, draw.prompt))
        if stylise:
            content = folder.content(draw.style, draw.prompt)
            # A picture kept from before may have outlived its content.
            above = open_image(content) if content.is_file() else None
            columns.append([Cell(draw.prompt, above), Cell("", picture)])
        else:
            columns.append([Cell(draw.prompt, picture)])
    heads = [Cell(path.name, open_image(path)) for path in shown]
    save_png(contact_sheet(heads, columns), folder.sheet(plan.style))
