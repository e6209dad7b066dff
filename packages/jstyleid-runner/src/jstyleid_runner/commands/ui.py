"""`jstyleid ui`: a page in the browser to play with."""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from jstyleid_runner.options.common import ModelOptions, given_path
from jstyleid_runner.options.sources import with_options

_PAGE = "Page"


@dataclass(frozen=True, kw_only=True)
class UIOptions(ModelOptions):
    """All options of the command."""

    out: Annotated[
        Path,
        typer.Option("--out", "-o", parser=given_path, metavar="<path>",
                     help="Folder of the results; each job gets a folder in it."),
    ] = Path("ui")
    runs: Annotated[
        Path,
        typer.Option("--runs", parser=given_path, metavar="<path>",
                     help="Folder below which the tab Runs finds the folders of runs."),
    ] = Path(".")
    preview: Annotated[
        int, typer.Option("--preview", min=0, help="Steps between two previews; 0 for none.")
    ] = 5
    host: Annotated[
        str,
        typer.Option("--host", rich_help_panel=_PAGE,
                     help="Address to serve at; one that others reach needs --password."),
    ] = "127.0.0.1"
    port: Annotated[
        int,
        typer.Option("--port", min=0, max=65535, rich_help_panel=_PAGE,
                     help="Port to serve at; 0 takes a free one."),
    ] = 7860
    user: Annotated[
        str, typer.Option("--user", rich_help_panel=_PAGE, help="Name to log in with.")
    ] = "jstyleid"
    password: Annotated[
        str | None,
        typer.Option("--password", envvar="JSTYLEID_UI_PASSWORD", rich_help_panel=_PAGE,
                     help="Password to log in with; by default none is asked for."),
    ] = None


@with_options
def ui(context: typer.Context, options: UIOptions) -> None:
    """Serve a page for transfer, generation, runs and scores, until Ctrl-C.

    The page loads nothing from other hosts. Results are written into the folder --out, with the
    settings in each picture.
    """
    from jstyleid_core import runtime
    from jstyleid_core.errors import InputError
    from jstyleid_runner.errors import temporary_report
    from jstyleid_runner.workflows.model import source_of

    if find_spec("gradio") is None:
        raise InputError("jstyleid ui: the package gradio is not installed. Install it: pip "
                         "install 'jstyleid-runner[ui]'")
    from jstyleid_runner.ui import server
    from jstyleid_runner.ui.jobs import JobQueue
    from jstyleid_runner.ui.results import Results
    from jstyleid_runner.ui.session import ModelSession

    if not server.is_loopback(options.host) and not options.password:
        raise InputError(f"--host {options.host}: others can reach this address. Give a "
                         "--password, too.", fields=["host", "password"])
    login = (options.user, options.password) if options.password else None
    results, queue = Results(options.out), JobQueue()
    session = ModelSession(options, options.preview)
    with server.bound(options.host, options.port) as opened, server.uploads_folder():
        page = server.build_page(context, queue, session, results, options.runs,
                                 source_of(options).name)
        with (server.served(page, opened, options.host, results.root, login) as address,
              temporary_report() as report):
            print(address, flush=True)
            runtime.redirect_native_output(report)
            queue.work()
