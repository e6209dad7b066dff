"""The updates that diffusers and peft make of the files of ``lora_schemes.py``.

``schemes.safetensors`` of a set holds for each layer, ``<scheme>:<network>.<path>``, what
peft adds to the layer's weight (``get_delta_weight``); for ``tucker``, which neither reads, what
three convolutions of torch compute. Schemes that are ``RENAMED`` are not in it.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import torch
from diffusers import StableDiffusionPipeline
from peft import PeftModel
from peft.tuners.lora import LoraLayer

import lora_schemes
from reference_values import Values, load
from value_files import write

FILE = "schemes.safetensors"


def write_set(folder: Path, checkpoint: Path) -> None:
    """Write the file into ``folder``."""
    values = {key: update for key, update in updates(checkpoint).items()
              if key.split(":")[0] not in lora_schemes.RENAMED}
    write(folder / FILE, values, 0)


def updates(checkpoint: Path) -> Values:
    """The update of each layer of each scheme that diffusers, peft or torch reads."""
    values: Values = {}
    for scheme, make in lora_schemes.SCHEMES.items():
        if scheme not in ("onetrainer", "comfyui"):
            with tempfile.TemporaryDirectory() as folder:
                path = make(Path(folder))
                if scheme == "peft-text":
                    path /= "style_00"
                found = updates_of(scheme, path, checkpoint)
            values |= {f"{scheme}:{layer}": update for layer, update in found.items()}
    return values


def updates_of(scheme: str, path: Path, checkpoint: Path) -> Values:
    """The update of each layer that diffusers, peft or torch makes of one file."""
    if scheme == "tucker":
        return {"unet.conv_in": tucker()}
    pipeline = load(checkpoint)
    unet, text = pipeline.unet, pipeline.text_encoder
    if scheme == "peft":
        unet = PeftModel.from_pretrained(unet, path).base_model.model
    elif scheme == "peft-text":
        text = PeftModel.from_pretrained(text, path).base_model.model
    elif scheme == "adapter":
        # Without the last argument diffusers leaves the header, and with it alpha, unread.
        unet.load_lora_adapter(path, prefix=None, use_safetensors=True)
    elif scheme == "header":
        pipeline.load_lora_weights(path)
    else:
        load_older(pipeline, path)
    return deltas("unet", unet) | deltas("text_encoder", text)


def load_older(pipeline: Any, path: Path) -> None:
    """As ``load_lora_weights``, of two older times.

    diffusers translates block names of the original code only if it is told the UNet's depth, and
    it does not know that from transformers 5 on paths no longer begin with ``text_model.``.
    """
    tensors, alphas = StableDiffusionPipeline.lora_state_dict(
        path, unet_config=pipeline.unet.config)
    tensors, alphas = ({key.replace(".text_model.", "."): value for key, value in found.items()}
                       for found in (tensors, alphas or {}))
    pipeline.load_lora_into_unet(tensors, alphas or None, pipeline.unet)
    pipeline.load_lora_into_text_encoder(tensors, alphas or None, pipeline.text_encoder)


def deltas(part: str, network: torch.nn.Module) -> Values:
    """What peft's layers add to the weights of a network."""
    found = {}
    for path, module in network.named_modules():
        if isinstance(module, LoraLayer):
            [adapter] = module.lora_A
            outer = "" if part == "unet" or path.startswith("text_model.") else "text_model."
            found[f"{part}.{outer}{path}"] = module.get_delta_weight(adapter).detach().numpy()
    return found


def tucker() -> Any:
    """The kernel of the three convolutions one after another, from their answers to impulses."""
    down, core, up = (torch.from_numpy(lora_schemes.numbers(*factor))
                      for factor in lora_schemes.TUCKER.values())
    rank, channels = down.shape[:2]
    impulses = torch.zeros(channels, channels, 3, 3)
    impulses[range(channels), range(channels), 1, 1] = 1
    answers = torch.nn.functional.conv2d(impulses, down)
    answers = torch.nn.functional.conv2d(answers, core, padding=1)
    answers = torch.nn.functional.conv2d(answers, up) * (lora_schemes.TUCKER_ALPHA / rank)
    # The answer to an impulse is the kernel turned around.
    return answers.flip(2, 3).transpose(0, 1).contiguous().numpy()
