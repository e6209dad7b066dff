"""A checkpoint in one safetensors file, with the names of the original Stable Diffusion code.

The tools of A1111 and ComfyUI keep models like this. UNet, autoencoder and text encoder are read
from the one file, tensor by tensor; configurations come from the shapes, and the tokenizer, which
is not in the file, is CLIP's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from errno import EINVAL
from functools import cached_property
from pathlib import Path

from safetensors import safe_open

from jstyleid_core.config import (
    Component,
    PredictionType,
    ScheduleConfig,
    TextConfig,
    UNetConfig,
    VAEConfig,
)
from jstyleid_core.errors import CheckpointError, setting
from jstyleid_core.notes import note_once
from jstyleid_core.weights.folder import by_parameter
from jstyleid_core.weights.original_names import open_clip_names, unet_module, vae_module
from jstyleid_core.weights.shapes import text_config, unet_config, vae_config
from jstyleid_core.weights.tensors import StoredTensor, stored_tensors

_UNET = "model.diffusion_model."
_VAE = "first_stage_model."
_CLIP, _OPEN_CLIP = "cond_stage_model.transformer.", "cond_stage_model.model."

_OTHERS = tuple((re.compile(pattern), what) for pattern, what in (
    (r"conditioner\.embedders\.1\.", "Stable Diffusion XL"),
    (r"conditioner\.embedders\.0\.", "Stable Diffusion XL's refiner or SD Turbo"),
    (r"(model\.diffusion_model\.)?joint_blocks\.", "Stable Diffusion 3"),
    (r"(model\.diffusion_model\.)?(double|single_transformer)_blocks\.", "FLUX"),
    (r"control_model\.|input_hint_block\.|controlnet_", "a ControlNet"),
    (r"lora_(unet|te)|.+[._](lora_?[AB]|lora_up|lora_down|lora\.up|lora\.down)\b",
     "a LoRA, which belongs to a checkpoint"),
    (r"string_to_param|emb_params$", "an embedding of textual inversion"),
    (r"(unet\.)?(down_blocks|time_embedding)\.", "the UNet alone, in diffusers' names"),
    (r"(encoder|decoder)\.(down|up|mid)", "an autoencoder alone"),
    (r"text_model\.", "a text encoder alone"),
))
"""Beginnings of names, and what the file holds then."""

_NO_WEIGHTS = re.compile(
    r"(model_ema|first_stage_model\.(loss|model_ema)|loss|optimizer_states)\..+"
    r"|(\w+_)?alphas_cumprod(_prev)?|betas|posterior_\w+|logvar|lvlb_weights|scale_factor"
    r"|(denoiser\.)?(log_)?sigmas|global_step|epoch|v_pred|ztsnr"
    r"|cond_stage_model\.(.+\.)?(logit_scale|position_ids|attn_mask|text_projection(\.weight)?)")
"""Tensors beside the networks: the schedule's numbers, states of a training, averages of weights.

diffusers takes the weights themselves, too, and not their averages."""

_PREDICTIONS: Mapping[str, PredictionType] = {
    "epsilon": "epsilon", "v": "v_prediction", "v_prediction": "v_prediction"}
_ARCHITECTURES: Mapping[str, PredictionType] = {
    "stable-diffusion-v1": "epsilon", "stable-diffusion-v2-512": "epsilon",
    "stable-diffusion-v2-768-v": "v_prediction"}
_STEPS_OF_BASE = 875_000
"""`global_step` of SD 2.0-base, by which diffusers tells it."""


@dataclass(frozen=True)
class SingleFile:
    """A file with UNet, text encoder and, as a rule, autoencoder."""

    path: Path

    def unet_config(self) -> UNetConfig:
        """Configuration of the UNet, from its shapes."""
        return unet_config(self.path, self._unet, self._second)

    def vae_config(self) -> VAEConfig:
        """Configuration of the autoencoder, from its shapes.

        Raises:
            CheckpointError: the file has none.
        """
        if not self._vae:
            raise CheckpointError(
                f"{self.path}: no autoencoder (first_stage_model.…). Give one with "
                f"{setting('vae')}.", fields=["vae"])
        return vae_config(self.path, self._vae)

    def text_config(self) -> TextConfig:
        """Configuration of the text encoder, from its shapes."""
        return text_config(self.path, self._text, self._second)

    def schedule_config(self, prediction: PredictionType | None) -> ScheduleConfig:
        """The noise schedule of Stable Diffusion, as diffusers has it.

        Args:
            prediction: what the UNet predicts; by default what the file says or is taken to mean.

        Raises:
            CheckpointError: the file says something unknown.
        """
        return ScheduleConfig.checked(self.path, {
            "steps_offset": 1, "set_alpha_to_one": False,
            "prediction_type": prediction or self._prediction,
            "rescale_betas_zero_snr": "ztsnr" in self._stored,
        })

    @property
    def pad_token(self) -> str:
        """The token that prompts are padded with."""
        return "!" if self._second else "<|endoftext|>"

    def weights(self, component: Component) -> list[Path]:
        """The files of a network: this one."""
        return [self.path]

    def tensors(self, component: Component) -> dict[str, StoredTensor]:
        """The tensors of a network by the names of its parameters; only the header is read."""
        return {"unet": self._unet, "vae": self._vae, "text_encoder": self._text}[component]

    @cached_property
    def _stored(self) -> dict[str, StoredTensor]:
        stored = _read(self.path)
        if not any(name.startswith(_UNET) for name in stored) or _other(stored):
            raise CheckpointError(
                f"{self.path} holds {_other(stored) or 'no UNet (model.diffusion_model.…)'}. Give "
                "a checkpoint of Stable Diffusion 1.x or 2.x, a folder in diffusers layout or a "
                "file with the names of the original code.")
        if any(name.startswith("model_ema.") for name in stored):
            note_once(f"{self.path}: the averages of the weights (model_ema) are not used, as in "
                      "diffusers")
        second = any(name.startswith(_OPEN_CLIP) for name in stored)
        known = (_UNET, _VAE, _OPEN_CLIP if second else _CLIP)
        strange = [name for name in stored
                   if not name.startswith(known) and not _NO_WEIGHTS.fullmatch(name)]
        if strange:
            more = f" and {len(strange) - 3} more" if len(strange) > 3 else ""
            note_once(f"{self.path}: not used, since they belong to none of the networks: "
                      f"{', '.join(strange[:3])}{more}")
        return stored

    def _part(self, prefix: str) -> dict[str, StoredTensor]:
        return {name.removeprefix(prefix): tensor for name, tensor in self._stored.items()
                if name.startswith(prefix) and not _NO_WEIGHTS.fullmatch(name)}

    @cached_property
    def _unet(self) -> dict[str, StoredTensor]:
        tensors = self._part(_UNET)
        inputs = _numbers(tensors, r"input_blocks\.(\d{1,4})\.")
        downsamplers = _numbers(tensors, r"input_blocks\.(\d{1,4})\.0\.op\.")
        depth = len(inputs) // (len(downsamplers) + 1) - 1
        if depth < 1:
            raise CheckpointError(f"{self.path}: the UNet is incomplete. Download the file again.")
        return _renamed(tensors, lambda path: unet_module(path, depth))

    @cached_property
    def _vae(self) -> dict[str, StoredTensor]:
        return _vae_tensors(self._part(_VAE))

    @cached_property
    def _second(self) -> bool:
        """Whether it is Stable Diffusion 2.x, with OpenCLIP's text encoder."""
        return any(name.startswith(_OPEN_CLIP) for name in self._stored)

    @cached_property
    def _text(self) -> dict[str, StoredTensor]:
        if self._second:
            return {target: part for name, tensor in self._part(_OPEN_CLIP).items()
                    for target, part in _parts(self.path, tensor, open_clip_names(name))}
        tensors = self._part(_CLIP)
        if not tensors:
            raise CheckpointError(
                f"{self.path}: no text encoder (cond_stage_model.…). Give a file with all of the "
                "checkpoint; a UNet alone is not enough.")
        return by_parameter("text_encoder", tensors)

    @cached_property
    def _prediction(self) -> PredictionType:
        stored = self._stored  # first: it may be no checkpoint at all
        with safe_open(self.path, framework="numpy") as opened:
            header: Mapping[str, str] = opened.metadata() or {}
        steps = (stored["global_step"].map().flatten().tolist()
                 if "global_step" in stored else [])
        said = header.get("modelspec.prediction_type")
        if said:
            if said not in _PREDICTIONS:
                raise CheckpointError(
                    f"{self.path}: modelspec.prediction_type = {said!r} in its header is not "
                    f"supported. If it is wrong, give {setting('prediction')} epsilon or "
                    "v_prediction.", fields=["prediction"])
            return _PREDICTIONS[said]
        if "v_pred" in stored:
            return "v_prediction"
        architecture = header.get("modelspec.architecture", "")
        if architecture in _ARCHITECTURES:
            return _ARCHITECTURES[architecture]
        if not self._second:
            return "epsilon"
        if steps == [_STEPS_OF_BASE]:
            return "epsilon"
        note_once(f"{self.path}: nothing in it says what its UNet predicts. v_prediction is "
                  "taken, as of SD 2.1 and as diffusers does; for SD 2.1-base and models made of "
                  f"it give {setting('prediction')} epsilon")
        return "v_prediction"


@dataclass(frozen=True)
class VAEFile:
    """A file with an autoencoder alone, in the original names or in diffusers'."""

    path: Path

    def config(self) -> VAEConfig:
        """Configuration from the `config.json` beside a file of diffusers, else from the shapes."""
        beside = self.path.with_name("config.json")
        if self.path.name.startswith("diffusion_pytorch_model.") and beside.is_file():
            return VAEConfig.read(beside)
        return vae_config(self.path, self._vae)

    def weights(self) -> list[Path]:
        """The file."""
        return [self.path]

    def tensors(self) -> dict[str, StoredTensor]:
        """The tensors by the names of the parameters; only the header is read."""
        return self._vae

    @cached_property
    def _vae(self) -> dict[str, StoredTensor]:
        stored = _read(self.path)
        prefix = next((each for each in (_VAE, "vae.")
                       if any(name.startswith(each) for name in stored)), "")
        found = {name.removeprefix(prefix): tensor for name, tensor in stored.items()
                 if name.startswith(prefix) and not _NO_WEIGHTS.fullmatch(name)}
        if not any(name.startswith("decoder.") for name in found):
            raise CheckpointError(
                f"{setting('vae')} {self.path}: no autoencoder. Give the file of a KL autoencoder "
                "of Stable Diffusion.", fields=["vae"])
        return _vae_tensors(found)


def _read(path: Path) -> dict[str, StoredTensor]:
    try:
        if not path.is_file():
            raise OSError(EINVAL, "it is no ordinary file")
        with open(path, "rb") as file:
            start = file.read(9)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror or error}.") from error
    # The size of the header, with which safetensors begins, may look like anything.
    is_safetensors = start[8:] == b"{"
    if not is_safetensors and start.startswith((b"PK", b"\x80")):
        raise CheckpointError(
            f"{path} is a pickle, which can run code and is not read. Convert it where torch is "
            f"installed:\n{_CONVERT.format(path, path.with_suffix('.safetensors'))}")
    if start.startswith(b"GGUF"):
        raise CheckpointError(f"{path} is a GGUF file of quantised weights, which are not read. "
                              "Give the .safetensors file.")
    return stored_tensors([path])


_CONVERT = ("python -c \"import torch; from safetensors.torch import save_file; "
            "c = torch.load('{}', map_location='cpu', weights_only=True); "
            "c = c.get('state_dict', c); save_file({{k: v.clone().contiguous() for k, v in "
            "c.items() if torch.is_tensor(v)}}, '{}')\"")


def _other(names: Iterable[str]) -> str | None:
    """What a file holds whose tensors have these names; None for a checkpoint that may be read."""
    return next((what for pattern, what in _OTHERS
                 for name in names if pattern.match(name)), None)


def _vae_tensors(tensors: Mapping[str, StoredTensor]) -> dict[str, StoredTensor]:
    levels = len(_numbers(tensors, r"decoder\.up\.(\d{1,4})\."))
    return by_parameter("vae", _renamed(tensors, lambda path: vae_module(path, levels)))


def _renamed(
    tensors: Mapping[str, StoredTensor], module: Callable[[str], str]
) -> dict[str, StoredTensor]:
    renamed: dict[str, StoredTensor] = {}
    for name, tensor in tensors.items():
        path, dot, leaf = name.rpartition(".")
        target = f"{module(path)}{dot}{leaf}"
        if target in renamed:
            raise CheckpointError(
                f"{tensor.file}: {tensor.name} and {renamed[target].name} are the same weight. "
                "Replace the file.")
        renamed[target] = tensor
    return renamed


def _numbers(names: Iterable[str], pattern: str) -> set[int]:
    return {int(found[1]) for name in names if (found := re.match(pattern, name))}


def _parts(
    file: Path, tensor: StoredTensor, targets: tuple[str, ...]
) -> Iterator[tuple[str, StoredTensor]]:
    """The rows of a tensor in equal shares, one for each parameter."""
    rows = tensor.shape[0] if tensor.shape else 1
    if targets and rows % len(targets):
        raise CheckpointError(
            f"{file}: {tensor.name} {list(tensor.shape)} must hold query, key and value. Download "
            "the file again.")
    for number, target in enumerate(targets):
        yield target, tensor if len(targets) == 1 else tensor.rows(
            number * rows // len(targets), rows // len(targets))
