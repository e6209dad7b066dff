"""The files in ``golden/lora/converted``, see ``converted_loras.py`` (nothing is imported here)."""

from __future__ import annotations

from typing import Literal

Part = Literal["unet", "text_encoder"]
Format = Literal["diffusers", "peft", "kohya"]

#: For each file or folder the scheme it was made of, its format, and the network if only one.
CONVERTED: dict[str, tuple[str, Format, Part | None]] = {
    "header-diffusers.safetensors": ("header", "diffusers", None),
    "header-kohya.safetensors": ("header", "kohya", None),
    "header-peft-unet": ("header", "peft", "unet"),
    "header-peft-text": ("header", "peft", "text_encoder"),
    "comfyui-diffusers.safetensors": ("comfyui", "diffusers", None),
    "comfyui-kohya.safetensors": ("comfyui", "kohya", None),
    "peft-diffusers.safetensors": ("peft", "diffusers", None),
    "peft-kohya.safetensors": ("peft", "kohya", None),
    "peft-peft": ("peft", "peft", None),
    "tucker-diffusers.safetensors": ("tucker", "diffusers", None),
    "tucker-peft": ("tucker", "peft", None),
}
