"""`jstyleid again`: make a picture again from what it says of itself."""

from pathlib import Path
from typing import Annotated

import typer

from jstyleid_runner.options.again import AgainOptions
from jstyleid_runner.options.sources import origins, with_options


@with_options
def again(
    context: typer.Context,
    picture: Annotated[
        Path,
        typer.Argument(
            metavar="PICTURE", help="A PNG of `transfer`, `generate` or `run`, as it was written."
        ),
    ],
    options: AgainOptions,
) -> None:
    """Make PICTURE again from the settings and the files that it records; options change some.

    With the same checkpoint, files and settings it is the same file, to the byte. A file that is
    missing or another one than it was is named.
    """
    from jstyleid_runner.workflows.again import make_again

    given = {name for name, origin in origins(context).items() if origin.source != "default"}
    print(make_again(picture, options, given))
