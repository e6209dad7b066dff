"""A folder that is worked in on one machine and belongs to another: changes are brought back."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from jstyleid_core.files import write_whole


def files_below(folder: Path) -> Iterator[Path]:
    """The files of a folder by their paths in it; not what is still being written there."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.name.startswith("."):
            yield path.relative_to(folder)


class Mirrored:
    """The folder where it is worked in.

    Args:
        path: where it belongs.
        place: where it is, with all that was there when the work began.
    """

    def __init__(self, path: Path, place: Path) -> None:
        self.path, self._place = path, place
        self._known = self._stamps()

    def changes(self) -> tuple[dict[Path, bytes], tuple[Path, ...]]:
        """The files that are new or changed since the last time, and those that are gone."""
        before, self._known = self._known, self._stamps()
        changed = {path: (self._place / path).read_bytes()
                   for path, stamp in self._known.items() if before.get(path) != stamp}
        return changed, tuple(path for path in before if path not in self._known)

    def _stamps(self) -> dict[Path, tuple[int, int]]:
        found = {}
        for path in files_below(self._place):
            # A training removes old checkpoints after new ones are there.
            if (self._place / path).exists():
                status = (self._place / path).stat()
                found[path] = (status.st_size, status.st_mtime_ns)
        return found


def bring_back(folder: Path, changed: Mapping[Path, bytes], gone: Iterable[Path]) -> None:
    """Let a folder be as the mirrored one, each file whole or not at all.

    Raises:
        OutputError: a file cannot be written.
    """
    for path, content in changed.items():
        write_whole(folder / path, content)
    for path in gone:
        (folder / path).unlink(missing_ok=True)
