"""Which files of a style lie where, before any of them is opened."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from jdiff_checker.reading.folders import REFERENCES, entries
from jdiff_checker.reading.pictures import is_image_name


@dataclass(frozen=True)
class FolderFiles:
    """A folder's content by name, without hidden things; `others` are folders and other files."""

    exists: bool
    images: tuple[Path, ...]
    others: tuple[Path, ...]


@dataclass(frozen=True)
class StyleFiles:
    """One style on both sides."""

    style: str
    references: FolderFiles
    upload: FolderFiles

    @property
    def images(self) -> tuple[Path, ...]:
        """All files to inspect."""
        return self.references.images + self.upload.images


def list_style(upload: Path, gt: Path, style: str) -> StyleFiles:
    """List the files of a style.

    Raises:
        InputError: a folder is there but cannot be read.
    """
    return StyleFiles(
        style, list_folder(gt / style / REFERENCES), list_folder(upload / style)
    )


def list_folder(folder: Path) -> FolderFiles:
    """List a folder; one that is not there is listed as empty.

    Raises:
        InputError: the folder cannot be read.
    """
    if not os.path.isdir(folder):
        return FolderFiles(False, (), ())
    found = entries(folder)
    # A link to nowhere with the name of an image stays in: inspecting it tells what is wrong.
    images = tuple(path for path in found if is_image_name(path) and not path.is_dir())
    return FolderFiles(True, images, tuple(path for path in found if path not in images))
