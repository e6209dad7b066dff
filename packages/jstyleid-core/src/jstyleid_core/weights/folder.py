"""A checkpoint in diffusers layout: a folder with a folder for each network."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from jstyleid_core.config import (
    Component,
    PredictionType,
    ScheduleConfig,
    TextConfig,
    UNetConfig,
    VAEConfig,
)
from jstyleid_core.errors import CheckpointError
from jstyleid_core.json_files import read_json
from jstyleid_core.weights.tensors import StoredTensor, stored_tensors

_BASES: dict[Component, str] = {
    "unet": "unet/diffusion_pytorch_model", "vae": "vae/diffusion_pytorch_model",
    "text_encoder": "text_encoder/model"}
_VAE_ALONE = "diffusion_pytorch_model"
OTHER_FILES = ("unet/config.json", "vae/config.json", "text_encoder/config.json",
               "scheduler/scheduler_config.json", "tokenizer/vocab.json", "tokenizer/merges.txt",
               "tokenizer/tokenizer.json", "tokenizer/special_tokens_map.json",
               "tokenizer/tokenizer_config.json", "tokenizer/added_tokens.json")
"""The files of a repository that are read beside the weights."""

# Until diffusers 0.13 the VAE's attention had names of its own; most published files still do.
_OLD_VAE_NAMES = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}
_OLD_VAE = re.compile(r"(mid_block\.attentions\.0)\.(query|key|value|proj_attn)\.")


@dataclass(frozen=True)
class DiffusersFolder:
    """A complete folder on this machine."""

    path: Path
    variant: str | None
    """`fp16` where only, or by wish, the half-precision files are read."""

    @classmethod
    def of(cls, path: Path, half: bool) -> DiffusersFolder:
        """The folder; with `half` the `fp16` variant is preferred where there is a choice."""
        return cls(path, chosen_variant(_listing(path), half))

    def unet_config(self) -> UNetConfig:
        """Configuration of the UNet."""
        return UNetConfig.read(self.path / "unet" / "config.json")

    def vae_config(self) -> VAEConfig:
        """Configuration of the autoencoder."""
        return VAEConfig.read(self.path / "vae" / "config.json")

    def text_config(self) -> TextConfig:
        """Configuration of the text encoder."""
        return TextConfig.read(self.path / "text_encoder" / "config.json")

    def schedule_config(self, prediction: PredictionType | None) -> ScheduleConfig:
        """The noise schedule; `prediction` takes the place of the file's."""
        given = {} if prediction is None else {"prediction_type": prediction}
        return ScheduleConfig.read(self.path / "scheduler" / "scheduler_config.json", **given)

    def weights(self, component: Component) -> list[Path]:
        """The safetensors files of a network: one, or all of an index.

        Raises:
            CheckpointError: there is none, or a shard of the index is missing.
        """
        return _found_weights(self.path, _BASES[component], self.variant)

    def tensors(self, component: Component) -> dict[str, StoredTensor]:
        """The tensors of a network by the names of its parameters; only headers are read."""
        return by_parameter(component, stored_tensors(self.weights(component)))


@dataclass(frozen=True)
class VAEFolder:
    """The folder of an autoencoder alone, as `vae` of a checkpoint, or a repository of its own."""

    path: Path

    def config(self) -> VAEConfig:
        """Configuration of the autoencoder."""
        return VAEConfig.read(self.path / "config.json")

    def weights(self) -> list[Path]:
        """The safetensors files; see `DiffusersFolder.weights`."""
        variant = None if _weight_files(_VAE_ALONE, _listing(self.path), None, _none) else "fp16"
        return _found_weights(self.path, _VAE_ALONE, variant)

    def tensors(self) -> dict[str, StoredTensor]:
        """The tensors by the names of the parameters; only headers are read."""
        return by_parameter("vae", stored_tensors(self.weights()))


def by_parameter(
    component: Component, tensors: dict[str, StoredTensor]
) -> dict[str, StoredTensor]:
    """Tensors by the names of the parameters, of tensors by the names in a file.

    Without those that are no weights.
    """
    named = ((parameter_name(component, name), tensor) for name, tensor in tensors.items())
    return {name: tensor for name, tensor in named if name is not None}


def parameter_name(component: Component, name: str) -> str | None:
    """The parameter that a tensor belongs to; None for one that is no weight."""
    if component == "vae":
        return _OLD_VAE.sub(lambda m: f"{m[1]}.{_OLD_VAE_NAMES[m[2]]}.", name)
    if component == "text_encoder":
        if name.endswith("embeddings.position_ids"):
            return None  # the numbers 0..76, stored by old versions of transformers
        return name if name.startswith("text_model.") else f"text_model.{name}"
    return name


def needed(names: Collection[str], half: bool) -> list[str]:
    """Of all files of a repository those that are read.

    The shards of an index are taken by pattern, since the index itself is not read yet.
    """
    variant = chosen_variant(names, half)
    wanted = [name for name in OTHER_FILES if name in names]
    for base in _BASES.values():
        patterns = _file_patterns(base, variant)
        # A component that lacks the variant is read as it is.
        if not any(fnmatch(name, pattern) for name in names for pattern in patterns):
            patterns = _file_patterns(base, None)
        wanted += patterns
    return wanted


def weight_patterns(variant: str | None) -> list[str]:
    """The weights of all networks in a variant, as patterns."""
    return [pattern for base in _BASES.values() for pattern in _file_patterns(base, variant)]


def has_unet(folder: Path, variant: str | None) -> bool:
    """Whether a folder holds a UNet's weights, in this variant or in full."""
    return _weight_files(_BASES["unet"], _listing(folder), variant, _none) is not None


def chosen_variant(names: Collection[str], half: bool) -> str | None:
    """`fp16` where it is alone or asked for; None for the full files."""
    has = {variant: _weight_files(_BASES["unet"], names, variant, _none) is not None
           for variant in (None, "fp16")}
    return "fp16" if has["fp16"] and (half or not has[None]) else None


def _file_patterns(base: str, variant: str | None) -> list[str]:
    """The weights of a network: in one file, or in shards, and the index of these."""
    dotted = f".{variant}" if variant else ""
    return [f"{base}{dotted}.safetensors", *_index_names(base, variant),
            f"{base}{dotted}-*.safetensors", f"{base}-*{dotted}.safetensors"]


def _index_names(base: str, variant: str | None) -> list[str]:
    """The names of an index, as transformers and the versions of diffusers spell it."""
    dotted = f".{variant}" if variant else ""
    return list(dict.fromkeys([
        f"{base}.safetensors.index{dotted}.json", f"{base}.safetensors{dotted}.index.json",
        f"{base}{dotted}.safetensors.index.json"]))


def _found_weights(folder: Path, base: str, variant: str | None) -> list[Path]:
    names = _listing(folder)
    chosen = _weight_files(base, names, variant, lambda index: _weight_map(folder / index))
    if chosen is None:
        inner = (folder / base).parent
        has_bin = any(name.endswith(".bin") and (folder / name).parent == inner for name in names)
        fix = ("Only .bin files are there; pickles can run code and are not read. Save them "
               f"as safetensors: python -m jstyleid_dreambooth.converting {folder}"
               if has_bin else "Download the checkpoint again.")
        raise CheckpointError(f"{inner}: no safetensors weights. {fix}")
    return [folder / name for name in chosen]


def _weight_map(path: Path) -> Collection[str]:
    content = read_json(path)
    shards = content.get("weight_map") if isinstance(content, dict) else None
    if not isinstance(shards, dict) or not shards or not all(
        isinstance(name, str) and name not in ("", "..") and Path(name).name == name
        for name in shards.values()
    ):
        raise CheckpointError(f"{path} is not a valid index: weight_map must name a file "
                              "beside it for each tensor. Replace the file.")
    return set(shards.values())


def _weight_files(
    base: str, names: Collection[str], variant: str | None,
    weight_map: Callable[[str], Collection[str]],
) -> list[str] | None:
    # A checkpoint may hold a variant of some components only; the others are read as they are.
    for kind in (variant, None) if variant else (None,):
        single = _file_patterns(base, kind)[0]
        if single in names:
            return [single]
        for index in _index_names(base, kind):
            if index in names:
                folder = base.rpartition("/")[0]
                return sorted(f"{folder}/{shard}" if folder else shard
                              for shard in weight_map(index))
    return None


def _none(_: str) -> list[str]:
    return []


def _listing(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for pattern in ("*", "*/*")
            for path in folder.glob(pattern)}
