"""LoRA files that are refused, recognised by the names and shapes of their tensors.

Two things are recognised: the model that a LoRA was trained for, where that is not Stable Diffusion
1 or 2, and another method than LoRA.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from jstyleid_core.errors import CheckpointError
from jstyleid_dreambooth.lora.files.names import parse_name

# Names have dots or, in kohya's spelling, underscores between their words.
_BETWEEN, _START = "[._]", r"(?:^|[._])"


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text.replace("~", _BETWEEN).replace("^", _START))


_MODELS = tuple((model, _pattern(text)) for model, text in (
    ("Stable Cascade", r"lora_prior_|^prior~"),
    ("AnimateDiff", r"motion_modules~"),
    ("ControlNet", r"lora_controlnet|^controlnet~"),
    ("IP-Adapter", r"to_[kv]_ip~"),
    ("HunyuanVideo", r"individual_token_refiner|img_mod~linear"),
    ("FLUX", r"^(?:double_blocks|single_blocks|single_transformer_blocks)~\d"),
    ("HiDream", r"^(?:double|single)_stream_blocks~\d"),
    ("Qwen-Image", r"transformer_blocks~\d+~(?:img|txt)_(?:mlp|mod)~"),
    ("SD3", r"^joint_(?:transformer_)?blocks~\d|lora_te3_|text_encoder_3~|t5xxl~"),
    ("Wan", r"^blocks~\d+~(?:self|cross)_attn~[qkvo]~"),
    ("Lumina or Z-Image", r"^layers~\d+~(?:attention|feed_forward)~"),
    ("a language model", r"model~layers~\d+~(?:self_attn|mlp)~"),
))
# Text encoders of that name are in SD3 and FLUX, too, whose networks are recognised before.
_SDXL = _pattern(
    r"lora_te2_|text_encoder_2~|clip_g~|^(?:add_embedding|label_emb)~"
    r"|(?:attentions~\d+|blocks~\d+~\d|middle_block~1)~transformer_blocks~[1-9]")
_SDXL_CONTEXT = 2048
_TRANSFORMER = re.compile(
    r"(?:base_model\.model\.)?(?:lora_)?transformer[._]|.*transformer_blocks[._]\d+[._]attn[._]")
_TRANSFORMER_WIDTHS = {1536: "SD3", 2432: "SD3", 3072: "FLUX"}

_METHODS = tuple((method, re.compile(text)) for method, text in (
    ("DoRA", r"\.dora_scale|\.lora_magnitude_vector"),
    ("LoHa", r"\.hada_"),
    ("LoKr", r"\.lokr_"),
    ("OFT", r"\.oft_"),
    ("BOFT", r"\.boft_"),
    ("GLoRA", r"\.[ab][12]\.weight$"),
    ("(IA)^3", r"\.ia3_l|\.on_input$"),
    ("AdaLoRA", r"\.lora_E\b|\.ranknum\b"),
    ("VeRA", r"\.vera_lambda_"),
    ("full differences of weights", r"\.diff(?:_b)?$|\.set_weight$"),
    ("trained norms", r"\.[wb]_norm$"),
    ("a LoRA with biases", r"\.bias$"),
    ("a LoRA of an embedding", r"\.lora_embedding_[AB]"),
    ("a LoRA that enlarges layers", r"\.reshape_weight$"),
    ("the LoRA code of 2022 that counts its layers", r"^(?:unet|text_encoder):\d+:(?:up|down)$"),
))
_LORA_WORDS = ("lora", "lycoris", ".hada_", ".lokr_", ".oft_", ".boft_", ".ia3_l", ":up")
_EMBEDDING = re.compile(r"bundle_emb\.|emb_params$|string_to_param|^clip_[lgh]$")


def refuse_unsupported(file: Path, tensors: Mapping[str, NDArray[Any]]) -> None:
    """Raise unless the tensors can be a LoRA of Stable Diffusion 1 or 2.

    Raises:
        CheckpointError: there is no LoRA in the file, one for another model, or another method.
    """
    if not any(word in name for name in tensors for word in _LORA_WORDS):
        what = f"{len(tensors)} tensors such as {next(iter(tensors))}" if tensors else (
            "no tensors at all")
        if tensors and all(_EMBEDDING.search(name) for name in tensors):
            what = "an embedding of textual inversion"
        raise CheckpointError(
            f"{file} holds no LoRA tensors; it holds {what}. "
            "Give the file that the LoRA training wrote."
        )
    if other := _other_model(tensors):
        raise CheckpointError(
            f"{file} is a LoRA for {other[0]}, by its tensor {other[1]}. Use a LoRA that was "
            "trained on Stable Diffusion 1 or 2."
        )
    for method, pattern in _METHODS:
        if name := next(filter(pattern.search, tensors), None):
            raise CheckpointError(
                f"{file}: {name} belongs to {method}, which is not supported. Use a plain LoRA.")


def _other_model(tensors: Mapping[str, NDArray[Any]]) -> tuple[str, str] | None:
    """The model that is not Stable Diffusion 1 or 2, and a tensor that says so."""
    for model, pattern in _MODELS:
        if found := next(filter(pattern.search, tensors), None):
            return model, found
    # The width of attention tells transformers apart that share their names.
    inputs = {name: values.shape[1] for name, values in tensors.items()
              if values.ndim > 1 and ("down" in name or "lora_A" in name)}
    transformer = next(filter(_TRANSFORMER.match, tensors), None)
    if transformer:
        for name, width in inputs.items():
            if "attn_to_q" in name.replace(".", "_") and width in _TRANSFORMER_WIDTHS:
                return _TRANSFORMER_WIDTHS[width], name
        return "a diffusion transformer", transformer
    if deeper := next(filter(_SDXL.search, tensors), None):
        return "SDXL", deeper
    for name, width in inputs.items():
        place = parse_name(name)
        if place and place.path.endswith(("attn2.to_k", "attn2.to_v")) and width == _SDXL_CONTEXT:
            return "SDXL", name
    return None
