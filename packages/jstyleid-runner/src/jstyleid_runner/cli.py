"""The `jstyleid` command line. What a command needs is imported when it runs, not for `--help`."""

from typing import Annotated

import typer

from jstyleid_runner import __version__
from jstyleid_runner.commands.doctor import doctor
from jstyleid_runner.commands.generate import generate
from jstyleid_runner.commands.run import run
from jstyleid_runner.commands.train import train
from jstyleid_runner.commands.transfer import transfer
from jstyleid_runner.failures import guarded

app = typer.Typer(
    name="jstyleid",
    help="Stable Diffusion 2.1 and StyleID style transfer in Jittor.",
    no_args_is_help=True,
    add_completion=False,
    # Joins the lines of a docstring's paragraph.
    rich_markup_mode="markdown",
    # A crash is reported by `guarded`: a message for the user, the traceback in a file.
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"jstyleid {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """The options before a command's name; `--version` is dealt with by its callback."""


for command in (transfer, generate, train, run, doctor):
    app.command()(guarded(command))


def main() -> None:
    """Entry point of the `jstyleid` script."""
    app()
