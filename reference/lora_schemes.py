"""Small LoRA files in the spellings that other programs write, made without torch.

Both sides of the comparison write them with this file: diffusers and peft load them in
``test_lora_schemes.py`` and leave the update of each layer in ``golden/lora/schemes.safetensors``
(``lora_schemes_torch.py``), and the tests of jstyleid-dreambooth read them.

================= ================================================================================
processors        diffusers of spring 2023, ``unet.<attention>.processor.to_q_lora.down.weight``
layers            diffusers of autumn 2023, ``.lora.down.weight`` and ``.lora_linear_layer``
header            diffusers of today, PEFT's names, ranks and alphas by patterns in the header
adapter           ``unet.save_lora_adapter``: no prefix in the names nor in the header
kohya             kohya's scripts with ``alpha``, in diffusers' block names
original          the same in the block names of the original code, as A1111 has them
onetrainer        OneTrainer's dotted names, and a bundled embedding
comfyui           ComfyUI's dotted names, in those of the original code
peft              PEFT's folder: patterns with regular expressions, rank-stabilised scales
peft-text         PEFT's folder of an adapter with a name, on the text encoder
tucker            LyCORIS' LoCon with ``lora_mid``
================= ================================================================================

All are for the small checkpoint ``sd21-v``.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

Array = NDArray[np.float32]

_BLOCK = "down_blocks.0.attentions.1.transformer_blocks.0"
_MIDDLE = "mid_block.attentions.0.transformer_blocks.0"
_TEXT = "text_model.encoder.layers.0"

Layers = Mapping[str, tuple[int, float, tuple[int, ...]]]
#: Rank, alpha and shape of the weight of each layer, by network and diffusers' path. Attention has
#: one rank and one alpha: where neither a header nor PEFT's settings say them, diffusers takes the
#: most common ones for all.
ATTENTION: Layers = {
    f"unet.{_BLOCK}.attn1.to_out.0": (2, 3.0, (32, 32)),
    f"unet.{_BLOCK}.attn2.to_k": (2, 3.0, (32, 48)),
    f"unet.{_MIDDLE}.attn1.to_q": (2, 3.0, (64, 64)),
    f"text_encoder.{_TEXT}.self_attn.out_proj": (2, 3.0, (48, 48)),
}
EVERY: Layers = {
    **ATTENTION,
    f"unet.{_BLOCK}.ff.net.2": (2, 3.0, (32, 128)),
    "unet.conv_in": (2, 4.0, (32, 4, 3, 3)),
    "unet.down_blocks.0.resnets.0.time_emb_proj": (2, 3.0, (32, 128)),
    f"text_encoder.{_TEXT}.mlp.fc1": (2, 3.0, (96, 48)),
}
VARIED: Layers = {**EVERY, f"unet.{_BLOCK}.attn2.to_k": (3, 5.0, (32, 48))}
#: The names of the original code, which are those of diffusers but for the UNet's blocks.
ORIGINAL = {
    f"unet.{_BLOCK}": "unet.input_blocks.2.1.transformer_blocks.0",
    f"unet.{_MIDDLE}": "unet.middle_block.1.transformer_blocks.0",
    "unet.conv_in": "unet.input_blocks.0.0",
    "unet.down_blocks.0.resnets.0.time_emb_proj": "unet.input_blocks.1.0.emb_layers.1",
}


def numbers(name: str, *shape: int) -> Array:
    """Numbers in [-1, 1), the same on every machine."""
    generator = np.random.default_rng(zlib.crc32(name.encode()))
    return (generator.random(shape) * 2 - 1).astype(np.float32)


def matrices(layer: str, layers: Layers) -> tuple[Array, Array]:
    """A and B of a layer."""
    rank, _, shape = layers[layer]
    return (numbers(f"{layer} A", rank, *shape[1:]),
            numbers(f"{layer} B", shape[0], rank, *(1,) * (len(shape) - 2)))


def _tensors(layers: Layers, name: Callable[[str], tuple[str, str]]) -> dict[str, Array]:
    return {key: matrix for layer in layers
            for key, matrix in zip(name(layer), matrices(layer, layers), strict=True)}


def _of(part: str, layers: Layers) -> Layers:
    return {layer: found for layer, found in layers.items() if layer.startswith(f"{part}.")}


def _processors(folder: Path) -> Path:
    def name(layer: str) -> tuple[str, str]:
        attention, projection = layer.removesuffix(".0").rsplit(".", 1)
        letter = projection.removeprefix("to_").removesuffix("_proj")
        middle = ".processor" if layer.startswith("unet") else ""
        return (f"{attention}{middle}.to_{letter}_lora.down.weight",
                f"{attention}{middle}.to_{letter}_lora.up.weight")

    return _save(folder, "pytorch_lora_weights", _tensors(ATTENTION, name))


def _layers(folder: Path) -> Path:
    def name(layer: str) -> tuple[str, str]:
        infix = "lora" if layer.startswith("unet") else "lora_linear_layer"
        return f"{layer}.{infix}.down.weight", f"{layer}.{infix}.up.weight"

    return _save(folder, "pytorch_lora_weights", _tensors(EVERY, name))


def _peft_names(layer: str) -> tuple[str, str]:
    return f"{layer}.lora_A.weight", f"{layer}.lora_B.weight"


def _settings(part: str) -> dict[str, Any]:
    inside = {layer.removeprefix(f"{part}."): found for layer, found in _of(part, VARIED).items()}
    return {
        "r": 2, "lora_alpha": 3, "init_lora_weights": "gaussian", "peft_type": "LORA",
        "target_modules": [path.removeprefix("text_model.") for path in inside],
        "rank_pattern": {f"^{path}": rank for path, (rank, _, _) in inside.items() if rank != 2},
        "alpha_pattern": {f"^{path}": alpha for path, (_, alpha, _) in inside.items()
                          if alpha != 3},
    }


def _header(folder: Path) -> Path:
    settings = {f"{part}.{key}": value for part in ("unet", "text_encoder")
                for key, value in _settings(part).items()}
    return _save(folder, "pytorch_lora_weights", _tensors(VARIED, _peft_names), settings)


def _adapter(folder: Path) -> Path:
    tensors = _tensors(_of("unet", VARIED), lambda layer: _peft_names(layer.removeprefix("unet.")))
    return _save(folder, "pytorch_lora_weights", tensors, _settings("unet"))


def _original(layer: str) -> str:
    for path, original in ORIGINAL.items():
        if layer.startswith(path):
            return layer.replace(path, original)
    return layer


def _with_alpha(rename: Callable[[str], str]) -> dict[str, Array]:
    tensors = _tensors(EVERY, lambda layer: (f"{rename(layer)}.lora_down.weight",
                                             f"{rename(layer)}.lora_up.weight"))
    alphas = {f"{rename(layer)}.alpha": np.array(alpha, np.float32)
              for layer, (_, alpha, _) in EVERY.items()}
    return tensors | alphas


def _flat(layer: str) -> str:
    part, path = layer.split(".", 1)
    return {"unet": "lora_unet_", "text_encoder": "lora_te_"}[part] + path.replace(".", "_")


def _dotted(layer: str, unet: str, text: str) -> str:
    return layer.replace("unet.", unet, 1).replace("text_encoder.", text, 1)


def _kohya(folder: Path) -> Path:
    return _save(folder, "style", _with_alpha(_flat))


def _kohya_original(folder: Path) -> Path:
    return _save(folder, "style", _with_alpha(lambda layer: _flat(_original(layer))))


def _onetrainer(folder: Path) -> Path:
    tensors = _with_alpha(lambda layer: _dotted(layer, "lora_unet.", "lora_te."))
    return _save(folder, "style", tensors | {"bundle_emb.<s>.clip_l": numbers("<s>", 1, 48)})


def _comfyui(folder: Path) -> Path:
    return _save(folder, "style", _with_alpha(lambda layer: _dotted(
        _original(layer), "diffusion_model.", "text_encoders.clip_h.transformer.")))


def _peft(folder: Path) -> Path:
    tensors = _tensors(_of("unet", VARIED), lambda layer: _peft_names(
        layer.replace("unet.", "base_model.model.", 1)))
    settings = _settings("unet") | {
        "use_rslora": True, "rank_pattern": {r"down_blocks\.\d+\..*attn[12].to_[kv]": 3},
        "alpha_pattern": {"attn1.to_q": 7, r".*(attn2|conv).*": 5, "ff.net.2": 1, "conv_in": 9},
    }
    (folder / "adapter_config.json").write_text(json.dumps(settings))
    return _save(folder, "adapter_model", tensors).parent


def _peft_text(folder: Path) -> Path:
    """As written with transformers 5, which has no ``text_model.`` in its paths."""
    tensors = _tensors(_of("text_encoder", VARIED), lambda layer: _peft_names(
        layer.replace("text_encoder.text_model.", "base_model.model.", 1)))
    inner = folder / "style_00"
    inner.mkdir()
    settings = _settings("text_encoder") | {"alpha_pattern": {"fc1": 1}}
    (inner / "adapter_config.json").write_text(json.dumps(settings))
    _save(inner, "adapter_model", tensors)
    return folder


#: The three factors of the convolution in Tucker's form, as ``numbers`` are called for them.
TUCKER = {"lora_down": ("tucker A", 2, 4, 1, 1), "lora_mid": ("tucker core", 2, 2, 3, 3),
          "lora_up": ("tucker B", 32, 2, 1, 1)}
TUCKER_ALPHA = 3.0


def _tucker(folder: Path) -> Path:
    factors = {f"lora_unet_conv_in.{name}.weight": numbers(*factor)
               for name, factor in TUCKER.items()}
    return _save(folder, "style", factors | {
        "lora_unet_conv_in.alpha": np.array(TUCKER_ALPHA, np.float32)})


def _save(
    folder: Path, stem: str, tensors: dict[str, Array], settings: dict[str, Any] | None = None
) -> Path:
    header = {"format": "pt"}
    if settings:
        header["lora_adapter_metadata"] = json.dumps(settings)
    path = folder / f"{stem}.safetensors"
    save_file(tensors, path, header)
    return path


SCHEMES: dict[str, Callable[[Path], Path]] = {
    "processors": _processors, "layers": _layers, "header": _header, "adapter": _adapter,
    "kohya": _kohya, "original": _kohya_original, "onetrainer": _onetrainer, "comfyui": _comfyui,
    "peft": _peft, "peft-text": _peft_text, "tucker": _tucker,
}
"""Functions that write a LoRA into an empty folder and return the file or the folder to read."""

RENAMED = {"original": "kohya", "onetrainer": "kohya", "comfyui": "kohya"}
"""Schemes that differ from another one by their names only."""
