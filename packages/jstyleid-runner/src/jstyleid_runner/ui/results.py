"""The files of the page: a numbered folder for each job, with its inputs and its pictures."""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jstyleid_core.errors import InputError
from jstyleid_core.files import atomic_path, is_leftover
from jstyleid_runner.storage.layout import CONTACT_SHEET, SUFFIX, require_writable

_SHOWN = 60
"""Pictures that a tab shows; older ones are on the disk."""
_INPUTS = "inputs"


class Results:
    """The folder that all jobs write into.

    Args:
        root: the folder; it is made if it is not there.

    Raises:
        OutputError: it cannot be written to.
    """

    def __init__(self, root: Path) -> None:
        require_writable(root)
        self.root = root

    @contextmanager
    def new_folder(self, kind: str) -> Iterator[Path]:
        """A new folder for a job; it is removed if the block fails.

        Raises:
            InputError: that of the block, which names an input by the name it was uploaded with.
        """
        folder = self._claim(kind)
        try:
            yield folder
        except InputError as error:
            shutil.rmtree(folder)
            named = re.sub(f"{re.escape(str(folder / _INPUTS))}/[^/]+/", "", str(error))
            raise InputError(named, fields=error.fields) from error
        except BaseException:
            shutil.rmtree(folder)
            raise

    def _claim(self, kind: str) -> Path:
        numbers = [int(path.name.partition("-")[0]) for path in self.root.glob("[0-9]*-*")
                   if path.name.partition("-")[0].isdecimal()]
        number = max(numbers, default=0) + 1
        while True:
            folder = self.root / f"{number:04}-{kind}"
            try:
                folder.mkdir()
            except FileExistsError:  # another job's
                number += 1
            else:
                return folder

    def pictures(self, kind: str) -> list[Path]:
        """The pictures of a tab's jobs, those of the newest job first."""
        folders = sorted(self.root.glob(f"[0-9]*-{kind}"), reverse=True)
        found = [path for folder in folders for path in sorted(
                     folder.glob(f"*{SUFFIX}"), key=lambda path: (path.stem == CONTACT_SHEET, path))
                 if not is_leftover(path)]
        return found[:_SHOWN]


def keep_input(upload: Path, folder: Path, name: str) -> Path:
    """Copy an uploaded file into a job's folder, where `jstyleid again` finds it.

    Args:
        upload: file that the server holds for a while.
        folder: folder of the job.
        name: folder of this input among the inputs, so that equal names do not meet.
    """
    kept = folder / _INPUTS / name / upload.name
    with atomic_path(kept) as temporary:
        shutil.copyfile(upload, temporary)
    return kept
