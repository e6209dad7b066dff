"""`jstyleid clean`: remove what a run does not need any more."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jstyleid_runner.options import common as options

if TYPE_CHECKING:
    from jstyleid_runner.removable import Removable


def clean(
    out: options.RunFolderArgument,
    contents: Annotated[
        bool, typer.Option("--contents", help="The pictures before they were stylised too.")
    ] = False,
    loras: Annotated[
        bool,
        typer.Option(
            "--loras",
            help="The checkpoints of trainings too; a training that was stopped begins anew. LoRAs "
            "that are finished stay.",
        ),
    ] = False,
    class_images: Annotated[
        bool, typer.Option("--class-images", help="The class images of the trainings too.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Remove what a run left, after showing it: what a stopped run was writing, inverted styles.

    Pictures and the ledger stay. What is removed is made again if a later run needs it.
    """
    from jstyleid_runner.removable import find_removable
    from jstyleid_runner.storage.layout import OutFolder
    from jstyleid_runner.storage.lock import folder_lock

    chosen = {"--contents": contents, "--loras": loras, "--class-images": class_images}
    folder = OutFolder(out)
    _require_run(folder.hidden, [folder.record, folder.ledger])
    with folder_lock(folder.lock):
        found = find_removable(folder)
        going = [kind for kind in found
                 if kind.files and (kind.option is None or chosen[kind.option])]
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


def _line(kind: "Removable", going: "Sequence[Removable]") -> str:
    if not kind.files:
        fate = "none"
    elif kind in going:
        fate = "to be removed"
    else:
        fate = f"stays without {kind.option}"
    return f"{_size_text(kind.size):>10}  {kind.what} ({_count(kind.files)}): {fate}"


def _agreed(going: "Sequence[Removable]") -> bool:
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
