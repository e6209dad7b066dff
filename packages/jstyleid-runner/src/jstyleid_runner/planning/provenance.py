"""The provenance of pictures: written into each picture, and compared before it is kept or made.

A picture counts as done only if the provenance inside it is the one that the plan asks for. So a
folder can be moved, mixed or half deleted, and a run still recognises its pictures.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from jstyleid_core.errors import InputError
from jstyleid_core.image_files import read_png_text
from jstyleid_core.json_files import parse_json
from jstyleid_core.weights.checkpoint import CheckpointSource
from jstyleid_runner.planning import inputs, parameters
from jstyleid_runner.planning.jobs import GenerateImage, TransferStyle
from jstyleid_runner.settings import RunSettings
from jstyleid_runner.storage.records import HashedFile


@dataclass(frozen=True)
class StyleInputs:
    """The inputs that all pictures of one style have in common.

    Attributes:
        references: the sample images that are inverted, if any.
        start: `noise`, or the sample images whose mean drawing starts from and how strong the
            noise on it is.
        lora: LoRA: a file, or the recipe of one that the run trains. By the recipe a picture can
            be compared without its LoRA.
    """

    references: tuple[HashedFile, ...]
    start: str | Mapping[str, Any]
    lora: Mapping[str, Any] | None


KEY = "jstyleid"
"""Keyword of the PNG text chunk."""

_OLDER = {"backend": "native"}
"""Values for pictures of older versions, which do not record them."""

Provenance = Mapping[str, Any]


class NotOursError(Exception):
    """A whole picture that carries no facts."""


class DamagedError(Exception):
    """A picture that was cut off or changed."""


def content_provenance(
    job: GenerateImage, settings: RunSettings, parts: StyleInputs, model: str) -> Provenance:
    """The provenance of a generated image; `model` is the checkpoint's fingerprint."""
    return {
        "kind": "content",
        "model": model,
        "prompt": job.prompt,
        "text": job.text,
        "negative": settings.negative,
        "seed": job.seed,
        "steps": settings.content_steps,
        "guidance": settings.guidance,
        "size": list(settings.size),
        "dtype": settings.dtype,
        "backend": settings.backend,
        "start": parts.start,
        "lora": parts.lora,
    }


def picture_provenance(
    generate: GenerateImage, transfer: TransferStyle | None, content: Provenance,
    parts: StyleInputs, settings: RunSettings,
) -> Provenance:
    """The provenance of a result: an image with style transfer, or a generated one."""
    provenance: dict[str, Any] = {
        "kind": "stylised" if transfer or generate.way != "plain" else "drawn",
        "style": generate.style,
        "method": settings.method,
        "content": dict(content),
    }
    if settings.styleid and parts.references:
        first, *more = (asdict(each) for each in parts.references)
        if more:
            provenance["references"] = [first, *more]
        else:
            provenance["reference"] = first
        provenance["styleid"] = settings.styleid.model_dump(mode="json")
    if settings.content_trajectory:
        provenance["content_trajectory"] = True
    return provenance


def to_png_text(provenance: Provenance, source: CheckpointSource) -> dict[str, str]:
    """The text chunks of a picture: the facts for this project, and in A1111's form for others.

    Args:
        provenance: provenance of the picture.
        source: the checkpoint, which has a name in A1111's form only.
    """
    return {KEY: json.dumps(provenance, sort_keys=True),
            parameters.KEY: parameters.to_parameters(provenance, source)}


def matches(path: Path, wanted: Provenance) -> bool:
    """Whether there is a whole picture at `path`, made by these very facts."""
    try:
        return read_provenance(path) == wanted
    except (FileNotFoundError, DamagedError, NotOursError):
        return False


def read_provenance(path: Path) -> Provenance:
    """The facts inside the picture at `path` that are compared, see `read_facts`.

    A picture from before there was a choice of backends, which names none, is the native one's.

    Raises:
        FileNotFoundError: there is no picture.
        DamagedError: the file is not a whole picture.
        NotOursError: it is one, but without facts.
    """
    # Where its inputs were is no part of what a picture is.
    provenance = {key: value for key, value in read_facts(path).items() if key != inputs.KEY}
    drawn = provenance.get("content")
    if isinstance(drawn, dict):
        return {**provenance, "content": {**_OLDER, **drawn}}
    return {**_OLDER, **provenance}


def read_facts(path: Path) -> Provenance:
    """All facts inside the picture at `path`, which is checked from its first to its last byte.

    Raises:
        FileNotFoundError: there is no picture.
        DamagedError: the file is not a whole picture.
        NotOursError: it is one, but without facts.
    """
    try:
        text = read_png_text(path, KEY)
    except FileNotFoundError:
        raise
    except (OSError, InputError) as error:
        raise DamagedError(str(error)) from error
    try:
        provenance = parse_json(text) if text is not None else None
    except ValueError:
        provenance = None
    if not isinstance(provenance, dict):
        raise NotOursError(str(path))
    return provenance
