"""What made a picture: written into the picture itself, and compared before it is kept or made.

A picture is only taken for done when the facts inside it are those the plan asks for. So a folder
can be moved, mixed or half deleted, and a run still knows which pictures are its own.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from jstyleid_runner.plan import GenerateContent, Stylise
from jstyleid_runner.settings import RunSettings

KEY = "jstyleid"
"""Keyword of the PNG text chunk."""

Facts = Mapping[str, Any]


class NotOursError(Exception):
    """A whole picture that carries no facts."""


class DamagedError(Exception):
    """A picture that was cut off or changed."""


@dataclass(frozen=True)
class Reference:
    """A style's sample image, as recorded."""

    name: str
    sha256: str


def describe_reference(path: Path) -> Reference:
    """The name and the digest of a sample image."""
    return Reference(path.name, hashlib.sha256(path.read_bytes()).hexdigest())


def content_facts(job: GenerateContent, settings: RunSettings, model: str) -> Facts:
    """What makes a content picture; `model` is the checkpoint's fingerprint."""
    return {
        "kind": "content",
        "model": model,
        "prompt": job.prompt,
        "seed": job.seed,
        "steps": settings.content_steps,
        "guidance": settings.guidance,
        "size": list(settings.size),
        "dtype": settings.dtype,
    }


def picture_facts(
    job: Stylise, content: Facts, reference: Reference, settings: RunSettings
) -> Facts:
    """What makes a stylised picture."""
    return {
        "kind": "stylised",
        "style": job.style,
        "reference": {"name": reference.name, "sha256": reference.sha256},
        "method": settings.method,
        "styleid": settings.styleid.model_dump(mode="json"),
        "content": dict(content),
    }


def as_text(facts: Facts) -> dict[str, str]:
    """The facts as the text chunks of a PNG."""
    return {KEY: json.dumps(facts, sort_keys=True)}


def read_facts(path: Path) -> Facts:
    """The facts inside the picture at `path`, which is checked from its first to its last byte.

    Raises:
        FileNotFoundError: there is no picture.
        DamagedError: the file is not a whole picture.
        NotOursError: it is one, but without facts.
    """
    try:
        with Image.open(path) as image:
            text = image.info.get(KEY) if isinstance(image, PngImageFile) else None
            image.verify()
    except FileNotFoundError:
        raise
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DamagedError(f"{path}: {error}") from error
    try:
        facts = json.loads(text) if isinstance(text, str) else None
    except ValueError:
        facts = None
    if not isinstance(facts, dict):
        raise NotOursError(str(path))
    return facts


def differences(there: Facts, now: Facts) -> list[str]:
    """Each setting that differs, as `name: old there, new now`."""
    old, new = dict(_flat(there)), dict(_flat(now))
    return [
        f"{name}: {_shown(old.get(name))} there, {_shown(new.get(name))} now"
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    ]


def _flat(facts: Facts, prefix: str = "") -> list[tuple[str, Any]]:
    pairs: list[tuple[str, Any]] = []
    for name, value in facts.items():
        if isinstance(value, Mapping):
            pairs += _flat(value, f"{prefix}{name}.")
        else:
            pairs.append((prefix + name, value))
    return pairs


def _shown(value: Any) -> str:
    return "nothing" if value is None else json.dumps(value)
