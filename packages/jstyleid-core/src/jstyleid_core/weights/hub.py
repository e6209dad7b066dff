"""Files of the hub, downloaded once: of a checkpoint those that are read, and CLIP's vocabulary."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.utils import (  # type: ignore[attr-defined]  # newer: in .errors, too
    HFValidationError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
)

from jstyleid_core.errors import CheckpointError, setting
from jstyleid_core.weights.folder import OTHER_FILES, has_unet, needed, weight_patterns

CLIP_TOKENIZER = "openai/clip-vit-large-patch14"
"""The repository of the vocabulary that Stable Diffusion 1.x and 2.x were trained with."""
_VOCABULARY = ("vocab.json", "merges.txt")


def from_hub(repository: str, half: bool) -> Path:
    """The folder of a checkpoint that is on the hub, downloaded unless it is here.

    Raises:
        CheckpointError: no such repository, or it cannot be reached and is not here.
    """
    def download() -> Path:
        names = HfApi().list_repo_files(repository)
        return Path(snapshot_download(repository, allow_patterns=needed(names, half)))

    try:
        return _downloaded_or(download, lambda: downloaded(repository, half))
    except (RepositoryNotFoundError, HFValidationError) as error:
        raise CheckpointError(
            f"no such checkpoint: {repository} is neither a file or a folder here nor a "
            f"repository on the hub. Check {setting('model')} (or JSTYLEID_MODEL).",
            fields=["model"],
        ) from error
    except Exception as reason:  # each version of the hub's library has its transport's errors
        raise CheckpointError(
            f"{repository} is not on this machine and cannot be downloaded ({reason}). "
            f"Download it where there is a connection, and give its folder with "
            f"{setting('model')}.",
            fields=["model"],
        ) from reason


def downloaded(repository: str, half: bool) -> Path | None:
    """The folder of a checkpoint that was downloaded earlier; None if it was not.

    Raises:
        CheckpointError: `repository` cannot be a hub id.
    """
    try:
        for variant in ("fp16", None) if half else (None, "fp16"):
            # The library calls a download incomplete unless told what was wanted of it.
            folder = _here(repository, [*OTHER_FILES, *weight_patterns(variant)])
            if folder is not None and has_unet(folder, variant):
                return folder
    except HFValidationError as error:
        raise CheckpointError(
            f"{repository} cannot be a hub id ({error}). Check {setting('model')}.",
            fields=["model"]) from error
    return None


def clip_vocabulary() -> Path:
    """The folder of CLIP's vocabulary, downloaded unless it is here.

    Raises:
        CheckpointError: it cannot be reached and is not here.
    """
    try:
        return _downloaded_or(
            lambda: Path(snapshot_download(CLIP_TOKENIZER, allow_patterns=list(_VOCABULARY))),
            clip_vocabulary_here)
    except Exception as reason:  # see above
        raise CheckpointError(
            f"A single file brings no tokenizer, and CLIP's, {CLIP_TOKENIZER} on the hub, is not "
            f"on this machine and cannot be downloaded ({reason}). Give a folder with "
            f"{' and '.join(_VOCABULARY)}, such as tokenizer of a checkpoint, with "
            f"{setting('tokenizer')}.",
            fields=["tokenizer"]) from reason


def clip_vocabulary_here() -> Path | None:
    """The folder of CLIP's vocabulary if it is on this machine."""
    return _here(CLIP_TOKENIZER, _VOCABULARY)


def _downloaded_or(download: Callable[[], Path], earlier: Callable[[], Path | None]) -> Path:
    try:
        return download()
    except (RepositoryNotFoundError, HFValidationError):
        raise
    except Exception:  # whatever keeps us from the hub, what an earlier download left is as good
        found = earlier()
        if found is None:
            raise
        return found


def _here(repository: str, wanted: Sequence[str]) -> Path | None:
    try:
        return Path(snapshot_download(repository, allow_patterns=list(wanted),
                                      local_files_only=True))
    except LocalEntryNotFoundError:
        return None
