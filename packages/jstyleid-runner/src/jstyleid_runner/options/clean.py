"""The options of `jstyleid clean`, and the files that each of them means."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from jstyleid_core.errors import OutputError
from jstyleid_core.files import is_leftover
from jstyleid_runner.storage.layout import OutFolder


@dataclass(frozen=True)
class Removable:
    """Files of one kind.

    Attributes:
        what: description shown to the user.
        files: the files.
        option: option that chooses the files; None where they are always chosen.
        chosen: whether the files are to be removed.
    """

    what: str
    files: tuple[Path, ...]
    option: str | None = None
    chosen: bool = True

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


@dataclass(frozen=True, kw_only=True)
class CleanOptions:
    """The files to remove, besides those that are always removed."""

    contents: Annotated[
        bool, typer.Option("--contents", help="The pictures before they were stylised too.")
    ] = False
    loras: Annotated[
        bool,
        typer.Option(
            "--loras",
            help="The checkpoints of trainings too; a training that was stopped begins anew. LoRAs "
            "that are finished stay.",
        ),
    ] = False
    class_images: Annotated[
        bool, typer.Option("--class-images", help="The class images of the trainings too.")
    ] = False

    def find_removable(self, folder: OutFolder) -> list[Removable]:
        """All kinds of removable files, also those without files; never results or the ledger.

        No run may be writing to the folder.
        """
        from jstyleid_runner.planning.class_images import class_folder

        hidden = folder.hidden
        checkpoints = [path for path in _below(hidden / "loras")
                       if path.parent.name == "checkpoints"]
        return [
            Removable("files a stopped run was writing", tuple(_leftovers(folder))),
            Removable("inverted styles", tuple(_whole(_below(hidden / "styles")))),
            Removable("pictures before they were stylised",
                      tuple(_whole(_below(hidden / "contents"))), "--contents", self.contents),
            Removable("checkpoints of trainings", tuple(_whole(checkpoints)),
                      "--loras", self.loras),
            Removable("class images", tuple(_whole(_below(class_folder(folder)))),
                      "--class-images", self.class_images),
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
