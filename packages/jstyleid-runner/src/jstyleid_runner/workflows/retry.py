"""`jstyleid retry`: jobs that were set aside, tried again."""

from pathlib import Path

from jstyleid_runner.scheduling.ledger import Ledger, read_entries
from jstyleid_runner.storage.layout import OutFolder
from jstyleid_runner.storage.lock import folder_lock


def retry_jobs(out: Path) -> list[str]:
    """Let the jobs of a run that were set aside be tried again, by the next run.

    Args:
        out: folder of the run.

    Returns:
        Lines for the user: each job with its error, and what to do next.

    Raises:
        InputError: there is no ledger, or a run is at work.
    """
    folder = OutFolder(out)
    errors = {entry.id: entry.error for entry in read_entries(folder.ledger)}
    with folder_lock(folder), Ledger(folder.ledger) as ledger:
        ids = ledger.retry()
    lines = [f"{id}: {errors[id]}" if errors[id] else id for id in ids]
    if not ids:
        return ["no job was set aside"]
    return [*lines, f"to be tried again: {len(ids)}; give the same `jstyleid run` command for "
            f"{out}"]
