"""Contact sheets: what pictures were made from, then the pictures, each with its label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont, ImageOps

_SIDE = 192
_GAP = 8
_TEXT = 13
_COLUMNS = 8
"""Beside each other, before the next go below."""


@dataclass(frozen=True)
class Cell:
    """A picture, or the lack of one, and what is written under it."""

    label: str
    image: Image.Image | None


def contact_sheet(heads: Sequence[Cell], columns: Sequence[Sequence[Cell]]) -> Image.Image:
    """Draw `heads` below each other at the left, and beside them columns of one length."""
    beside = min(len(columns), _COLUMNS)
    bands, rows = -(-len(columns) // _COLUMNS), len(columns[0])
    across, down = _SIDE + _GAP, _SIDE + _TEXT + 2 * _GAP
    size = (_GAP + (1 + beside) * across, _GAP + max(bands * rows, len(heads)) * down)
    sheet = Image.new("RGB", size, "white")
    for row, head in enumerate(heads):
        _paste(sheet, head, _GAP, _GAP + row * down)
    for index, column in enumerate(columns):
        band, place = divmod(index, _COLUMNS)
        for row, cell in enumerate(column):
            left, top = _GAP + (1 + place) * across, _GAP + (rows * band + row) * down
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
