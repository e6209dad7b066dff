"""The pages that a run leaves: its pictures to look at, and who did what when."""

from jstyleid_runner.planning.plan import Plan
from jstyleid_runner.reports.pages.gallery import gallery_of, write_gallery
from jstyleid_runner.reports.pages.timeline import write_timeline
from jstyleid_runner.reports.progress import Reporter
from jstyleid_runner.scheduling.ledger import read_entries
from jstyleid_runner.settings import RunSettings
from jstyleid_runner.storage.layout import OutFolder
from jstyleid_runner.tally import Tally


def write_pages(
    plan: Plan, settings: RunSettings, folder: OutFolder, reporter: Reporter, tally: Tally
) -> None:
    """Write `gallery.html` and `timeline.html`, unless no picture has come since.

    Raises:
        OutputError: one cannot be written.
    """
    # Only after a run that did nothing do the files' times decide: somebody may set the clock.
    if not tally.begun and _is_current(plan, folder):
        return
    facts = {
        "method": settings.method,
        "seed": str(settings.seed),
        "size": f"{settings.size[0]} x {settings.size[1]}",
    }
    title = f"Split {settings.split}"
    write_timeline(folder.timeline, read_entries(folder.ledger), title=title)
    write_gallery(
        folder.gallery,
        gallery_of(plan, folder),
        title=title,
        facts=facts,
        on_progress=lambda done, total: reporter.preparing("writing the gallery", done, total),
    )


def _is_current(plan: Plan, folder: OutFolder) -> bool:
    if not folder.gallery.exists():
        return False
    written = folder.gallery.stat().st_mtime_ns
    pictures = (
        folder.picture(draw.style, draw.prompt) for style in plan.styles for draw in style.draws
    )
    return all(path.exists() and path.stat().st_mtime_ns < written for path in pictures)
