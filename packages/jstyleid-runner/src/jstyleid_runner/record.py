"""`run.json`: what a folder's pictures were made with."""

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from jstyleid_core.errors import InputError
from jstyleid_core.files import atomic_path
from jstyleid_runner.facts import Reference


class ModelRecord(BaseModel):
    """Which checkpoint was used.

    The fingerprint, a digest of all weights, decides whether two checkpoints are the same. It takes
    a load of the model to compute, so the stamp (see `checkpoint_stamp`) vouches for it: as long as
    that is unchanged, the files are taken to be.
    """

    model_config = ConfigDict(frozen=True)

    source: str
    stamp: str | None
    fingerprint: str


class RunRecord(BaseModel):
    """The content of `run.json`."""

    model_config = ConfigDict(frozen=True)

    format: Literal[1] = 1
    settings: dict[str, Any]
    model: ModelRecord
    references: dict[str, Reference]
    versions: dict[str, str]

    def write(self, path: Path) -> None:
        """Write the record, whole or not at all."""
        with atomic_path(path) as temporary:
            temporary.write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")


def read_record(path: Path) -> RunRecord | None:
    """The record at `path`, or None when there is none yet.

    Raises:
        InputError: the file is there but unreadable.
    """
    try:
        return RunRecord.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
        raise InputError(
            f"{path}: not a record this version can read ({reason}). Choose another --out, or "
            "remove the file: the pictures carry their settings themselves."
        ) from error
