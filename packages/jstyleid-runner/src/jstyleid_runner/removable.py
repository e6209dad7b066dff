"""What a run's folder holds that can be removed: it is made again when it is needed."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from jstyleid_core.errors import OutputError
from jstyleid_core.files import is_leftover
from jstyleid_runner.storage.layout import OutFolder


@dataclass(frozen=True)
class Removable:
    """Files of one kind.

    Attributes:
        option: that chooses it; None where it is always chosen.
        what: it is, for people.
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
    """All kinds, also those there is nothing of; never pictures asked for, never the ledger.

    Nobody may be writing to the folder.
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
    """All files in a folder and the folders in it."""
    return sorted(Path(place) / name for place, _, names in os.walk(folder) for name in names)
