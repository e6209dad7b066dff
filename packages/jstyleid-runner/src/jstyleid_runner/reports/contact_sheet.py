"""The contact sheet of a style: what its pictures were made from, then the pictures."""

from jstyleid_core.contact_sheet import Cell, contact_sheet
from jstyleid_core.image_files import open_image, save_png
from jstyleid_runner.planning.plan import StylePlan
from jstyleid_runner.storage.layout import OutFolder


def write_style_sheet(folder: OutFolder, plan: StylePlan) -> None:
    """Draw the sheet from the pictures in `folder`."""
    shown = plan.references or plan.samples
    columns: list[list[Cell]] = []
    for generate, transfer in plan.pairs:
        picture = open_image(folder.picture(generate.style, generate.prompt))
        if transfer:
            content = folder.content(generate.style, generate.prompt)
            # A picture kept from before may have outlived its content.
            above = open_image(content) if content.is_file() else None
            columns.append([Cell(generate.prompt, above), Cell("", picture)])
        else:
            columns.append([Cell(generate.prompt, picture)])
    heads = [Cell(path.name, open_image(path)) for path in shown]
    save_png(contact_sheet(heads, columns), folder.sheet(plan.style))
