"""The files of checkpoints: configurations, weights, tokenizers."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from fuzz.containers import of_torch
from fuzz.mutations import of_bytes, of_json, of_safetensors
from fuzz.reader import FileReader, Mutate, Reader
from jstyleid_core.config import (
    CheckpointConfig,
    ScheduleConfig,
    TextConfig,
    UNetConfig,
    VAEConfig,
    check_size,
)
from jstyleid_core.diffusion.schedule import Schedule
from jstyleid_core.errors import CheckpointError, InputError
from jstyleid_core.model.tokenizer import CLIPTokenizer
from jstyleid_core.weights.folder import DiffusersFolder
from jstyleid_core.weights.single_file import SingleFile, VAEFile
from jstyleid_core.weights.tensors import stored_tensors
from jstyleid_core.weights.torch_files import read_torch_file, torch_file

_UNET = {
    "in_channels": 4,
    "out_channels": 4,
    "sample_size": 8,
    "block_out_channels": [32, 64],
    "layers_per_block": 1,
    "down_block_types": ["CrossAttnDownBlock2D", "DownBlock2D"],
    "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D"],
    "cross_attention_dim": 48,
    "attention_head_dim": [2, 4],
    "norm_num_groups": 16,
    "norm_eps": 1e-5,
    "use_linear_projection": True,
    "upcast_attention": False,
    "act_fn": "silu",
    "class_embed_type": None,
    "dual_cross_attention": False,
    "only_cross_attention": [False, False],
    "transformer_layers_per_block": [1, 1],
}
_VAE = {
    "in_channels": 3,
    "out_channels": 3,
    "latent_channels": 4,
    "block_out_channels": [16, 32],
    "layers_per_block": 1,
    "norm_num_groups": 16,
    "scaling_factor": 0.18215,
    "down_block_types": ["DownEncoderBlock2D", "DownEncoderBlock2D"],
    "up_block_types": ["UpDecoderBlock2D", "UpDecoderBlock2D"],
    "act_fn": "silu",
}
_TEXT = {
    "vocab_size": 1000,
    "hidden_size": 48,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "max_position_embeddings": 77,
    "layer_norm_eps": 1e-5,
    "hidden_act": "gelu",
}
_SCHEDULE = {
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "prediction_type": "v_prediction",
    "steps_offset": 1,
    "set_alpha_to_one": False,
    "clip_sample": False,
    "timestep_spacing": "leading",
    "rescale_betas_zero_snr": False,
    "trained_betas": None,
    "thresholding": False,
}


def _json(value: object) -> Callable[[], Sequence[bytes]]:
    return lambda: [json.dumps(value).encode()]


def _unet(path: Path) -> None:
    config = UNetConfig.read(path)
    assert len(config.heads) == len(config.block_out_channels)
    check_size((4096, 4096), config, VAEConfig.model_validate(_VAE))


def _vae(path: Path) -> None:
    check_size((4096, 4096), UNetConfig.model_validate(_UNET), VAEConfig.read(path))


def _schedule(path: Path) -> None:
    schedule = Schedule.from_config(ScheduleConfig.read(path))
    for steps in (1, 20, 50):
        for timestep in schedule.timesteps(steps):
            assert timestep < len(schedule.alphas_cumprod)
            assert np.isfinite(schedule.alpha_bar(timestep))


def _config(kind: type[CheckpointConfig]) -> Callable[[Path], object]:
    return kind.read


def _index(path: Path) -> None:
    folder = DiffusersFolder.of(path.parents[1], half=False)
    for file in folder.weights("unet"):
        assert file.parent == path.parent


_INDEX = {
    "metadata": {"total_size": 10},
    "weight_map": {
        "conv_in.weight": "diffusion_pytorch_model-00001-of-00002.safetensors",
        "conv_out.weight": "diffusion_pytorch_model-00002-of-00002.safetensors",
    },
}


def _tensors() -> Sequence[bytes]:
    rng = np.random.default_rng(0)
    return [
        save(
            {
                "a.weight": rng.random((2, 3), np.float32),
                "b.bias": rng.random(4).astype(np.float16),
                "c": np.arange(6).reshape(1, 2, 3),
                "d": np.full((), 3, np.float32),
            },
            metadata={"format": "pt"},
        ),
        save({"x": np.zeros((0, 4), np.float32), "y": np.ones(1)}),
    ]


def _map_all(path: Path) -> None:
    for tensor in stored_tensors([path]).values():
        assert tensor.map().shape == tensor.shape


_SINGLE = {
    "model.diffusion_model.": (
        "input_blocks.0.0.weight 32,4,1,1",
        "input_blocks.1.0.in_layers.2.weight 32,1,1,1",
        "input_blocks.1.1.proj_in.weight 32,1",
        "input_blocks.2.0.op.weight 32,1,1,1",
        "input_blocks.3.0.in_layers.2.weight 64,1,1,1",
        "middle_block.1.proj_in.weight 64,1",
        "middle_block.1.transformer_blocks.0.attn2.to_k.weight 64,48",
        "output_blocks.0.0.in_layers.2.weight 64,1,1,1",
        "output_blocks.1.0.in_layers.2.weight 64,1,1,1",
        "output_blocks.2.0.in_layers.2.weight 32,1,1,1",
        "output_blocks.2.1.proj_in.weight 32,1",
        "output_blocks.3.0.in_layers.2.weight 32,1,1,1",
        "out.2.weight 4,1,1,1",
    ),
    "first_stage_model.": (
        "encoder.conv_in.weight 32,3,1,1",
        "encoder.down.0.block.0.conv1.weight 32,1,1,1",
        "encoder.down.1.block.0.conv1.weight 32,1,1,1",
        "decoder.conv_in.weight 32,4,1,1",
        "decoder.up.0.block.0.conv1.weight 32,1,1,1",
        "decoder.up.1.block.0.conv1.weight 32,1,1,1",
        "decoder.conv_out.weight 3,1,1,1",
        "encoder.mid.attn_1.q.weight 32,1,1,1",
    ),
}
_OPEN_CLIP = (
    "positional_embedding 77,16",
    "token_embedding.weight 100,16",
    "transformer.resblocks.0.attn.in_proj_weight 48,16",
    "transformer.resblocks.0.attn.in_proj_bias 48",
    "transformer.resblocks.0.mlp.c_fc.weight 32,16",
    "ln_final.weight 16",
)
_CLIP = (
    "text_model.embeddings.token_embedding.weight 100,16",
    "text_model.embeddings.position_embedding.weight 77,16",
    "text_model.encoder.layers.0.mlp.fc1.weight 32,16",
    "text_model.final_layer_norm.weight 16",
)


def _single_file(text: Mapping[str, tuple[str, ...]], metadata: dict[str, str]) -> bytes:
    shapes = {
        prefix + name: [int(side) for side in shape.split(",")]
        for prefix, listed in {**_SINGLE, **text}.items()
        for name, shape in (line.split() for line in listed)
    }
    # Without the numbers, which are not read: headers alone would be refused.
    tensors = {name: np.zeros(shape, np.float16) for name, shape in shapes.items()}
    tensors["model_ema.num_updates"], tensors["global_step"] = (
        np.zeros(1, np.float16),
        np.array([875_000]),
    )
    return save(tensors, metadata=metadata)


def _singles() -> Sequence[bytes]:
    return [
        _single_file({"cond_stage_model.model.": _OPEN_CLIP}, {"modelspec.prediction_type": "v"}),
        _single_file(
            {"cond_stage_model.transformer.": _CLIP},
            {"modelspec.architecture": "stable-diffusion-v1"},
        ),
    ]


def _read_single(path: Path) -> None:
    file = SingleFile(path)
    file.unet_config(), file.vae_config(), file.text_config()
    Schedule.from_config(file.schedule_config(None))
    for component in ("unet", "vae", "text_encoder"):
        for tensor in file.tensors(component).values():
            tensor.map()


def _read_vae(path: Path) -> None:
    file = VAEFile(path)
    file.config(), file.tensors()


def _torch_files() -> Sequence[bytes]:
    rng = np.random.default_rng(0)
    return [
        torch_file(
            {
                "a.lora_A.weight": rng.random((2, 3), np.float32),
                "b": np.ones(4, np.float32),
                "c": np.ones((), np.float32),
            }
        ),
        torch_file({"x": np.zeros((0, 2), np.float32)}),
    ]


def _read_torch(path: Path) -> None:
    for values in read_torch_file(path).values():
        assert values.dtype == np.float32


# A tokenizer of a few words.
_WORDS = [
    "a",
    "b",
    "o",
    "t",
    "a</w>",
    "b</w>",
    "o</w>",
    "t</w>",
    "!",
    "!</w>",
    "bo",
    "boa",
    "boat</w>",
    "<|startoftext|>",
    "<|endoftext|>",
]
_VOCABULARY = {word: number for number, word in enumerate(_WORDS)}
_MERGES = "#version: 0.2\nb o\nbo a\nboa t</w>\n"
_SPECIAL = {
    "bos_token": {"content": "<|startoftext|>", "lstrip": False, "normalized": True},
    "eos_token": "<|endoftext|>",
    "pad_token": "!",
}
_DESCRIBED = {
    **_SPECIAL,
    "model_max_length": 77,
    "added_tokens_decoder": {"15": {"content": "<style>", "lstrip": False, "special": False}},
}


def _tokenizer_files() -> dict[str, bytes]:
    return {
        "vocab.json": json.dumps(_VOCABULARY).encode(),
        "merges.txt": _MERGES.encode(),
        "special_tokens_map.json": json.dumps(_SPECIAL).encode(),
        "tokenizer_config.json": json.dumps(_DESCRIBED).encode(),
        "added_tokens.json": b'{"<style>": 15}',
    }


def _one_file() -> Sequence[bytes]:
    added = [
        {
            "id": _VOCABULARY[word],
            "content": word,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": True,
        }
        for word in ("<|startoftext|>", "<|endoftext|>")
    ]
    model = {
        "type": "BPE",
        "vocab": _VOCABULARY,
        "merges": [["b", "o"], ["bo", "a"], ["boa", "t</w>"]],
        "unk_token": "<|endoftext|>",
        "end_of_word_suffix": "</w>",
        "continuing_subword_prefix": "",
        "fuse_unk": False,
        "dropout": None,
    }
    return [
        json.dumps(
            {
                "version": "1.0",
                "truncation": None,
                "padding": None,
                "added_tokens": added,
                "normalizer": {"type": "Lowercase"},
                "pre_tokenizer": {
                    "type": "ByteLevel",
                    "add_prefix_space": False,
                    "trim_offsets": True,
                    "use_regex": True,
                },
                "post_processor": None,
                "decoder": None,
                "model": model,
            }
        ).encode()
    ]


def _tokenize(path: Path) -> None:
    tokenizer = CLIPTokenizer(path.parent, 12, rows=16)
    ids = tokenizer(["a boat", "boat " * 20, "<style> !", ""])
    assert ids.shape == (4, 12)
    assert 0 <= ids.min() <= ids.max() < 16, ids
    assert all(isinstance(number, int) for number in tokenizer.learned.values())


def _tokenizer(
    name: str, file: str, seeds: Callable[[], Sequence[bytes]], mutate: Mutate = of_json
) -> FileReader:
    def beside() -> dict[str, bytes]:
        files = _tokenizer_files()
        if file == "tokenizer.json":
            del files["vocab.json"], files["merges.txt"]
        return files

    return FileReader(name, file, seeds, _tokenize, (CheckpointError,), mutate, beside)


def _of_headers(random: Any, seed: bytes, seeds: Sequence[bytes]) -> bytes:
    """As for safetensors; a file of weights is cut to what its header needs to be read quickly."""
    data = of_safetensors(random, seed, seeds)
    return data if len(data) < 1 << 20 else struct.pack("<Q", 2**40) + data[8:1000]


READERS: list[Reader] = [
    FileReader("unet-config", "config.json", _json(_UNET), _unet, (InputError,), of_json),
    FileReader("vae-config", "config.json", _json(_VAE), _vae, (InputError,), of_json),
    FileReader(
        "text-config", "config.json", _json(_TEXT), _config(TextConfig), (CheckpointError,), of_json
    ),
    FileReader(
        "scheduler-config",
        "scheduler_config.json",
        _json(_SCHEDULE),
        _schedule,
        (InputError,),
        of_json,
    ),
    FileReader(
        "weight-index",
        "unet/diffusion_pytorch_model.safetensors.index.json",
        _json(_INDEX),
        _index,
        (CheckpointError,),
        of_json,
    ),
    FileReader(
        "safetensors", "model.safetensors", _tensors, _map_all, (CheckpointError,), of_safetensors
    ),
    FileReader(
        "single-file", "model.safetensors", _singles, _read_single, (CheckpointError,), _of_headers
    ),
    FileReader("vae-file", "vae.safetensors", _singles, _read_vae, (CheckpointError,), _of_headers),
    FileReader("torch-file", "lora.bin", _torch_files, _read_torch, (CheckpointError,), of_torch),
    _tokenizer("tokenizer-vocabulary", "vocab.json", _json(_VOCABULARY)),
    _tokenizer("tokenizer-merges", "merges.txt", lambda: [_MERGES.encode()], of_bytes),
    _tokenizer("tokenizer-special", "special_tokens_map.json", _json(_SPECIAL)),
    _tokenizer("tokenizer-config", "tokenizer_config.json", _json(_DESCRIBED)),
    _tokenizer(
        "tokenizer-added",
        "added_tokens.json",
        lambda: [b'{"<style>": 15}', b'{"<one>": 15, "<two>": 14}'],
    ),
    _tokenizer("tokenizer-one-file", "tokenizer.json", _one_file),
]
