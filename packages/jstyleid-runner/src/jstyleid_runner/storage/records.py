"""The records of a run: `run.json` and `train.json`, and the digests of files in them."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator
from typing_extensions import Self

import jstyleid_core
import jstyleid_dreambooth
import jstyleid_runner
from jstyleid_core.errors import InputError
from jstyleid_core.files import atomic_path, hash_file, read_regular
from jstyleid_dreambooth.lora.files.adapter_config import CONFIG_NAME


@dataclass(frozen=True)
class HashedFile:
    """A file, as recorded."""

    name: str
    sha256: str

    @classmethod
    def of(cls, path: Path) -> Self:
        """The name and the digest of a file."""
        return cls(path.name, hash_file(path))


def digests(paths: Iterable[Path]) -> dict[str, str]:
    """The digest of each of several files in one folder, by its name."""
    return {path.name: hash_file(path) for path in paths}


def lora_record(file: Path) -> dict[str, str]:
    """The name and the digest of a LoRA file, and of PEFT's settings beside it, if any."""
    settings = file.with_name(CONFIG_NAME)
    record = asdict(HashedFile.of(file))
    return record | {"settings": hash_file(settings)} if settings.is_file() else record


_FILES = {".json", ".safetensors", ".txt", ".model"}


def quick_stamp(paths: Iterable[Path], prediction: str | None = None) -> str:
    """A digest of the names, sizes and times of the checkpoint's files, not of their content.

    A file that was replaced has another time, and nearly always another size.

    Args:
        paths: the folders and files of the checkpoint.
        prediction: what it is said to predict.
    """
    entries: list[tuple[str, int, int] | str] = []
    for root in paths:
        for path in sorted(root.rglob("*")) if root.is_dir() else [root]:
            if path == root or (path.suffix in _FILES and path.is_file()):
                status = path.stat()
                name = root.name if path == root else path.relative_to(root).as_posix()
                entries.append((name, status.st_size, status.st_mtime_ns))
    if prediction:
        entries.append(prediction)
    return hashlib.sha256(json.dumps(entries).encode()).hexdigest()


class ModelRecord(BaseModel):
    """The checkpoint that was used.

    The fingerprint, a digest of all weights, decides whether two checkpoints are the same. It takes
    a load of the model to compute, so the stamp (see `quick_stamp`) vouches for it: as long as
    that is unchanged, the files are taken to be.
    """

    model_config = ConfigDict(frozen=True)

    source: str
    stamp: str | None
    fingerprint: str


class Record(BaseModel):
    """The content that both files share."""

    model_config = ConfigDict(frozen=True)

    format: Literal[1] = 1
    model: ModelRecord
    versions: dict[str, str]

    def write(self, path: Path) -> None:
        """Write the record, whole or not at all."""
        with atomic_path(path) as temporary:
            temporary.write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """The record at `path`, or None when there is none yet.

        Raises:
            InputError: the file is there but unreadable.
        """
        try:
            return cls.model_validate_json(read_regular(path))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
            raise InputError(
                f"{path}: not a record this version can read ({reason}). Choose another folder, or "
                "remove the file: the results carry their settings themselves.",
                fields=["out"],
            ) from error


class RunRecord(Record):
    """The content of `run.json`."""

    settings: dict[str, Any]
    references: dict[str, HashedFile | list[HashedFile]]

    @field_validator("settings")
    @classmethod
    def _with_backend(cls, settings: dict[str, Any]) -> dict[str, Any]:
        """Older records name none: there was the native one only."""
        return {"backend": "native", **settings}


class TrainRecord(Record):
    """The content of `train.json`. How a LoRA was trained is in its own file."""


def known_fingerprint(record: Record | None, stamp: str | None) -> str | None:
    """The fingerprint on record, if the checkpoint's stamp vouches for it."""
    if record is None or stamp is None or record.model.stamp != stamp:
        return None
    return record.model.fingerprint


def versions() -> dict[str, str]:
    """Versions of this project and of Jittor."""
    # The project's own from the code, which may run without being installed.
    return {
        "jstyleid-runner": jstyleid_runner.__version__,
        "jstyleid-dreambooth": jstyleid_dreambooth.__version__,
        "jstyleid-core": jstyleid_core.__version__,
        "jittor": version("jittor"),
    }
