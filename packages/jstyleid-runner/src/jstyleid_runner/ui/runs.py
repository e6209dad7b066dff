"""The tab Runs: a run's progress, gallery and timeline, read without changing a byte."""

import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import gradio as gr
from markupsafe import Markup

from jstyleid_core.errors import InputError, JStyleIDError
from jstyleid_core.notes import shown
from jstyleid_runner.reports.pages.timeline import write_timeline
from jstyleid_runner.reports.progress import clock_text
from jstyleid_runner.reports.status import RunStatus, run_status
from jstyleid_runner.scheduling.ledger import read_entries, read_time
from jstyleid_runner.scheduling.task import State
from jstyleid_runner.storage.layout import OutFolder
from jstyleid_runner.ui import views
from jstyleid_runner.workflows.retry import retry_jobs

_DEPTH = 3
"""Folders of runs are looked for so far below the root."""
_EVERY = 2.0
"""Seconds between two looks at the ledger."""
_STATES = (State.DONE, State.RUNNING, State.WAITING, State.QUARANTINED)
_TROUBLES = 20
_LARGEST_PAGE = 40_000_000
"""Bytes of a gallery that is shown; a gallery has at most about 24 million."""


class RunsPage:
    """The tab.

    Args:
        root: folder below which the folders of runs are.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def build(self, page: gr.Blocks) -> None:
        """Make the components here in the page."""
        with gr.Row(equal_height=True):
            chosen = gr.Dropdown([], label="run", elem_id="runs-chosen", scale=4,
                                 info=f"--runs {self._root}: the newest first.")
            refresh = gr.Button("Look again", scale=1)
        status = gr.HTML(elem_id="runs-status")
        with gr.Row():
            retry = gr.Button("Retry what was set aside", elem_id="runs-retry")
            gallery = gr.Button("Gallery", elem_id="runs-gallery")
            timeline = gr.Button("Timeline", elem_id="runs-timeline")
        answer = gr.HTML(elem_id="runs-answer")
        hidden: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
        page.load(self._choices, None, chosen, **hidden)
        refresh.click(self._choices, None, chosen, **hidden)
        chosen.change(self.status, chosen, status, **hidden)
        gr.Timer(_EVERY).tick(self.status, chosen, status, queue=False, **hidden)
        for button, action in ((retry, self.retry), (gallery, self.gallery),
                               (timeline, self.timeline)):
            button.click(action, chosen, answer, **hidden)

    def runs(self) -> list[str]:
        """The folders of runs, relative to the root, the newest first."""
        found: list[tuple[float, str]] = []
        for place, folders, _ in os.walk(self._root):
            folder = Path(place)
            ledger = OutFolder(folder).ledger
            if ledger.is_file():
                found.append((ledger.stat().st_mtime, str(folder.relative_to(self._root))))
            if len(folder.relative_to(self._root).parts) >= _DEPTH:
                folders.clear()
            folders[:] = [name for name in folders if not name.startswith(".")]
        return [name for _, name in sorted(found, reverse=True)]

    def status(self, chosen: str | None) -> str:
        """The state of a run."""
        if not chosen:
            return views.note("No run is chosen.")
        try:
            folder = self._folder(chosen)
            found = run_status(folder, read_time(folder.ledger))
        except JStyleIDError as error:
            return views.alert(shown(f"error: {error}"))
        return _status(found)

    def retry(self, chosen: str | None) -> str:
        """The answer of `jstyleid retry`."""
        try:
            lines = retry_jobs(self._folder(chosen).root)
        except JStyleIDError as error:
            return views.alert(shown(f"error: {error}"))
        return Markup("").join(views.note(line) for line in lines)

    def gallery(self, chosen: str | None) -> str:
        """The gallery page of a run."""
        try:
            page = self._folder(chosen).gallery
            if not page.is_file():
                raise InputError(f"{page}: not there yet. A run writes it at its end.")
            if page.stat().st_size > _LARGEST_PAGE:
                raise InputError(f"{page}: too large to be shown here. Open the file itself.")
            text = page.read_text(encoding="utf-8", errors="replace")
        except JStyleIDError as error:
            return views.alert(shown(f"error: {error}"))
        return views.page_in_frame(text, "gallery")

    def timeline(self, chosen: str | None) -> str:
        """The timeline page of a run, as its ledger is now."""
        try:
            folder = self._folder(chosen)
            with TemporaryDirectory(prefix="jstyleid-ui-") as place:
                page = Path(place) / "timeline.html"
                write_timeline(page, read_entries(folder.ledger), title=f"Timeline of {chosen}",
                               now=read_time(folder.ledger))
                text = page.read_text(encoding="utf-8")
        except JStyleIDError as error:
            return views.alert(shown(f"error: {error}"))
        return views.page_in_frame(text, "timeline")

    def _choices(self) -> Any:
        names = self.runs()
        return gr.update(choices=names)

    def _folder(self, chosen: str | None) -> OutFolder:
        """The folder of a run.

        Raises:
            InputError: none is chosen, or it is none below the root.
        """
        if not chosen:
            raise InputError("no run is chosen. Choose one from the list.")
        if chosen not in self.runs():
            raise InputError(f"{chosen}: no folder of a run below {self._root}. Look again.")
        return OutFolder(self._root / chosen)


def _status(status: RunStatus) -> Markup:
    rows = [(stage.stage, *(stage.states[state] for state in _STATES),
             None if stage.rate is None else f"{stage.rate:.3g}")
            for stage in (*status.stages, status.whole)]
    total = sum(status.whole.states.values())
    done = status.whole.states[State.DONE]
    at_work = f"a run is at work, process {status.process}" if status.process else (
        "no run is at work")
    left = f", about {clock_text(status.seconds_left)} left" if status.seconds_left else ""
    parts = [
        Markup('<div class="jobs"><progress max="{}" value="{}"></progress></div>').format(
            max(total, 1), done),
        views.note(f"{done} of {total} jobs done; {at_work}{left}"),
        views.table(("stage", "done", "running", "waiting", "set aside", "s/evaluation"), rows),
    ]
    for trouble in status.troubles[:_TROUBLES]:
        what = "set aside" if trouble.set_aside else "to be tried again"
        parts.append(views.alert(
            shown(f"{trouble.job}: {what}, attempt {trouble.attempts}: {trouble.error}")))
    return Markup("").join(parts)
