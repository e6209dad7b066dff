"""`jstyleid clean`: remove files that a run does not need any more, and can make again."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from jstyleid_core.errors import OutputError
from jstyleid_core.files import is_leftover
from jstyleid_runner.options import common as options
from jstyleid_runner.storage.layout import OutFolder


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


@dataclass(frozen=True)
class Removable:
    """Files of one kind.

    Attributes:
        option: option that chooses the files; None where they are always chosen.
        what: description shown to the user.
    """

    option: str | None
    what: str
    files: tuple[Path, ...]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.lstat().st_size for file in self.files)

    def remove(self) -> None:
        """Remove the files.

        Raises:
            OutputError: one cannot be removed.
        """
        for file in self.files:
            try:
                file.unlink(missing_ok=True)
            except OSError as error:
                raise OutputError(
                    f"cannot remove {file}: {error.strerror}. Check its folder's permissions."
                ) from error


def find_removable(folder: OutFolder) -> list[Removable]:
    """All kinds of removable files, also those without files; never results, never the ledger.

    No run may be writing to the folder.
    """
    hidden = folder.hidden
    checkpoints = [path for path in _below(hidden / "loras") if path.parent.name == "checkpoints"]
    return [
        Removable(None, "files a stopped run was writing", tuple(_leftovers(folder))),
        Removable(None, "inverted styles", tuple(_whole(_below(hidden / "styles")))),
        Removable("--contents", "pictures before they were stylised",
                  tuple(_whole(_below(hidden / "contents")))),
        Removable("--loras", "checkpoints of trainings", tuple(_whole(checkpoints))),
        Removable("--class-images", "class images", tuple(_whole(_below(folder.class_images)))),
    ]


def _leftovers(folder: OutFolder) -> Iterator[Path]:
    styles = [path for path in sorted(folder.root.iterdir())
              if path.is_dir() and path != folder.hidden]
    beside_pictures = [path for place in (folder.root, *styles) for path in sorted(place.iterdir())
                       if path.is_file()]
    for path in (*beside_pictures, *_below(folder.hidden)):
        if is_leftover(path):
            yield path


def _whole(files: list[Path]) -> Iterator[Path]:
    return (file for file in files if not is_leftover(file))


def _below(folder: Path) -> list[Path]:
    """All files below a folder."""
    return sorted(Path(place) / name for place, _, names in os.walk(folder) for name in names)
