"""The tab Transfer: a content picture in the look of others."""

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

import gradio as gr
import typer

from jstyleid_core import StyleIDSettings
from jstyleid_core.errors import InputError
from jstyleid_core.styleid.strengths import STRENGTHS
from jstyleid_runner.options.config_file import command_named
from jstyleid_runner.options.presets import TransferPreset
from jstyleid_runner.options.sources import parse_words
from jstyleid_runner.options.styleid import StyleIDOptions
from jstyleid_runner.options.to_settings import parse_size, styleid_settings
from jstyleid_runner.planning.limits import Wanted
from jstyleid_runner.storage.layout import FolderPath
from jstyleid_runner.ui import views
from jstyleid_runner.ui.forms import Form
from jstyleid_runner.ui.jobs import Job, JobDisplay, JobQueue, Work
from jstyleid_runner.ui.results import Results, keep_input
from jstyleid_runner.ui.session import ModelSession
from jstyleid_runner.ui.tab import JobTab
from jstyleid_runner.workflows.model import source_of
from jstyleid_runner.workflows.transfer import TransferJob, run_transfers

KIND = "transfer"
_MAIN = ("gamma", "temperature", "layers")
_MORE = (("rule", "start_latents", "inversion"), ("style_factor", "gate", "moments"),
         ("colour_match", "together", "injection", "seed"))


class TransferPage:
    """The tab, and the jobs it makes.

    Args:
        context: context of the program, whose command `transfer` has the options.
        queue: queue of the jobs.
        session: the model.
        results: folder of the results.
    """

    def __init__(
        self, context: typer.Context, queue: JobQueue, session: ModelSession, results: Results
    ) -> None:
        self._context, self._queue = context, queue
        self._session, self._results = session, results
        self.form = Form(command_named(context, KIND), StyleIDSettings)

    def build(self, page: gr.Blocks, model: gr.Textbox) -> None:
        """Make the components here in the page."""
        form = self.form
        with gr.Row():
            with gr.Column():
                content = _upload("Content", "content", "single")
            with gr.Column():
                styles = _upload("Styles, one or several", "styles", "multiple")
        with gr.Row():
            preset = gr.Dropdown(list(get_args(TransferPreset)), value="reference",
                                 label="preset", info="Fills in the options.")
            form.add("steps", "size")
        with gr.Row():
            form.add(*_MAIN)
        with gr.Accordion("More options", open=False):
            for names in _MORE:
                with gr.Row():
                    form.add(*names)
            with gr.Row():
                form.add_parts(*STRENGTHS)
            mask = _upload("Mask", "mask", "single")
        preset.input(form.preset, preset, form.components, show_progress="hidden",
                     api_visibility="private")
        tab = JobTab(KIND, "Transfer", self._queue, self._results)
        tab.connect(page, self.submit, [model, content, styles, mask, *form.components])

    def submit(
        self, model: str, content: str | None, styles: list[str] | None, mask: str | None,
        *values: Any,
    ) -> Job:
        """Add a job.

        Args:
            model: checkpoint; empty for the command line's.
            content: uploaded file.
            styles: uploaded files.
            mask: uploaded file.
            values: values of the form's components.
        """
        looks = ", ".join(Path(style).name for style in styles or ())
        title = f"{Path(content).name if content else '?'} as {looks or '?'}"
        return self._queue.submit(KIND, title, lambda: self._work(
            model, content, styles or [], mask, self.form.words(values)))

    def _work(
        self, model: str, content: str | None, styles: Sequence[str], mask: str | None,
        words: list[str],
    ) -> Work:
        """Check the input and keep it.

        Raises:
            InputError: something cannot be used.
        """
        if content is None or not styles:
            missing = "content picture" if content is None else "style"
            raise InputError(f"no {missing} is given. Drop a file into its field.")
        options = parse_words(self._context, KIND, words)
        # A repeatable option that was not given has no values here, and is None for a command.
        chosen = StyleIDOptions(**{field.name: options[field.name]
                                   for field in fields(StyleIDOptions)
                                   if options[field.name] not in ([], ())})
        settings = styleid_settings(chosen, options["seed"])
        size = parse_size(options["size"])
        of_model = self._session.options(model)
        source = source_of(of_model)
        with self._results.new_folder(KIND) as folder:
            job = TransferJob.create(
                content=keep_input(Path(content), folder, "content"),
                styles=[keep_input(Path(style), folder, f"style-{number}")
                        for number, style in enumerate(styles, 1)],
                out=FolderPath(folder),
                size=size,
                together=options["together"],
                mask=keep_input(Path(mask), folder, "mask") if mask else None,
                settings=settings,
                save_style=None,
                load_style=None,
                source=source,
                recorded={"model": source.name, **source.others, "dtype": of_model.dtype,
                          "backend": of_model.backend, "seed": options["seed"]},
            )

        def work(display: JobDisplay) -> None:
            loaded = self._session.model(of_model, Wanted(size, styleid=settings), display)
            run_transfers([job], loaded, display, self._session.previews(loaded, display))

        return work


def _upload(label: str, name: str, count: Any) -> gr.File:
    """A field for pictures, with small copies of them below."""
    field = gr.File(label=label, file_count=count, elem_id=f"{KIND}-{name}", height=120)
    shown = gr.HTML(elem_id=f"{KIND}-{name}-shown")

    def show(files: str | list[str] | None) -> str:
        return views.uploads([files] if isinstance(files, str) else files or [])

    field.change(show, field, shown, show_progress="hidden", api_visibility="private")
    return field
