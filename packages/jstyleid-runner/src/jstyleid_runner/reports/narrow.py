"""Tables on terminals that are too narrow for them."""

from collections.abc import Iterator
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderableType
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

_ROOM = 1000


@dataclass(frozen=True)
class NarrowTable:
    """A table that becomes a list where its words would be cut off.

    Attributes:
        table: a table of texts.
        least: columns of the terminal that it needs; None for those of its longest words.
    """

    table: Table
    least: int | None = None

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> Iterator[RenderableType]:
        """The table, or for each row its first cell and below it the others with their headers."""
        # As if there were room for all: otherwise Rich answers what it would cut the words to.
        wide = options.update_width(_ROOM)
        least = self.least or Measurement.get(console, wide, self.table).minimum
        if options.max_width >= least:
            yield self.table
            return
        for cells in zip(*(column.cells for column in self.table.columns), strict=True):
            yield cells[0]
            for column, cell in zip(self.table.columns[1:], cells[1:], strict=True):
                if text := str(cell):
                    yield Text(f"  {column.header}: {text}" if column.header else f"  {text}")
