"""`jstyleid init`: a folder to begin in."""

from pathlib import Path
from typing import Annotated

import typer

from jstyleid_runner.options.common import given_path


def init(
    context: typer.Context,
    name: Annotated[
        Path,
        typer.Argument(metavar="NAME", parser=given_path, help="A new folder, or an empty one."),
    ],
) -> None:
    """Make a folder with a file of all options of `jstyleid run`, and a place for the styles.

    NAME/run.toml has every option at its default, commented out, with its help. A README.md in
    NAME/data/styles says where images and prompts go.
    """
    from jstyleid_runner.options.config_file import command_named
    from jstyleid_runner.workflows.init import CONFIG, make_folder

    split = make_folder(name, command_named(context, "run"))
    print(name / CONFIG)
    print(f"put the styles into {split}, as its README.md says; then, in {name}: "
          f"jstyleid run --config {CONFIG}")
