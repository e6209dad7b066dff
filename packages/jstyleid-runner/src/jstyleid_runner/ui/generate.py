"""The tab Generate: a picture from a text."""

from pathlib import Path
from typing import Any

import gradio as gr
import typer

from jstyleid_core.errors import InputError
from jstyleid_runner.options.config_file import command_named
from jstyleid_runner.options.sources import parse_words
from jstyleid_runner.options.to_settings import parse_size
from jstyleid_runner.planning.limits import Wanted
from jstyleid_runner.settings import RunSettings
from jstyleid_runner.storage.layout import FolderPath, picture_target
from jstyleid_runner.ui.forms import Form
from jstyleid_runner.ui.jobs import Job, JobDisplay, JobQueue, Work
from jstyleid_runner.ui.results import Results, keep_input
from jstyleid_runner.ui.session import ModelSession
from jstyleid_runner.ui.tab import JobTab
from jstyleid_runner.workflows.generate import Drawing, draw, read_loras
from jstyleid_runner.workflows.model import source_of

KIND = "generate"


class GeneratePage:
    """The tab, and the jobs it makes.

    Args:
        context: context of the program, whose command `generate` has the options.
        queue: queue of the jobs.
        session: the model.
        results: folder of the results.
    """

    def __init__(
        self, context: typer.Context, queue: JobQueue, session: ModelSession, results: Results
    ) -> None:
        self._context, self._queue = context, queue
        self._session, self._results = session, results
        self.form = Form(command_named(context, KIND), RunSettings)

    def build(self, page: gr.Blocks, model: gr.Textbox) -> None:
        """Make the components here in the page."""
        prompt = gr.Textbox(label="prompt", elem_id=f"{KIND}-prompt", info="What to draw.")
        self.form.add("negative")
        with gr.Row():
            self.form.add("seed", "steps")
        with gr.Row():
            self.form.add("guidance", "size")
        with gr.Accordion("LoRA", open=False):
            lora = gr.File(label="A LoRA file of diffusers, PEFT or kohya",
                           elem_id=f"{KIND}-lora", height=120)
            weight = gr.Number(1.0, label="weight", info="1 is the LoRA as it was trained.")
        tab = JobTab(KIND, "Generate", self._queue, self._results)
        tab.connect(page, self.submit, [model, prompt, lora, weight, *self.form.components])

    def submit(
        self, model: str, prompt: str, lora: str | None, weight: float | None, *values: Any
    ) -> Job:
        """Add a job.

        Args:
            model: checkpoint; empty for the command line's.
            prompt: text of the picture.
            lora: uploaded file.
            weight: weight of the LoRA.
            values: values of the form's components.
        """
        return self._queue.submit(KIND, prompt or "?", lambda: self._work(
            model, prompt, lora, weight, self.form.words(values)))

    def _work(
        self, model: str, prompt: str, lora: str | None, weight: float | None, words: list[str]
    ) -> Work:
        """Check the input and keep it.

        Raises:
            InputError: something cannot be used.
        """
        if not prompt.strip():
            raise InputError("nothing to draw. Give a prompt.")
        options = parse_words(self._context, KIND, words)
        drawing = Drawing(prompt, options["negative"], options["seed"], options["steps"],
                          options["guidance"], parse_size(options["size"]))
        of_model = self._session.options(model)
        source = source_of(of_model)
        with self._results.new_folder(KIND) as folder:
            target = picture_target(FolderPath(folder), prompt)
            names = [f"{keep_input(Path(lora), folder, 'lora')}:{1.0 if weight is None else weight}"
                     ] if lora else []
            loras = read_loras(names, "--lora")
        recorded = {"dtype": of_model.dtype, "backend": of_model.backend}

        def work(display: JobDisplay) -> None:
            wanted = Wanted(drawing.size, {"steps": drawing.steps},
                            loras=[each.weights for each in loras])
            loaded = self._session.model(of_model, wanted, display)
            draw(drawing, target, loras, loaded, source, recorded, display,
                 self._session.previews(loaded, display))

        return work
