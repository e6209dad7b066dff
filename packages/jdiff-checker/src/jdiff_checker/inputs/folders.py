"""Listing folders, and recognising splits and styles by their content."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from jdiff_checker.errors import InputError
from jdiff_checker.inputs.images import is_image_name

PROMPT_FILE = "prompt.json"
REFERENCES = "images"
_NUMBER = re.compile("[0-9]+")


def entries(folder: Path) -> list[Path]:
    """The entries of `folder`, without hidden ones, sorted by name.

    Raises:
        InputError: the folder cannot be read.
    """
    try:
        found = [path for path in folder.iterdir() if not path.name.startswith(".")]
    except OSError as error:
        raise InputError(
            f"{folder}: cannot be read: {error.strerror or error}. Check the folder and its "
            "permissions."
        ) from error
    return sorted(found, key=lambda path: path.name)


def subfolders(folder: Path) -> list[Path]:
    """The folders in `folder`, without hidden ones, sorted by name."""
    return [path for path in entries(folder) if path.is_dir()]


def looks_like_style(folder: Path) -> bool:
    """True if the folder holds references or prompts, as a style of a split does."""
    # Without permission, os.path returns False and pathlib raises.
    return os.path.isdir(folder / REFERENCES) or os.path.isfile(folder / PROMPT_FILE)


def style_folders(split: Path) -> list[Path]:
    """The styles of a split: folders that have references or prompts, or a number for a name.

    Raises:
        InputError: the folder cannot be read.
    """
    return [
        path for path in subfolders(split)
        if looks_like_style(path) or _NUMBER.fullmatch(path.name)
    ]


def same_number(one: str, other: str) -> bool:
    """True if both names are the same number, as 4 and 04."""
    return bool(_NUMBER.fullmatch(one) and _NUMBER.fullmatch(other)) and int(one) == int(other)


@dataclass(frozen=True)
class FolderFiles:
    """Entries of a folder, without hidden ones, sorted by name.

    `others` are folders, and files that are no images.
    """

    exists: bool
    images: tuple[Path, ...]
    others: tuple[Path, ...]


@dataclass(frozen=True)
class StyleFiles:
    """Files of one style, in the split and in the upload."""

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
    """List a folder; a missing folder has no entries.

    Raises:
        InputError: the folder cannot be read.
    """
    if not os.path.isdir(folder):
        return FolderFiles(False, (), ())
    found = entries(folder)
    # A broken link with the name of an image stays in the list: `inspect` reports the reason.
    images = tuple(path for path in found if is_image_name(path) and not path.is_dir())
    return FolderFiles(True, images, tuple(path for path in found if path not in images))
