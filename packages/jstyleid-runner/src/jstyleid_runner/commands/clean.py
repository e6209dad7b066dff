"""`jstyleid clean`: remove files that a run does not need any more, and can make again."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from jstyleid_runner.options.clean import CleanOptions, Removable
from jstyleid_runner.options.common import RunFolderArgument
from jstyleid_runner.options.sources import with_options


@with_options
def clean(
    out: RunFolderArgument,
    options: CleanOptions,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Remove what a run left, after showing it: what a stopped run was writing, inverted styles.

    Pictures and the ledger stay. What is removed is made again if a later run needs it.
    """
    from jstyleid_runner.storage.layout import OutFolder
    from jstyleid_runner.storage.lock import folder_lock

    folder = OutFolder(out)
    _require_run(folder.hidden, [folder.record, folder.ledger])
    with folder_lock(folder):
        found = options.find_removable(folder)
        going = [kind for kind in found if kind.files and kind.chosen]
        for kind in found:
            print(_line(kind, going))
        if not going:
            print("nothing to remove")
            return
        if not yes and not _agreed(going):
            print("nothing was removed")
            return
        size = sum(kind.size for kind in going)
        for kind in going:
            kind.remove()
    print(f"removed {_size_text(size)}")


def _require_run(hidden: Path, signs: Sequence[Path]) -> None:
    from jstyleid_core.errors import InputError

    if not any(sign.is_file() for sign in signs):
        raise InputError(
            f"{hidden}: no run there. Give the folder of a run, as --out named it."
        )


def _line(kind: Removable, going: Sequence[Removable]) -> str:
    if not kind.files:
        fate = "none"
    elif kind in going:
        fate = "to be removed"
    else:
        fate = f"stays without {kind.option}"
    return f"{_size_text(kind.size):>10}  {kind.what} ({_count(kind.files)}): {fate}"


def _agreed(going: Sequence[Removable]) -> bool:
    from jstyleid_core.errors import InputError

    count = _count([file for kind in going for file in kind.files])
    try:
        return input(f"remove {count}? [y/N] ").strip().lower() in ("y", "yes")
    except EOFError as error:
        raise InputError("nobody is there to be asked. Give --yes to remove them.") from error


def _count(files: Sequence[Path]) -> str:
    return "1 file" if len(files) == 1 else f"{len(files)} files"


def _size_text(size: float) -> str:
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"
