"""A LoRA as other programs write it: diffusers, PEFT or kohya's scripts.

========= ==========================================================================================
diffusers one file, see `write_lora`
peft      a folder of one network's adapter: `adapter_model.safetensors`, `adapter_config.json`
kohya     one file, `lora_unet_<layer with underscores>.lora_down.weight` with an `alpha` a layer
========= ==========================================================================================

A and B are the same numbers in each. A linear layer has matrices, a convolution its kernel, however
the file that was read had them.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from jstyleid_core.errors import CheckpointError
from jstyleid_core.files import whole_folder, write_whole
from jstyleid_core.notes import note_once
from jstyleid_dreambooth.lora.files.adapter_config import CONFIG_NAME, peft_config
from jstyleid_dreambooth.lora.files.modelspec import carried
from jstyleid_dreambooth.lora.files.names import TensorName, parse_name
from jstyleid_dreambooth.lora.files.writing import described, safetensors, write_lora
from jstyleid_dreambooth.lora.weights import LoRAWeights, LowRank, Part, version_of

Format = Literal["diffusers", "peft", "kohya"]

_MODEL_NAME = "adapter_model.safetensors"
_FLAT: dict[Part, str] = {"unet": "lora_unet_", "text_encoder": "lora_te_"}
_KERNELS = (
    (3, re.compile(r"(?:.*\.)?(?:conv1|conv2|conv_in|conv_out|(?:down|up)samplers\.\d+\.conv)")),
    (1, re.compile(r".*\.conv_shortcut")),
)
_PROJECTION = re.compile(r"(?:.*\.)?proj_(?:in|out)")


def write_as(path: str | os.PathLike[str], weights: LoRAWeights, form: Format) -> Path:
    """Write a LoRA as another program does, whole or not at all. Equal LoRAs give equal bytes.

    Args:
        path: the `.safetensors` file; for `peft` a folder that is not there, or empty.
        weights: the LoRA; what is still true of its `about` is written into the header.
        form: the program.

    Returns:
        The file or the folder.

    Raises:
        CheckpointError: the format cannot hold the LoRA, or a layer is no layer of Stable
            Diffusion.
        OutputError: it cannot be written.
    """
    path = Path(path).expanduser()
    shaped = _in_shape(weights)
    shaped = replace(shaped, about=carried(shaped.about, shaped, form))
    if form == "diffusers":
        return write_lora(path, shaped)
    if form == "kohya":
        write_whole(path, _kohya(shaped))
    else:
        _write_peft(path, shaped)
    return path


def _in_shape(weights: LoRAWeights) -> LoRAWeights:
    """The same LoRA with A and B in the shapes that the layers of Stable Diffusion have."""
    version = version_of(weights)
    return replace(weights, layers={
        part: {path: _shaped(f"{weights.source}: {part}.{path}", layer, _kernel(path, version))
               for path, layer in layers.items()}
        for part, layers in weights.layers.items() if layers})


def _kernel(path: str, version: str | None) -> int | None:
    """The side of a convolution's kernel, 0 for a linear layer; None where it may be either."""
    if _PROJECTION.fullmatch(path):  # a convolution in Stable Diffusion 1, and linear in 2
        return {"Stable Diffusion 1": 1, "Stable Diffusion 2": 0}.get(version or "")
    return next((side for side, names in _KERNELS if names.fullmatch(path)), 0)


def _shaped(name: str, layer: LowRank, side: int | None) -> LowRank:
    if side is None:
        return layer
    rank, inner = layer.rank, layer.down[0].size
    kernel = (side, side) if side else ()
    fits = inner % max(side * side, 1) == 0 and layer.down.shape[2:] in ((), (1, 1), kernel)
    if not fits:
        wanted = f"a convolution of {side} x {side}" if side else "a linear layer"
        raise CheckpointError(
            f"{name} is {wanted} in Stable Diffusion, but A is {list(layer.down.shape)}. "
            "Export the LoRA again.")
    ones = (1, 1) if side else ()
    return replace(layer, down=layer.down.reshape(rank, -1, *kernel),
                   up=layer.up.reshape(-1, rank, *ones))


def _kohya(weights: LoRAWeights) -> bytes:
    attention = {layer.alpha for part, path, layer in weights.items()
                 if part == "unet" and ".attn" in path}
    if len(attention) > 1:
        note_once(f"{weights.source}: alpha differs among the attention layers. diffusers takes "
                  "the most common one for all where a file is kohya's; kohya's scripts, A1111 "
                  "and ComfyUI read each. Convert to diffusers for diffusers.")
    tensors: dict[str, NDArray[np.floating[Any]]] = {}
    for part, path, layer in weights.items():
        name = _FLAT[part] + path.replace(".", "_")
        if parse_name(f"{name}.alpha") != TensorName(part, path, "alpha"):
            raise CheckpointError(
                f"{weights.source}: {part}.{path} has no name in kohya's spelling, where "
                "underscores stand for dots. Convert it to diffusers or peft.")
        tensors[f"{name}.lora_down.weight"] = layer.down
        tensors[f"{name}.lora_up.weight"] = layer.up
        single = np.array(layer.alpha, np.float32)
        # The root in a rank-stabilised scale is no number of float32.
        tensors[f"{name}.alpha"] = single if single == layer.alpha else np.array(layer.alpha)
    return safetensors(tensors, described(weights.about))


def _write_peft(folder: Path, weights: LoRAWeights) -> None:
    parts = list(weights.layers)
    if len(parts) > 1:
        raise CheckpointError(
            f"{weights.source} changes the UNet and the text encoder, and an adapter of PEFT one "
            "network. Give --only unet or --only text_encoder, and a folder for each.")
    layers = weights.layers[parts[0]]
    base = weights.about.get("base_model")
    config: Mapping[str, Any] = {
        "peft_type": "LORA", "task_type": None, "inference_mode": True,
        "base_model_name_or_path": base, "bias": "none", "fan_in_fan_out": False,
        "init_lora_weights": True, "lora_dropout": 0.0, "modules_to_save": None,
        "use_dora": False, "use_rslora": False, **peft_config(layers, weights.source),
    }
    # The text encoder's paths as in transformers 5.
    tensors = {f"base_model.model.{path.removeprefix('text_model.')}.lora_{letter}.weight": values
               for path, layer in layers.items()
               for letter, values in (("A", layer.down), ("B", layer.up))}
    with whole_folder(folder) as temporary:
        (temporary / _MODEL_NAME).write_bytes(safetensors(tensors, described(weights.about)))
        (temporary / CONFIG_NAME).write_text(json.dumps(config, indent=2, sort_keys=True) + "\n",
                                             encoding="utf-8")
