"""The `jstyleid` command line: a Typer app whose commands import heavy modules when they run."""

import io
import sys
from typing import Annotated

import typer

from jstyleid_runner import __version__
from jstyleid_runner.commands.again import again
from jstyleid_runner.commands.clean import clean
from jstyleid_runner.commands.compare import compare
from jstyleid_runner.commands.config import show
from jstyleid_runner.commands.demo import demo
from jstyleid_runner.commands.doctor import doctor
from jstyleid_runner.commands.generate import generate
from jstyleid_runner.commands.init import init
from jstyleid_runner.commands.lora import convert, info, merge
from jstyleid_runner.commands.plan import plan
from jstyleid_runner.commands.run import run
from jstyleid_runner.commands.status import retry, status
from jstyleid_runner.commands.sweep import sweep
from jstyleid_runner.commands.train import train
from jstyleid_runner.commands.transfer import transfer
from jstyleid_runner.commands.ui import ui
from jstyleid_runner.errors import full_output_named, guarded
from jstyleid_runner.options.sources import with_config

app = typer.Typer(
    name="jstyleid",
    help="Stable Diffusion 2.1 and StyleID style transfer in Jittor.",
    no_args_is_help=True,
    # Joins the lines of a docstring's paragraph.
    rich_markup_mode="markdown",
    # A crash is reported by `guarded`: a message for the user, the traceback in a file.
    pretty_exceptions_enable=False,
)
config = typer.Typer(help="The options of run, train and generate, from a file and elsewhere.")

lora = typer.Typer(help="LoRA files.")


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


app.command()(guarded(init))
app.command()(guarded(transfer))
app.command()(guarded(again))
# `plan` and `sweep` are told what a run is told, wherever that stands.
for command, table in ((generate, "generate"), (train, "train"), (run, "run"), (plan, "run"),
                       (sweep, "run")):
    variables = {"auto_envvar_prefix": f"JSTYLEID_{table.upper()}"}
    app.command(context_settings=variables)(guarded(with_config(command, table)))
app.command()(guarded(compare))
app.command()(guarded(status))
app.command()(guarded(retry))
app.command()(guarded(clean))
app.command()(guarded(doctor))
app.command()(guarded(demo))
app.command()(guarded(ui))
# The options of the command that is shown follow.
config.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(
    guarded(show)
)
app.add_typer(config, name="config")
lora.command()(guarded(info))
lora.command()(guarded(merge))
lora.command()(guarded(convert))
app.add_typer(lora, name="lora")


def main() -> None:
    """Run the command that the words of the command line name."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # what the terminal cannot show becomes `?`
    with full_output_named():
        app()
