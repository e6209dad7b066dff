"""Captions: a text file beside a sample image, `ball.txt` of `ball.png`, is its training prompt."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from pathlib import Path

from jstyleid_core.errors import InputError
from jstyleid_core.files import decode_text, read_regular
from jstyleid_core.notes import note_once
from jstyleid_dreambooth.prompts import TRIGGER, trigger_word

_SUFFIX = ".txt"


def caption_files(images: Sequence[Path]) -> dict[Path, Path]:
    """The caption's file of each image that has one.

    The suffix may be in any case, and letters of the names may be composed or not.

    Args:
        images: files of images, in one folder or in several.
    """
    texts: dict[tuple[Path, str], Path] = {}
    for folder in dict.fromkeys(image.parent for image in images):
        for path in sorted(folder.iterdir()):
            if path.suffix.lower() == _SUFFIX and not path.name.startswith("."):
                texts.setdefault(_key(path), path)
    return {image: texts[key] for image in images if (key := _key(image)) in texts}


def _key(path: Path) -> tuple[Path, str]:
    return path.parent, unicodedata.normalize("NFC", path.stem)


def read_captions(style: str, images: Sequence[Path]) -> tuple[str | None, ...]:
    """The caption of each image of a style; None for an image without one.

    Lines are joined by spaces, and `[trigger]` becomes the style's word, `style_00`. An empty file
    is no caption, which is noted; so are captions that do not name the style.

    Raises:
        InputError: a caption's file cannot be read.
    """
    files, word = caption_files(images), trigger_word(style)
    found = {image: _read(path).replace(TRIGGER, word) for image, path in files.items()}
    for image, text in found.items():
        if not text:
            note_once(f"{files[image]}: the caption is empty; the usual prompt is used")
    if others := [files[image].name for image, text in found.items() if text and word not in text]:
        note_once(f"{images[0].parent}: captions with neither {TRIGGER} nor {word}, the word that "
                  f"pictures of this style are usually drawn with: {', '.join(others)}")
    return tuple(found.get(image) or None for image in images)


def _read(path: Path) -> str:
    try:
        return " ".join(decode_text(read_regular(path)).split())
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}: not UTF-8 text (byte {error.start}). Save the file as UTF-8."
        ) from error
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read: {error.strerror}. Check the file and its permissions."
        ) from error
