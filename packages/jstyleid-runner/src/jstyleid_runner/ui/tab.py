"""What the tabs of Transfer and Generate share: start, cancel, progress and the gallery."""

from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Any

import gradio as gr

from jstyleid_runner.ui import views
from jstyleid_runner.ui.jobs import UNFINISHED, Job, JobQueue
from jstyleid_runner.ui.results import Results

_EVERY = 0.5
"""Seconds between two looks at the queue."""


class JobTab:
    """Buttons, progress and gallery of one kind of job, made here in the page.

    A page that is opened anew, or a second one, shows the same jobs and the same pictures.
    """

    def __init__(self, kind: str, start: str, queue: JobQueue, results: Results) -> None:
        self._kind, self._queue, self._results = kind, queue, results
        with gr.Row():
            self._start = gr.Button(start, variant="primary", elem_id=f"{kind}-start")
            self._cancel = gr.Button("Cancel", elem_id=f"{kind}-cancel")
        self._status = gr.HTML(elem_id=f"{kind}-status")
        self._gallery = gr.Gallery(label="Results, the newest first", columns=4, height="auto",
                                   object_fit="contain", elem_id=f"{kind}-gallery")
        self._mine = gr.State([])
        # Kept by the browser: a reload empties it, and leaves a `gr.State` as it was.
        self._seen = gr.Textbox("", visible="hidden")

    def connect(
        self, page: gr.Blocks, submit: Callable[..., Job], inputs: Sequence[Any]
    ) -> None:
        """Connect the buttons.

        Args:
            page: the page, whose loading shows what is there.
            submit: adds a job from the values of `inputs`.
            inputs: components.
        """

        def start(mine: list[int], *values: Any) -> Any:
            return [*mine, submit(*values).number]

        def adopt() -> Any:
            return [job.number for job in self._queue.jobs(self._kind) if job.state in UNFINISHED]

        hidden: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
        self._start.click(start, [self._mine, *inputs], self._mine, **hidden)
        self._cancel.click(self._queue.cancel, self._mine, None, **hidden)
        page.load(adopt, None, self._mine, **hidden)
        gr.Timer(_EVERY).tick(self._look, self._seen, [self._status, self._gallery, self._seen],
                              queue=False, **hidden)

    def _look(self, seen: str) -> Any:
        """The jobs and pictures, where they have changed since the last look.

        Args:
            seen: version of the queue and digest of the pictures that the page shows.
        """
        version, _, shown = seen.partition(" ")
        now = str(self._queue.version)
        if version == now:
            return gr.skip(), gr.skip(), gr.skip()
        found = self._results.pictures(self._kind)
        digest = sha256("\n".join(map(str, found)).encode(errors="replace")).hexdigest()
        pictures = gr.skip() if digest == shown else [
            (str(path), f"{path.parent.name}/{path.name}") for path in found]
        return views.job_list(self._queue.jobs(self._kind)), pictures, f"{now} {digest}"
