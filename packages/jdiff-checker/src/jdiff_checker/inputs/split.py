"""Selection of the styles, and suggestions for a user who gave the wrong folder."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from jdiff_checker.errors import InputError
from jdiff_checker.inputs.folders import (
    PROMPT_FILE,
    REFERENCES,
    entries,
    looks_like_style,
    style_folders,
    style_meant,
    upload_folder,
)
from jdiff_checker.inputs.images import is_image_name

_DEPTH = 2
"""Levels above and below the given folder in which the right folder is searched."""


def split_styles(gt: Path) -> tuple[str, ...]:
    """The names of the split's styles, sorted.

    Raises:
        InputError: `gt` is not a folder or holds no style; the message suggests another folder.
    """
    _require_folder(gt, "of the split, as data/B")
    names = tuple(path.name for path in style_folders(gt))
    if not names:
        meant = _nearby(gt, lambda folder: any(map(looks_like_style, _subfolders(folder))))
        raise InputError(
            f"{gt}: no style folders, as 00 with {REFERENCES} and {PROMPT_FILE} in it. "
            + (_did_you_mean(meant) or "Give the folder of the split, as data/B.")
        )
    return names


def choose_styles(gt: Path, available: Sequence[str], wanted: Sequence[str] | None) -> list[str]:
    """Those of `available` that are `wanted` (None: all), in the order of `available`.

    For what names mean see `style_meant`.

    Raises:
        InputError: `wanted` is empty, or names something else; the message lists what there is.
    """
    if wanted is None:
        return list(available)
    if not wanted:
        raise InputError("no style is named. Name some, or leave the choice out to take them all.")
    chosen: set[str] = set()
    unknown: list[str] = []
    for name in wanted:
        meant = style_meant(name, available)
        if meant is None:
            unknown.append(name)
        else:
            chosen.add(meant)
    if unknown:
        raise InputError(
            f"{gt}: no style {', '.join(unknown)}. There are {', '.join(available)}."
        )
    return [style for style in available if style in chosen]


def check_upload(upload: Path, styles: Sequence[str]) -> None:
    """Check that the upload is a folder with at least one of the styles.

    Raises:
        InputError: the upload is no such folder; the message suggests another folder.
    """
    _require_folder(upload, "of the results, which holds one folder a style")
    if any(upload_folder(upload, style).is_dir() for style in styles):
        return
    # The folder must hold images: the split, which has the same styles, may be close by.
    meant = _nearby(
        upload, lambda folder: any(_has_images(folder / style) for style in styles)
    )
    wanted = styles[0] if len(styles) == 1 else f"{styles[0]} to {styles[-1]}"
    raise InputError(
        f"{upload}: no folder of the styles {wanted}. "
        + (_did_you_mean(meant) or "Give the folder that holds them.")
    )


def _require_folder(path: Path, what: str) -> None:
    if path.is_file():
        raise InputError(
            f"{path}: a file, not a folder. Give the folder {what}; unpack an archive first."
        )
    if not path.is_dir():
        raise InputError(f"{path}: no such folder. Give the folder {what}.")


def _nearby(folder: Path, is_meant: Callable[[Path], bool]) -> list[Path]:
    """Folders that the user may have meant: some below `folder`, or else one above."""
    level = [folder]
    for _ in range(_DEPTH):
        level = [below for path in level for below in _subfolders(path)]
        if meant := [path for path in level if is_meant(path)]:
            return meant
    inside = folder.resolve()
    for _ in range(_DEPTH):
        # A path that is too deep points into a style; no other parent is worth suggesting.
        if is_meant(inside.parent) and (looks_like_style(inside) or _has_images(inside)):
            return [inside.parent]
        inside = inside.parent
    return []


def _subfolders(folder: Path) -> list[Path]:
    return [path for path in _entries(folder) if os.path.isdir(path)]


def _has_images(folder: Path) -> bool:
    return any(map(is_image_name, _entries(folder)))


def _entries(folder: Path) -> list[Path]:
    try:
        return entries(folder)
    except InputError:
        # The user did not name this folder, so an unreadable one was not meant.
        return []


def _did_you_mean(folders: Sequence[Path]) -> str:
    more = " or another beside it" if len(folders) > 3 else ""
    return f"Did you mean {' or '.join(map(str, folders[:3]))}{more}?" if folders else ""
