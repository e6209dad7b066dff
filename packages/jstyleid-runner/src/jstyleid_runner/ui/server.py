"""The server of the page: Gradio's components, without anything that leads out of this machine.

No analytics, no tunnel, no scripts or fonts from elsewhere: a content security policy keeps the
browser from any other host.
"""

import ipaddress
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

# Read when Gradio is imported.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"

import fastapi
import gradio as gr
import typer
import uvicorn
from starlette.datastructures import MutableHeaders
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from jstyleid_core.errors import InputError
from jstyleid_runner.ui.generate import GeneratePage
from jstyleid_runner.ui.jobs import JobQueue
from jstyleid_runner.ui.results import Results
from jstyleid_runner.ui.runs import RunsPage
from jstyleid_runner.ui.score import ScorePage
from jstyleid_runner.ui.session import ModelSession
from jstyleid_runner.ui.transfer import TransferPage

_POLICY = ("default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' "
           "'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; "
           "frame-ancestors 'none'; object-src 'none'; base-uri 'self'")
"""Gradio's own page needs inline scripts and styles; nothing may come from another host."""
_LARGEST_UPLOAD = "4gb"
_FONT, _MONO = ["system-ui", "sans-serif"], ["ui-monospace", "monospace"]
_LOGIN = "Name and password that jstyleid ui was given. The name is jstyleid by default."


def is_loopback(host: str) -> bool:
    """Whether a host can be reached from this machine only."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def build_page(
    context: typer.Context, queue: JobQueue, session: ModelSession, results: Results, runs: Path,
    model: str,
) -> gr.Blocks:
    """The page with its tabs.

    Args:
        context: context of the program.
        queue: queue of the jobs.
        session: the model.
        results: folder of the results.
        runs: folder below which the folders of runs are.
        model: the command line's checkpoint, for its place in the page.
    """
    with gr.Blocks(title="JStyleID", analytics_enabled=False) as page:
        named = gr.Textbox(
            label="model", placeholder=model, elem_id="model",
            info="A folder, a .safetensors file or a hub id; empty for the one in grey.")
        with gr.Tab("Transfer"):
            TransferPage(context, queue, session, results).build(page, named)
        with gr.Tab("Generate"):
            GeneratePage(context, queue, session, results).build(page, named)
        with gr.Tab("Runs"):
            RunsPage(runs).build(page)
        with gr.Tab("Score"):
            ScorePage().build()
    return page


def bound(host: str, port: int) -> socket.socket:
    """A socket of this address.

    Raises:
        InputError: the address is taken, or none of this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    opened = socket.socket(family, socket.SOCK_STREAM)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        opened.bind((host, port))
    except (OSError, OverflowError) as error:
        opened.close()
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"--host {host} --port {port}: {reason}. Give another --port, or an "
                         "address of this machine.", fields=["host", "port"]) from error
    return opened


class _AddPolicy:
    """Middleware that adds the policy to every response.

    It touches the first message of a response, and leaves the body to the server.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_policy(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["Content-Security-Policy"] = _POLICY
            await send(message)

        await self._app(scope, receive, send_with_policy)


@contextmanager
def uploads_folder() -> Iterator[None]:
    """A temporary folder for what browsers upload and are shown; pages are built in the block."""
    with TemporaryDirectory(prefix="jstyleid-ui-") as folder:
        os.environ["GRADIO_TEMP_DIR"] = folder  # each component reads it when it is made
        yield


@contextmanager
def served(
    page: gr.Blocks, opened: socket.socket, host: str, allowed: Path,
    login: tuple[str, str] | None = None,
) -> Iterator[str]:
    """Serve the page in a thread while the block runs, and give its address.

    Args:
        page: the page.
        opened: socket of the server.
        host: host as the user named it.
        allowed: folder whose files the page shows.
        login: name and password that are asked for.
    """
    app = fastapi.FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    if is_loopback(host):  # a page of another host cannot take its name to reach this one
        app.add_middleware(TrustedHostMiddleware,
                           allowed_hosts=["localhost", "127.0.0.1", "[::1]", host])

    app.add_middleware(_AddPolicy)
    gr.mount_gradio_app(
        app, page, path="/", auth=login, auth_message=_LOGIN if login else None,
        allowed_paths=[str(allowed.resolve())], footer_links=[], run_history=False, ssr_mode=False,
        pwa=False, mcp_server=False, enable_monitoring=False, max_file_size=_LARGEST_UPLOAD,
        # Gradio's own grey of help and notes is too light to be read with ease.
        theme=gr.themes.Default(font=_FONT, font_mono=_MONO).set(
            body_text_color_subdued="*neutral_500", block_info_text_color="*neutral_500"),
        css_paths=Path(__file__).with_name("page.css"),
    )
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [opened]}, daemon=True)
    thread.start()
    while thread.is_alive() and not server.started:  # until then connections are refused
        thread.join(0.05)
    name, port = opened.getsockname()[:2]
    try:
        yield f"http://{f'[{name}]' if ':' in name else name}:{port}/"
    finally:
        server.should_exit = True
        thread.join()
