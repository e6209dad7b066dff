"""Where a command writes its pictures, settled and checked before anything is computed."""

import os
from collections.abc import Sequence
from pathlib import Path

from jstyleid_core.errors import InputError, OutputError
from jstyleid_runner.file_names import SUFFIX, naming_problem, picture_name, same_file_key

CONTACT_SHEET = "contact-sheet"
"""Stem of the overview that several results get."""


def picture_target(out: Path, stem: str) -> Path:
    """The picture `--out` means: a file, or `stem` in a folder."""
    if not is_folder(out):
        if out.suffix.lower() != SUFFIX:
            raise InputError(
                f"--out {out}: pictures are written as PNG. Name a {SUFFIX} file or a folder."
            )
        return out
    if problem := naming_problem(stem):
        raise InputError(
            f"--out {out}: {stem!r} cannot be a file name in it, because {problem}. "
            f"Name a {SUFFIX} file."
        )
    return out / picture_name(stem)


def picture_targets(out: Path, stems: Sequence[str]) -> list[Path]:
    """A picture in the folder `out` for each stem; equal stems are numbered."""
    if not is_folder(out):
        raise InputError(f"--out {out}: several styles need a folder, not a file.")
    taken = {CONTACT_SHEET}
    targets: list[Path] = []
    for stem in stems:
        name, number = stem, 1
        while same_file_key(name) in taken:
            number += 1
            name = f"{stem}-{number}"
        taken.add(same_file_key(name))
        targets.append(picture_target(out, name))
    return targets


def is_folder(out: Path) -> bool:
    """Whether `--out` is meant as a folder: it is one, or has no suffix."""
    return out.is_dir() or not out.suffix


def require_writable(folder: Path) -> None:
    """Make `folder`, and find out whether it can be written to.

    Raises:
        OutputError: it cannot.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"--out {folder}: cannot write there: {error.strerror}. Choose another folder."
        ) from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OutputError(
            f"--out {folder}: you may not write there. Choose another folder, or change its "
            "permissions."
        )
