"""Listing folders, and recognising splits and styles by their content."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from jdiff_checker.errors import InputError
from jdiff_checker.inputs.images import is_image_name

PROMPT_FILE = "prompt.json"
REFERENCES = "images"
_NUMBER = re.compile("[0-9]+")


def entries(folder: Path, shown: Callable[[Path], bool] = lambda path: False) -> list[Path]:
    """The entries of `folder`, without hidden ones that are not `shown`, sorted by name.

    Raises:
        InputError: the folder cannot be read.
    """
    try:
        found = [
            path for path in folder.iterdir() if not path.name.startswith(".") or shown(path)
        ]
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


def style_meant(name: str, styles: Iterable[str]) -> str | None:
    """The style of this name. Letters may be composed or not: file systems of Macs take them apart.

    4 stands for 04 when no other style has that number.
    """
    alike = [style for style in styles if same_style(style, name)]
    if name in alike:
        return name
    return alike[0] if len(alike) == 1 else None


def same_style(one: str, other: str) -> bool:
    """True if both names are the same text or the same number, as 4 and 04."""
    if _NUMBER.fullmatch(one) and _NUMBER.fullmatch(other):
        return one.lstrip("0") == other.lstrip("0")  # `int` refuses thousands of digits
    return same_text(one, other)


def same_text(one: str, other: str) -> bool:
    """True if both names are the same letters, composed or not."""
    return unicodedata.normalize("NFC", one) == unicodedata.normalize("NFC", other)


def upload_folder(upload: Path, style: str) -> Path:
    """The folder of a style in the upload, which need not be there.

    Raises:
        InputError: the upload cannot be read.
    """
    folder = upload / style
    if style.isascii() or os.path.isdir(folder):
        return folder
    return next((path for path in subfolders(upload) if same_text(path.name, style)), folder)


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


def list_style(upload: Path, gt: Path, style: str, keys: Collection[str]) -> StyleFiles:
    """List the files of a style.

    Args:
        upload: folder of the upload.
        gt: folder of the split.
        style: name of the style.
        keys: keys of its prompts; a picture in the upload with one of them may be hidden, since a
            prompt can begin with a dot.

    Raises:
        InputError: a folder is there but cannot be read.
    """
    return StyleFiles(
        style, _without_captions(list_folder(gt / style / REFERENCES)),
        list_folder(upload_folder(upload, style), lambda path: prompt_key(path.stem) in keys),
    )


def _without_captions(folder: FolderFiles) -> FolderFiles:
    """A folder's entries without `ball.txt` beside `ball.png`: prompts for trainings, no images."""
    names = {unicodedata.normalize("NFC", path.stem) for path in folder.images}
    others = (path for path in folder.others
              if path.suffix.lower() != ".txt"
              or unicodedata.normalize("NFC", path.stem) not in names)
    return replace(folder, others=tuple(others))


def list_folder(folder: Path, shown: Callable[[Path], bool] = lambda path: False) -> FolderFiles:
    """List a folder, without hidden entries that are not `shown`; a missing one has no entries.

    Raises:
        InputError: the folder cannot be read.
    """
    if not os.path.isdir(folder):
        return FolderFiles(False, (), ())
    found = entries(folder, shown)
    # A broken link with the name of an image stays in the list: `inspect` reports the reason.
    images = tuple(path for path in found if is_image_name(path) and not path.is_dir())
    return FolderFiles(True, images, tuple(path for path in found if path not in images))


def prompt_key(text: str) -> str:
    """Key that is equal for a prompt and the matching file stems.

    The key ignores case, outer spaces, and whether an accent is a separate character (as in file
    names from a Mac).
    """
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text.strip()).casefold())
