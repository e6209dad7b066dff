"""The inputs of a picture that is made again: found where it says, or where the user says.

Files are read as pictures and LoRAs only, whatever a picture names.
"""

from collections.abc import Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from jstyleid_core.errors import InputError
from jstyleid_core.files import hash_file
from jstyleid_core.notes import note_once
from jstyleid_core.weights.checkpoint import CheckpointSource, find_downloaded
from jstyleid_dreambooth import read_lora
from jstyleid_dreambooth.lora.files.adapter_config import CONFIG_NAME
from jstyleid_runner.options.again import AgainOptions
from jstyleid_runner.planning.inputs import RecordedFile
from jstyleid_runner.workflows.generate import WeightedLoRA, lora_and_weight
from jstyleid_runner.workflows.made_picture import MadePicture

_MODEL = ("model", "vae", "tokenizer", "prediction")


@dataclass(frozen=True)
class FoundFiles:
    """The files of a picture, found."""

    content: Path | None
    styles: tuple[Path, ...]
    mask: Path | None
    loras: tuple[WeightedLoRA, ...]
    start: tuple[Path, ...]


def find_files(found: MadePicture, options: AgainOptions) -> FoundFiles:
    """Every input file, at its recorded path or where the options say.

    Raises:
        InputError: one is missing, or is another one than it was.
    """
    inputs, where = found.inputs, found.path
    if options.content is None and found.kind == "transfer" and inputs.content is None:
        raise InputError(f"{where}: its settings are damaged: no content. Give --content.")
    content = None
    if inputs.content:
        content = _one(inputs.content, options.content, "--content", where)
    given: Sequence[Path | None] = options.style or (None,) * len(inputs.styles)
    recorded = _as_many(inputs.styles, len(given))
    styles = tuple(_one(each, path, "--style", where)
                   for each, path in zip(recorded, given, strict=True))
    if found.kind in ("transfer", "stylised") and not styles:
        raise InputError(f"{where}: its settings are damaged: no style. Give --style.")
    mask = options.mask
    if inputs.mask:
        mask = _one(inputs.mask, options.mask, "--mask", where)
    start = tuple(_one(each, None, None, where) for each in inputs.start)
    return FoundFiles(content, styles, mask, _find_loras(found, options), start)


def _as_many(recorded: Sequence[RecordedFile], count: int) -> list[RecordedFile | None]:
    """The records of files, or none where another number of files is given."""
    return list(recorded) if len(recorded) == count else [None] * count


def _one(
    recorded: RecordedFile | None, given: Path | None, option: str | None, picture: Path
) -> Path:
    """The path of a file that is there, and that is the recorded one unless it was given."""
    path = Path(recorded.path) if given is None and recorded else cast(Path, given)
    fix = f"Give its path with {option}." if option else (
        "Call jstyleid from the folder that the path is relative to.")
    if not path.is_file():
        whose = "" if given else f", where {picture} was made with it"
        raise InputError(f"{path}: no such file{whose}. {fix}")
    if recorded and recorded.sha256 and hash_file(path) != recorded.sha256:
        if given is None:
            raise InputError(f"{path}: not the file that {picture} was made with, which had the "
                             f"SHA-256 {recorded.sha256}. {fix}")
        note_once(f"{option} {path}: another file than {picture} was made with")
    return path


def _find_loras(found: MadePicture, options: AgainOptions) -> tuple[WeightedLoRA, ...]:
    named = [lora_and_weight(name) for name in options.lora or []]
    if not named:
        return tuple(WeightedLoRA(read_lora(_lora_path(each, found.path)), each.weight)
                     for each in found.inputs.loras)
    if found.kind != "generated" and len(named) > 1:
        raise InputError(f"--lora: {found.path} was drawn with one LoRA. Give one.",
                         fields=["lora"])
    loras = []
    for (text, weight), recorded in zip(
            named, _as_many(found.inputs.loras, len(named)), strict=True):
        lora = read_lora(text)
        if recorded and not _is_recorded(recorded, Path(lora.source)):
            note_once(f"--lora {text}: another LoRA than {found.path} was made with")
        usual = recorded.weight if recorded else 1.0
        loras.append(WeightedLoRA(lora, usual if weight is None else weight))
    return tuple(loras)


def _lora_path(recorded: RecordedFile, picture: Path) -> Path:
    """The recorded LoRA; one that a run trained is sought in the run's folder around the picture.

    Raises:
        InputError: it is not there, or another one.
    """
    places = [Path(recorded.path)]
    if recorded.recipe:
        places = [folder / recorded.path for folder in picture.absolute().parents[:4]]
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        raise InputError(f"{recorded.path}: no such LoRA, with which {picture} was made. Give its "
                         "path with --lora.", fields=["lora"])
    if not _is_recorded(recorded, path):
        raise InputError(f"{path}: not the LoRA that {picture} was made with. Give the path of "
                         "that one with --lora.", fields=["lora"])
    return path


def _is_recorded(recorded: RecordedFile, path: Path) -> bool:
    if recorded.recipe:
        return read_lora(path).about.get("recipe") == recorded.recipe
    settings = path.with_name(CONFIG_NAME)
    beside = hash_file(settings) if settings.is_file() else None
    return (hash_file(path), beside) == (recorded.sha256, recorded.settings)


def find_source(
    found: MadePicture, options: AgainOptions, given: Set[str]
) -> CheckpointSource:
    """The checkpoint that the picture names, or the options.

    Raises:
        InputError: it would have to be downloaded, and the user has not named it.
    """
    recorded = found.inputs.model
    values = {"model": recorded.source, "vae": recorded.vae, "tokenizer": recorded.tokenizer,
              "prediction": recorded.prediction}
    source = CheckpointSource(**(values | {
        name: getattr(options, name) for name in _MODEL if name in given}))
    if "model" not in given and find_downloaded(source) is None:
        raise InputError(
            f"{found.path}: its checkpoint {source.model} is not on this machine. Give --model "
            f"{source.model} to download it, or the path of it.", fields=["model"])
    return source


def check_model(
    found: MadePicture, fingerprint: str, source: CheckpointSource, given: Set[str]
) -> None:
    recorded = found.inputs.model
    if fingerprint == recorded.fingerprint:
        return
    if not given & set(_MODEL):
        raise InputError(
            f"{source}: not the checkpoint that {found.path} was made with, whose fingerprint is "
            f"{recorded.fingerprint}. Give the path of that one with --model.", fields=["model"])
    note_once(f"{source}: another checkpoint than {found.path} was made with")
