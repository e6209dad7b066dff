"""LoRA files that diffusers and peft write for a checkpoint, and what comes out with them.

Two LoRAs with random A and B, since an untrained one changes nothing.  ``attention`` adapts the
attention of the UNet and of the text encoder, ``every`` the UNet's linear and convolution layers
of each kind.  Rank and alpha differ from each other, and for some layers from the rest.

==================== =============================================================================
diffusers            ``attention``, written by ``save_lora_weights`` with its metadata
diffusers.bin        its UNet part by torch.save; without metadata readers take alpha = rank.
                     Layers of another rank are left out: for those diffusers takes the first's
peft/adapter_model   ``every``, written by peft, with adapter_config.json beside it
kohya                ``every`` in the spelling of kohya's scripts, with alpha tensors
values               inputs (``unet.sample``, ``.timestep``, ``.context``, ``text.ids``) and what
                     comes out: ``attention.unet``, ``attention.text``, ``bin.unet``,
                     ``every.unet``
==================== =============================================================================

All others are safetensors files.  A committed set holds ``diffusers`` and ``values`` only.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import StableDiffusionPipeline
from diffusers.training_utils import _collate_lora_metadata
from diffusers.utils import convert_state_dict_to_diffusers
from peft import (
    LoraConfig,
    get_peft_model,
    get_peft_model_state_dict,
)
from safetensors.torch import save_file

from reference_values import Values, load, normal, token_ids
from value_files import write

PROMPT = "Ring in style_00"
DIFFUSERS = "diffusers.safetensors"

# Of A and B, in units that keep the scale of what goes through: outputs change by about a third.
SPREAD = 0.4


def write_set(
    folder: Path, checkpoint: Path, seed: int, variant: str | None = None, committed: bool = False
) -> None:
    """Write the files above into ``folder``, for the checkpoint in another folder."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng([seed, 1])
    pipeline = load(checkpoint, variant)
    values = inputs(pipeline, rng)

    add_attention(pipeline, rng)
    values["attention.unet"] = unet_answer(pipeline.unet, values)
    values["attention.text"] = text_answer(pipeline, values)
    save_attention(pipeline, folder, committed)
    if not committed:
        values["every.unet"] = write_every(folder, checkpoint, variant, values, rng)
        fresh = load(checkpoint, variant)
        fresh.load_lora_weights(folder / "diffusers.bin")
        values["bin.unet"] = unet_answer(fresh.unet, values)
    write(folder / "values.safetensors", values, seed)


def inputs(pipeline: StableDiffusionPipeline, rng: np.random.Generator) -> Values:
    """Draw what goes into the networks."""
    width = pipeline.unet.config.cross_attention_dim
    return {
        "unet.sample": normal(rng, 1, 4, 16, 16).numpy(),
        "unet.timestep": rng.integers(1000, size=1).astype(np.int32),
        "unet.context": normal(rng, 1, 77, width).numpy(),
        "text.ids": token_ids(pipeline, [PROMPT]),
    }


def unet_answer(unet: torch.nn.Module, values: Values) -> Any:
    """Return the UNet's output (1, 4, 16, 16)."""
    sample, timestep, context = (torch.from_numpy(values[f"unet.{key}"])
                                 for key in ("sample", "timestep", "context"))
    with torch.no_grad():
        return unet(sample, timestep, context).sample.numpy()


def text_answer(pipeline: StableDiffusionPipeline, values: Values) -> Any:
    """Return the text encoder's output (1, 77, 48)."""
    with torch.no_grad():
        ids = torch.from_numpy(values["text.ids"]).long()
        return pipeline.text_encoder(ids).last_hidden_state.numpy()


def add_attention(pipeline: StableDiffusionPipeline, rng: np.random.Generator) -> None:
    """Adapt the attention of both networks."""
    pipeline.unet.add_adapter(LoraConfig(
        r=2, lora_alpha=3, target_modules=["to_q", "to_k", "to_v", "to_out.0"],
        rank_pattern={"attn2.to_k": 3}, alpha_pattern={"attn2.to_k": 5},
    ))
    pipeline.text_encoder.add_adapter(LoraConfig(
        r=2, lora_alpha=3, target_modules=["q_proj", "k_proj", "v_proj", "out_proj"]))
    for network in (pipeline.unet, pipeline.text_encoder):
        randomise(network, rng)


def save_attention(pipeline: StableDiffusionPipeline, folder: Path, committed: bool) -> None:
    """Save the adapted attention the way diffusers' training scripts do, and as a pickle."""
    unet, text = (convert_state_dict_to_diffusers(get_peft_model_state_dict(network))
                  for network in (pipeline.unet, pipeline.text_encoder))
    metadata = _collate_lora_metadata(
        {"unet": pipeline.unet, "text_encoder": pipeline.text_encoder})
    StableDiffusionPipeline.save_lora_weights(
        folder, unet, text, weight_name=DIFFUSERS, **metadata)
    if not committed:
        unet = {key: tensor for key, tensor in unet.items() if "attn2.to_k" not in key}
        StableDiffusionPipeline.save_lora_weights(
            folder, unet, weight_name="diffusers.bin", safe_serialization=False)


def write_every(
    folder: Path, checkpoint: Path, variant: str | None, values: Values, rng: np.random.Generator
) -> Any:
    """Adapt layers of every kind, save them twice, and return the UNet's output."""
    unet = get_peft_model(load(checkpoint, variant).unet, LoraConfig(
        r=3, lora_alpha=2,
        target_modules=["to_q", "to_out.0", "proj_in", "ff.net.0.proj", "conv1", "conv_shortcut",
                        "time_emb_proj", "conv_in", "downsamplers.0.conv", "linear_2"],
        rank_pattern={"conv1": 2}, alpha_pattern={"conv1": 4},
    ))
    randomise(unet, rng)
    unet.save_pretrained(folder / "peft")
    save_file(kohya(unet), folder / "kohya.safetensors")
    return unet_answer(unet, values)


def kohya(unet: Any) -> dict[str, torch.Tensor]:
    """Return the adapters under kohya's names, which have underscores for dots."""
    tensors = {}
    for path, module in unet.base_model.model.named_modules():
        if not hasattr(module, "lora_A"):
            continue
        name, rank = "lora_unet_" + path.replace(".", "_"), module.r["default"]
        tensors[f"{name}.lora_down.weight"] = module.lora_A["default"].weight.data
        tensors[f"{name}.lora_up.weight"] = module.lora_B["default"].weight.data
        tensors[f"{name}.alpha"] = torch.tensor(module.scaling["default"] * rank)
    return tensors


def randomise(network: torch.nn.Module, rng: np.random.Generator) -> None:
    """Fill every A and B with normal numbers, in the order of their names."""
    for name, parameter in sorted(network.named_parameters()):
        if ".lora_" in name:
            numbers = rng.standard_normal(parameter.shape, dtype=np.float32)
            parameter.data = torch.from_numpy(numbers) * SPREAD / parameter[0].numel() ** 0.5
