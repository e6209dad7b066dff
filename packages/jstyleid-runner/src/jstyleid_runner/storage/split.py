"""A split: `<data>/<split>/<NN>/images/*` and `<data>/<split>/<NN>/prompt.json`, and its LoRAs."""

import os
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jstyleid_core.errors import InputError
from jstyleid_core.image_files import is_image_name
from jstyleid_core.notes import note_once
from jstyleid_dreambooth.lora.files.finding import SUFFIXES, lora_in, named_file
from jstyleid_dreambooth.training.captions import caption_files
from jstyleid_dreambooth.training.job import objects_of
from jstyleid_dreambooth.training.settings import TrainingSettings
from jstyleid_runner.storage.layout import (
    note_names,
    picture_name,
    style_named,
    styles_named,
)
from jstyleid_runner.storage.prompts import read_prompts


@dataclass(frozen=True)
class StyleFolder:
    """One style: its sample images and the prompts to draw in it."""

    id: str
    references: tuple[Path, ...]
    prompts: tuple[str, ...]


@dataclass(frozen=True)
class Split:
    """The chosen styles of one split, sorted by their folder's name."""

    name: str
    styles: tuple[StyleFolder, ...]


def read_split(data: Path, name: str, only: Sequence[str] | None = None) -> Split:
    """Read the split `name` below `data`, or only the styles named.

    A slash at the name's end is no part of it, and letters may be composed or not.

    Raises:
        InputError: the split is not there or not whole; every problem of it is listed.
    """
    name = _split_named(data, name)
    folder = data / name
    available = _style_folders(folder)
    if not available:
        raise InputError(f"{folder}: no style folders. Put each style into {folder}/NN/.")
    problems: list[str] = []
    problems += [
        f"{folder}: the name of the style {style.encode(errors='surrogateescape')!r} is no UTF-8, "
        "as in archives made elsewhere. Rename its folder."
        for style in available if _is_broken(style)]
    chosen = available
    if only is not None:
        meant = {name: styles_named(name, available) for name in only}
        chosen = [style for style in available if [style] in meant.values()]
        problems += [f"{folder}: {name} may be {' or '.join(styles)}. Give the whole name."
                     for name, styles in sorted(meant.items()) if len(styles) > 1]
        if unknown := sorted(name for name, styles in meant.items() if not styles):
            problems.append(
                f"{folder}: no style {_listed(unknown)}. There are {_listed(available)}."
            )
    styles: list[StyleFolder] = []
    for style in chosen:
        try:
            styles.append(_read_style(folder / style))
        except InputError as problem:
            problems.append(str(problem))
    if problems:
        raise InputError("\n".join(problems))
    pictures = [picture_name(prompt) for style in styles for prompt in style.prompts]
    note_names(str(folder), [style.id for style in styles] + pictures)
    return Split(name, tuple(styles))


def _is_broken(name: str) -> bool:
    """Whether a file name holds bytes that are no UTF-8."""
    return any("\udc80" <= letter <= "\udcff" for letter in name)


def style_names(data: Path, name: str) -> list[str]:
    """Every style of a split, chosen or not.

    Raises:
        InputError: the split cannot be read.
    """
    return _style_folders(data / name)


def read_samples(data: Path, name: str) -> dict[str, tuple[Path, ...]]:
    """The sample images of every style of a split, chosen or not.

    Raises:
        InputError: the split cannot be read.
    """
    return {style: _references(data / name / style) for style in style_names(data, name)}


def _read_style(folder: Path) -> StyleFolder:
    problems: list[str] = []
    references = _references(folder)
    if not references:
        problems.append(f"{folder}: no images. Put the style's sample images into {folder}/images.")
    prompts: tuple[str, ...] = ()
    if not (folder / "prompt.json").is_file():
        problems.append(f'{folder}: no prompt.json. Write one: {{"0": "Ring", "1": "Hotel"}}.')
    else:
        try:
            prompts = read_prompts(folder / "prompt.json")
        except InputError as problem:
            problems.append(str(problem))
    if problems:
        raise InputError("\n".join(problems))
    return StyleFolder(folder.name, references, prompts)


def _references(folder: Path) -> tuple[Path, ...]:
    images = folder / "images"
    if not images.is_dir():
        return ()
    found = [path for path in _entries(images) if not path.name.startswith(".")]
    references = tuple(path for path in found if is_image_name(path) and path.is_file())
    read = {*references, *caption_files(references).values()}
    others = [path.name for path in found if path not in read]
    if others:
        note_once(f"{images}: ignored, since they are no pictures: {_listed(others)}")
    return references


def _split_named(data: Path, text: str) -> str:
    """The name of the split that is meant, as its folder is written.

    Raises:
        InputError: there is none.
    """
    name = os.path.normpath(text) if text else ""
    if name and (data / name).is_dir():
        return name
    there = style_named(name, _subfolders(data)) if data.is_dir() else None
    if there is None:
        raise _no_such_split(data, text)
    return there


def _no_such_split(data: Path, name: str) -> InputError:
    if not data.is_dir():
        return InputError(
            f"--data {data}: no such folder. Give the folder that holds the splits.",
            fields=["data"],
        )
    existing = [split for split in _subfolders(data) if _looks_like_a_split(data / split)]
    hint = f"There are {_listed(existing)}." if existing else f"There are no splits in {data}."
    return InputError(f"--split {name}: no folder {data / name}. {hint}", fields=["split"])


def _looks_like_a_split(folder: Path) -> bool:
    return any(_looks_like_a_style(folder / style) for style in _subfolders(folder))


def _looks_like_a_style(folder: Path) -> bool:
    return (folder / "prompt.json").exists() or (folder / "images").is_dir()


def _style_folders(folder: Path) -> list[str]:
    """The styles of a split: a number for a name, or images or prompts inside.

    Archives, file servers and disks leave others beside them: `__MACOSX`, `@eaDir`, `lost+found`.
    """
    found = _subfolders(folder)
    styles = [name for name in found
              if name.isdecimal() or _looks_like_a_style(folder / name)]
    others = [name for name in found if name not in styles]
    if others and styles:
        note_once(f"{folder}: ignored, since they are no styles: {_listed(others)}")
    return styles


def _subfolders(folder: Path) -> list[str]:
    return [
        path.name for path in _entries(folder) if path.is_dir() and not path.name.startswith(".")
    ]


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise InputError(
            f"{folder}: cannot be read: {error.strerror}. Check the folder's permissions."
        ) from error


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names)


def training_objects(
    data: Path, split: str, training: TrainingSettings | None
) -> tuple[str, ...]:
    """The objects of the whole split, where the training takes them; so chosen styles share them.

    Raises:
        InputError: a sample image's name does not say its object.
    """
    if training is None or not training.takes_objects:
        return ()
    return objects_of(read_samples(data, split))


_PACK = "pack-"


def find_loras(given: Path, split: Split, available: Sequence[str] = ()) -> dict[str, Path]:
    """The LoRA file of each chosen style of a split, each of them read once to see that it can be.

    A style's LoRA is the folder `NN`, `style_NN` or `style_<split>_NN` of `given`, or a file of
    such a name, as in `NN.safetensors`; or else a folder `pack-...` there whose name lists the
    style; or else `given` itself, a file or a folder with a file of diffusers or PEFT. For the
    file that a folder is see `lora_in` of jstyleid_dreambooth. A name means the style that
    `--styles` would mean by it.

    Args:
        given: the folder or file.
        split: the chosen styles.
        available: all styles of the split: 4 is no name of 04 where a style 4 was not chosen.

    Raises:
        InputError: there is none, more than one, or one that cannot be read.
    """
    from jstyleid_dreambooth import read_lora

    if not os.path.exists(given):
        raise InputError(
            f"--lora {given}: no such folder or file. Give a folder with a LoRA a style, as "
            "`jstyleid train` writes it, or one LoRA for all.",
            fields=["lora"],
        )
    styles = list(dict.fromkeys([*available, *(style.id for style in split.styles)]))
    named = {path: _styles_of(path.name, split.name, styles)
             for path in (_entries(given) if given.is_dir() else ())}
    loras = {style.id: _find(given, split.name, style.id, named) for style in split.styles}
    for path in dict.fromkeys(loras.values()):
        read_lora(path)
    return loras


def _find(
    given: Path, split: str, style: str, named: Mapping[Path, Collection[str | None]]
) -> Path:
    places = [path for path, styles in named.items() if style in styles]
    for found in ([file for place in places if (file := lora_in(place))],
                  [file for place in _packs(given, style) if (file := lora_in(place))],
                  _for_all(given)):
        if found:
            if len(found) > 1:
                listed = " and ".join(map(str, found))
                raise InputError(
                    f"--lora {given}: style {style} has more than one LoRA: {listed}. Keep one.",
                    fields=["lora"],
                )
            return found[0]
    looked = ", ".join(f"{given / name}/" for name in (
        style, f"style_{style}", f"style_{split}_{style}"))
    raise InputError(
        f"--lora {given}: no LoRA for style {style}. Looked for a LoRA in {looked}, files such as "
        f"{given / style}.safetensors, a folder {given / _PACK}... that lists {style}, and {given} "
        "itself.",
        fields=["lora"],
    )


def _styles_of(name: str, split: str, available: Collection[str]) -> set[str | None]:
    """The styles for which a file or a folder has the name of a LoRA."""
    # With composed letters, for Macs decompose them in the names of files.
    name = unicodedata.normalize("NFC", name)
    suffix = next((suffix for suffix in SUFFIXES if name.endswith(suffix)), "")
    fronts = ("", "style_", unicodedata.normalize("NFC", f"style_{split}_"))
    return {style_named(stem.removeprefix(front), available)
            for stem in (name, name.removesuffix(suffix)) for front in fronts
            if stem.startswith(front)}


def _for_all(given: Path) -> list[Path]:
    """The LoRA of all styles. In a folder any other file or folder may be that of one style."""
    file = given if os.path.isfile(given) else named_file(given)
    return [file] if file else []


def _packs(given: Path, style: str) -> Sequence[Path]:
    if not given.is_dir():
        return ()
    folders = sorted(path for path in given.glob(f"{_PACK}*") if path.is_dir())
    # By the whole name between two dashes: `pack-10-20` lists neither 0 nor 1.
    listed = unicodedata.normalize("NFC", f"-{style}-")
    return [path for path in folders
            if listed in unicodedata.normalize("NFC", f"{path.name}-")]
