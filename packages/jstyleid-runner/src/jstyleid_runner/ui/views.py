"""The pieces of HTML that the page shows. Names and messages are foreign: all of it is escaped."""

import base64
import io
from collections.abc import Sequence
from pathlib import Path

from markupsafe import Markup
from PIL import Image

from jstyleid_core.errors import InputError
from jstyleid_core.image_files import open_image
from jstyleid_runner.reports.progress import clock_text
from jstyleid_runner.ui.jobs import UNFINISHED, Job

_SIDE = 256
_FINISHED = 3
"""Jobs that ended and are still listed."""


def picture(image: Image.Image, alt: str) -> Markup:
    """A small copy of a picture, inside the page."""
    small = image.copy()
    small.thumbnail((_SIDE, _SIDE))
    data = io.BytesIO()
    small.save(data, "WEBP", quality=80)
    return Markup('<img src="data:image/webp;base64,{}" alt="{}">').format(
        base64.b64encode(data.getvalue()).decode("ascii"), alt)


def uploads(files: Sequence[str]) -> Markup:
    """Small copies of uploaded pictures; the message for those that cannot be read."""
    parts: list[Markup] = []
    for file in map(Path, files):
        try:
            parts.append(picture(open_image(file), file.name))
        except InputError as error:
            parts.append(alert(f"error: {error}".replace(str(file), file.name)))
    return Markup('<div class="uploads">{}</div>').format(Markup("").join(parts))


def alert(message: str) -> Markup:
    """The message of an error."""
    return Markup('<p class="alert" role="alert">{}</p>').format(message) if message else Markup("")


def note(message: str) -> Markup:
    """A sentence for the user."""
    return Markup('<p class="note">{}</p>').format(message)


def job_list(jobs: Sequence[Job]) -> Markup:
    """The jobs that are not finished, and the last ones that are; newest first."""
    ended = [job for job in jobs if job.state not in UNFINISHED][:_FINISHED]
    listed = [job for job in jobs if job.state in UNFINISHED or job in ended]
    if not listed:
        return note("No job yet.")
    return Markup('<ol class="jobs" aria-live="polite">{}</ol>').format(
        Markup("").join(_job(job) for job in listed))


def _job(job: Job) -> Markup:
    more = Markup("")
    if job.state == "running":
        done, total = job.stage
        more = Markup('<progress max="{}" value="{}"></progress><p>{}</p>').format(
            max(job.meter.evaluations, 1), job.meter.evaluated,
            f"{job.message} {done}/{total}{_left(job)}")
        if job.preview is not None:
            more += picture(job.preview, "preview")
    elif job.state == "failed":
        more = alert(job.message)
    if job.results:
        more += Markup("<p><code>{}</code></p>").format(", ".join(map(str, job.results)))
    return Markup('<li class="{}"><b>#{} {}</b> <span>{}</span>{}</li>').format(
        job.state, job.number, job.title, "stopping" if job.cancelled and job.state == "running"
        else job.state, more)


def _left(job: Job) -> str:
    left = job.meter.left
    return "" if left is None else f", about {clock_text(left)} left"


def table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> Markup:
    """A table; numbers to four digits, and a dash for None."""
    head = Markup("").join(Markup("<th>{}</th>").format(each) for each in heads)
    body = Markup("").join(
        Markup("<tr>{}</tr>").format(Markup("").join(
            Markup("<td>{}</td>").format(_cell(cell)) for cell in row)) for row in rows)
    return Markup('<div class="wide"><table><thead><tr>{}</tr></thead><tbody>{}</tbody></table>'
                  "</div>").format(head, body)


def _cell(value: object) -> str:
    if value is None:
        return "–"
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def page_in_frame(text: str, title: str) -> Markup:
    """A page that loads nothing, as a frame that may run its own script only."""
    return Markup('<iframe class="page" sandbox="allow-scripts" title="{}" srcdoc="{}"></iframe>'
                  ).format(title, text)
