"""Which image of a style's folder belongs to which prompt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jdiff_checker.reading.pictures import Picture
from jdiff_checker.reading.prompts import prompt_key


@dataclass(frozen=True)
class UploadImage:
    """An image of the upload; `prompt` is verbatim the split's, None when it has none."""

    picture: Picture
    prompt: str | None


@dataclass(frozen=True)
class Matching:
    """The readable images with their prompts, and what did not fit together."""

    images: tuple[UploadImage, ...]
    missing: tuple[str, ...]
    """Prompts that not even an unreadable file is there for."""
    duplicates: tuple[tuple[Path, str], ...]
    """Files whose prompt has another file already, each with the prompt and that file."""
    strangers: tuple[Path, ...]
    """Readable files that no prompt is known for."""


def match(
    prompts: Sequence[str], files: Sequence[Path], pictures: Sequence[Picture]
) -> Matching:
    """Match file stems to prompts, with case and outer spaces ignored.

    Of several files for one prompt the first readable one is the prompt's image. `files` are all,
    `pictures` those that can be read, both sorted by name.
    """
    by_key = {prompt_key(prompt): prompt for prompt in prompts}
    readable = {picture.path for picture in pictures}
    taken: dict[str, Path] = {}
    # Readable files first: an unreadable one must not keep its prompt from another file.
    for path in sorted(files, key=lambda path: path not in readable):
        prompt = by_key.get(prompt_key(path.stem))
        if prompt is not None:
            taken.setdefault(prompt, path)
    owners = {path: prompt for prompt, path in taken.items()}
    duplicates: list[tuple[Path, str]] = []
    strangers: list[Path] = []
    for path in files:
        prompt = by_key.get(prompt_key(path.stem))
        if prompt is None:
            if path in readable:
                strangers.append(path)
        elif taken[prompt] != path:
            duplicates.append((path, f"{prompt} beside {taken[prompt].name}"))
    return Matching(
        images=tuple(UploadImage(one, owners.get(one.path)) for one in pictures),
        missing=tuple(prompt for prompt in prompts if prompt not in taken),
        duplicates=tuple(duplicates),
        strangers=tuple(strangers),
    )
