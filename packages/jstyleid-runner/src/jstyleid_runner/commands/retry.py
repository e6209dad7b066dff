"""`jstyleid retry`: another chance for jobs that failed too often."""

from jstyleid_runner.options import common as options


def retry(out: options.RunFolderArgument) -> None:
    """Let the jobs of a run that were set aside be tried again, by the next run."""
    from jstyleid_runner.scheduling.ledger import Ledger, read_entries
    from jstyleid_runner.storage.layout import OutFolder
    from jstyleid_runner.storage.lock import folder_lock

    folder = OutFolder(out)
    errors = {entry.id: entry.error for entry in read_entries(folder.ledger)}
    with folder_lock(folder.lock), Ledger(folder.ledger) as ledger:
        ids = ledger.retry()
    for id in ids:
        print(f"{id}: {errors[id]}" if errors[id] else id)
    if ids:
        print(f"to be tried again: {len(ids)}; give the same `jstyleid run` command for {out}")
    else:
        print("no job was set aside")
