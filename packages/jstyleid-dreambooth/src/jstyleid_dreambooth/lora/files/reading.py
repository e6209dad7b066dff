"""Reading LoRA files of every common spelling, as weights under diffusers' module paths."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jstyleid_core.errors import CheckpointError
from jstyleid_core.notes import note_once
from jstyleid_dreambooth.lora.files.adapter_config import (
    HEADER_KEY,
    AdapterConfig,
    config_beside,
    config_in_header,
)
from jstyleid_dreambooth.lora.files.finding import find_file
from jstyleid_dreambooth.lora.files.names import Role, parse_name
from jstyleid_dreambooth.lora.files.patterns import PatternError
from jstyleid_dreambooth.lora.files.tensor_file import TensorFile, read_tensors
from jstyleid_dreambooth.lora.files.unsupported import refuse_unsupported
from jstyleid_dreambooth.lora.weights import LoRAWeights, LowRank, Part

_SHOWN = 3
_BUNDLED = "bundle_emb."
_LONGEST_NAME = 500
_LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class _Tensor:
    name: str
    adapter: str | None
    values: NDArray[Any]


_Layers = dict[Part, dict[str, dict[Role, _Tensor]]]


def read_lora(path: str | os.PathLike[str]) -> LoRAWeights:
    """Read a LoRA that diffusers, PEFT, kohya's scripts, OneTrainer, ComfyUI or others wrote.

    Args:
        path: a file of safetensors or of torch's (read as data: code in it is an error, not run),
            or the folder of one, see `lora_in`.

    Returns:
        Every layer in float32. alpha is the file's (kohya's tensors, diffusers' header, PEFT's
        `adapter_config.json`), or the rank where none is given.

    Raises:
        CheckpointError: the file is missing, damaged, without LoRA tensors, holds code, is spelled
            in an unknown way, is of another method or for another model; or a layer is incomplete,
            is there twice, or has no finite update of low rank.
    """
    return weights_in(read_tensors(find_file(Path(os.path.expanduser(path)))))


def weights_in(file: TensorFile) -> LoRAWeights:
    """The LoRA in a file that is read; raises a CheckpointError as `read_lora` does."""
    tensors = _without_embeddings(file)
    for name in tensors:
        if len(name) > _LONGEST_NAME:
            raise CheckpointError(
                f"{file.path}: a tensor has a name of {len(name)} characters, {name[:40]}... "
                "Export the LoRA again."
            )
    refuse_unsupported(file.path, tensors)
    found = _by_layer(file.path, tensors)
    configs = _configs(file, tensors)
    layers = {
        part: {layer: _layer(file.path, f"{part}.{layer}", layer, given, configs.get(part))
               for layer, given in by_path.items()}
        for part, by_path in found.items()
    }
    about = {key: value for key, value in file.header.items() if key not in (HEADER_KEY, "format")}
    return LoRAWeights(layers, about, str(file.path))


def _without_embeddings(file: TensorFile) -> Mapping[str, NDArray[Any]]:
    """The tensors but for embeddings that OneTrainer bundles with a LoRA, which are said."""
    words = sorted({name.removeprefix(_BUNDLED).split(".")[0] for name in file.tensors
                    if name.startswith(_BUNDLED)})
    if words and len(kept := {name: values for name, values in file.tensors.items()
                              if not name.startswith(_BUNDLED)}):
        note_once(
            f"{file.path}: the embeddings that are bundled with the LoRA are left out "
            f"({', '.join(words[:_SHOWN])}); in prompts these words have no meaning of their own."
        )
        return kept
    return file.tensors


def _by_layer(file: Path, tensors: Mapping[str, NDArray[Any]]) -> _Layers:
    """The tensors by network, layer and role.

    Raises:
        CheckpointError: names are not understood, or two tensors have one place.
    """
    found: _Layers = {}
    unknown = []
    for name, values in tensors.items():
        place = parse_name(name)
        if place is None:
            unknown.append(name)
            continue
        layer = found.setdefault(place.part, {}).setdefault(place.path, {})
        if twin := layer.get(place.role):
            if twin.adapter != place.adapter:
                one, two = (adapter or "one without a name" for adapter in
                            (twin.adapter, place.adapter))
                raise CheckpointError(f"{file} holds several adapters, among them {one} and {two}. "
                                      "Save one adapter alone.")
            raise CheckpointError(
                f"{file}: {place.part}.{place.path} is there twice, as {twin.name} and as {name}. "
                "Export the LoRA again, in one spelling."
            )
        layer[place.role] = _Tensor(name, place.adapter, values)
    if unknown:
        raise CheckpointError(
            f"{file}: {len(unknown)} of {len(tensors)} tensors have names that are not "
            f"understood: {', '.join(unknown[:_SHOWN])}. LoRA layers are read as diffusers, PEFT, "
            "kohya's scripts, OneTrainer and ComfyUI name them."
        )
    return found


def _configs(
    file: TensorFile, tensors: Mapping[str, NDArray[Any]]
) -> dict[Part, AdapterConfig]:
    """PEFT's settings for each network, from the header or from the file beside the tensors."""
    if HEADER_KEY in file.header:
        return config_in_header(file.header[HEADER_KEY], file.path)
    if not any(".lora_A" in name for name in tensors):
        return {}
    configs = config_beside(file.path)
    if not configs and any("base_model.model." in name for name in tensors):
        note_once(f"{file.path}: no adapter_config.json of PEFT is beside the file, "
                  "so alpha is taken to be the rank.")
    return configs


def _layer(
    file: Path, name: str, path: str, tensors: Mapping[Role, _Tensor], config: AdapterConfig | None
) -> LowRank:
    if "down" not in tensors or "up" not in tensors:
        there = " and ".join(tensors)
        raise CheckpointError(
            f"{file}: {name} is incomplete, of A (down) and B (up) there is only: {there}. "
            "Export the LoRA again."
        )
    values = {role: tensor.values for role, tensor in tensors.items()}
    down, up = values["down"], values["up"]
    if min(down.ndim, up.ndim) < 2 or up.shape[1] != down.shape[0] or np.prod(up.shape[2:]) != 1:
        raise CheckpointError(
            f"{file}: the rank of {name} is unclear: A (down) is {list(down.shape)}, rank first, "
            f"and B (up) is {list(up.shape)}, rank second. Export the LoRA again."
        )
    rank = down.shape[0]
    if 0 in (down.size, up.size) or rank > max(down.size // rank, up.shape[0]):
        raise CheckpointError(
            f"{file}: {name} has rank {rank}, which is no rank of its layer: A (down) is "
            f"{list(down.shape)} and B (up) is {list(up.shape)}. Export the LoRA again."
        )
    if "mid" in values:
        down = _with_core(file, name, down, values["mid"])
    if not all(np.isfinite(x).all() for role, x in values.items() if role != "alpha"):
        raise CheckpointError(
            f"{file}: {name} holds numbers that are not finite: the training diverged or the file "
            "is damaged. Use another checkpoint of the LoRA."
        )
    alpha = _alpha(file, name, path, values.get("alpha"), rank, config)
    # Products of the largest numbers: beyond float32 the update may be infinite.
    if not float(np.abs(down).max()) * float(np.abs(up).max()) * abs(alpha) <= _LARGEST:
        raise CheckpointError(
            f"{file}: {name} has rank {rank} and alpha {alpha:g}, which give no finite update. "
            "Export the LoRA again."
        )
    return LowRank(down, up, alpha)


def _with_core(
    file: Path, name: str, down: NDArray[np.float32], mid: NDArray[np.float32]
) -> NDArray[np.float32]:
    """A of a convolution in Tucker's form: `down` (r, in, 1, 1), then the core (r, r, kh, kw)."""
    rank = down.shape[0]
    if mid.ndim != 4 or mid.shape[:2] != (rank, rank) or np.prod(down.shape[2:]) != 1:
        raise CheckpointError(
            f"{file}: the middle of {name} is {list(mid.shape)}, and A (down) is "
            f"{list(down.shape)}: they do not make a convolution of rank {rank}. "
            "Export the LoRA again."
        )
    with np.errstate(all="ignore"):  # numbers that are not finite are refused afterwards
        return np.einsum("ijhw,jc->ichw", mid, down.reshape(rank, -1)).astype(np.float32)


def _alpha(
    file: Path, name: str, path: str, stored: NDArray[Any] | None, rank: int,
    config: AdapterConfig | None,
) -> float:
    if stored is not None:
        if stored.size != 1:
            raise CheckpointError(
                f"{file}: the alpha of {name} holds {stored.size} numbers, not one. "
                "Export the LoRA again."
            )
        return float(stored.reshape(()))
    if config is None:
        return float(rank)
    try:
        return config.alpha(path, rank)
    except (PatternError, ValueError) as error:
        raise CheckpointError(
            f"{file}: {name} does not fit the LoRA's settings: {error}. "
            "Use the settings that were saved with these tensors."
        ) from error
