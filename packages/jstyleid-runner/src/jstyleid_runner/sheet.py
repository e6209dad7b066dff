"""Contact sheets: one picture first, then pairs of pictures, each with its label."""

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont, ImageOps

_SIDE = 192
_GAP = 8
_TEXT = 13
_COLUMNS = 8
"""Pairs beside each other, before the next go below."""


@dataclass(frozen=True)
class Cell:
    """A picture, or the lack of one, and what is written under it."""

    label: str
    image: Image.Image | None


def contact_sheet(head: Cell, pairs: Sequence[tuple[Cell, Cell]]) -> Image.Image:
    """Draw `head` at the top left and beside it the pairs, the second of each below the first."""
    columns = min(len(pairs), _COLUMNS)
    bands = -(-len(pairs) // _COLUMNS)
    across, down = _SIDE + _GAP, _SIDE + _TEXT + 2 * _GAP
    sheet = Image.new("RGB", (_GAP + (1 + columns) * across, _GAP + 2 * bands * down), "white")
    _paste(sheet, head, _GAP, _GAP)
    for index, pair in enumerate(pairs):
        band, column = divmod(index, _COLUMNS)
        for row, cell in enumerate(pair):
            left, top = _GAP + (1 + column) * across, _GAP + (2 * band + row) * down
            _paste(sheet, cell, left, top)
    return sheet


def _paste(sheet: Image.Image, cell: Cell, left: int, top: int) -> None:
    if cell.image is not None:
        fitted = ImageOps.contain(cell.image, (_SIDE, _SIDE), Image.Resampling.LANCZOS)
        offset = ((_SIDE - fitted.width) // 2, (_SIDE - fitted.height) // 2)
        sheet.paste(fitted, (left + offset[0], top + offset[1]))
    font = ImageFont.load_default(_TEXT)
    text = _shortened(cell.label, font)
    ImageDraw.Draw(sheet).text((left, top + _SIDE + 2), text, fill="black", font=font)


def _shortened(label: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    if font.getlength(label) <= _SIDE:
        return label
    while label and font.getlength(label + "...") > _SIDE:
        label = label[:-1]
    return label + "..."
