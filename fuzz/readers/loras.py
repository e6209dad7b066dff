"""LoRA files, their names, PEFT's settings, and the checkpoints of trainings."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors.numpy import save

from fuzz.containers import of_torch
from fuzz.mutations import of_json, of_safetensors
from fuzz.reader import FileReader, Reader, ValueReader
from jstyleid_core.errors import CheckpointError, InputError
from jstyleid_core.weights.torch_files import torch_file
from jstyleid_dreambooth.lora.files.adapter_config import (
    HEADER_KEY,
    config_beside,
    config_in_header,
)
from jstyleid_dreambooth.lora.files.describing import describe_lora
from jstyleid_dreambooth.lora.files.names import parse_name, spelling_of
from jstyleid_dreambooth.lora.files.patterns import ModulePatterns, PatternError
from jstyleid_dreambooth.lora.files.reading import weights_in
from jstyleid_dreambooth.lora.files.tensor_file import TensorFile
from jstyleid_dreambooth.lora.weights import Layout, Part, fit_layers
from jstyleid_dreambooth.training.checkpoints import TrainingState, find_training
from jstyleid_dreambooth.training.job import StyleImages, TrainingJob
from jstyleid_dreambooth.training.prior import read_latents
from jstyleid_dreambooth.training.settings import TrainingSettings

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

_ATTENTION = "down_blocks.0.attentions.1.transformer_blocks.0.attn1.to_out.0"
_CONTEXT = "mid_block.attentions.0.transformer_blocks.0.attn2.to_k"
_TEXT = "text_model.encoder.layers.0.self_attn.q_proj"
_LAYOUTS: Mapping[Part, Layout] = {
    "unet": {_ATTENTION: (4, 4), _CONTEXT: (4, 6), "conv_in": (4, 4, 3, 3)},
    "text_encoder": {_TEXT: (6, 6)},
}
_CONFIG = {
    "peft_type": "LORA",
    "r": 2,
    "lora_alpha": 3,
    "rank_pattern": {"conv_in": 2},
    "alpha_pattern": {"to_out.0": 2.5, r"blocks\.\d+\.attn2.*": 4},
    "init_lora_weights": True,
    "bias": "none",
    "use_rslora": False,
    "use_dora": False,
    "target_modules": ["to_q"],
}


def _layers(names: dict[str, tuple[str, str]], **more: Any) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    found: dict[str, Any] = {}
    for layer, (down, up) in names.items():
        shape = next(shapes[layer] for shapes in _LAYOUTS.values() if layer in shapes)
        found[down] = rng.random((2, *shape[1:]), np.float32)
        found[up] = rng.random((shape[0], 2, *(1,) * (len(shape) - 2)), np.float32)
    return found | more


_DIFFUSERS = {
    _ATTENTION: (f"unet.{_ATTENTION}.lora_A.weight", f"unet.{_ATTENTION}.lora_B.weight"),
    "conv_in": ("unet.conv_in.lora.down.weight", "unet.conv_in.lora.up.weight"),
    _TEXT: (
        f"text_encoder.{_TEXT}.lora_linear_layer.down.weight",
        f"text_encoder.{_TEXT}.lora_linear_layer.up.weight",
    ),
}
_KOHYA = {
    layer: (
        f"lora_{part}_{layer.replace('.', '_')}.lora_down.weight",
        f"lora_{part}_{layer.replace('.', '_')}.lora_up.weight",
    )
    for part, layer in (("unet", _ATTENTION), ("unet", _CONTEXT), ("te", _TEXT))
}
_PEFT = {
    _CONTEXT: (
        f"base_model.model.{_CONTEXT}.lora_A.default.weight",
        f"base_model.model.{_CONTEXT}.lora_B.default.weight",
    )
}


def lora_files() -> Sequence[bytes]:
    header = json.dumps({f"unet.{key}": value for key, value in _CONFIG.items()})
    alpha = {f"lora_unet_{_CONTEXT.replace('.', '_')}.alpha": np.full((), 3, np.float32)}
    return [
        save(_layers(_DIFFUSERS), metadata={HEADER_KEY: header, "format": "pt", "prompt": "x"}),
        save(_layers(_KOHYA, **alpha), metadata={"ss_sd_model_name": "x"}),
        save(_layers(_PEFT)),
    ]


def _read_lora(path: Path) -> None:
    described = describe_lora(path)
    json.dumps(described.metadata).encode()
    assert described.parameters > 0


def _read_and_fit(path: Path) -> None:
    _read_lora(path)
    from jstyleid_dreambooth.lora.files import read_lora

    fit_layers(read_lora(path), _LAYOUTS)


def _read_config(path: Path) -> None:
    for config in config_beside(path.with_name("adapter_model.safetensors")).values():
        _use(config)


def _read_header(path: Path) -> None:
    text = (
        path.read_bytes().decode("utf-8", "surrogatepass")
        if not path.read_bytes().startswith(b"\xff")
        else "x"
    )
    for config in config_in_header(text, path).values():
        _use(config)


def _use(config: Any) -> None:
    for layer in (_ATTENTION, _CONTEXT, _TEXT, "conv_in"):
        try:
            float(config.alpha(layer, 2))
        except ValueError:  # which `read_lora` turns into its own; PatternError is one, too
            continue


def _headers() -> Sequence[bytes]:
    return [
        json.dumps({f"unet.{key}": value for key, value in _CONFIG.items()}).encode(),
        json.dumps(_CONFIG).encode(),
    ]


def _names() -> SearchStrategy[Any]:
    from hypothesis import strategies as st

    words = st.sampled_from(
        [
            "unet",
            "lora_unet",
            "lora_te",
            "lora_te1",
            "lora_te2",
            "lycoris",
            "base_model",
            "model",
            "module",
            "text_encoder",
            "clip_l",
            "clip_g",
            "text_model",
            "encoder",
            "layers",
            "down_blocks",
            "mid_block",
            "up_blocks",
            "attentions",
            "transformer_blocks",
            "attn1",
            "attn2",
            "to_k",
            "to_out",
            "to_v",
            "proj_in",
            "processor",
            "_orig_mod",
            "resnets",
            "conv1",
            "conv_in",
            "input_blocks",
            "middle_block",
            "output_blocks",
            "self_attn",
            "q_proj",
            "diffusion_model",
            "cond_stage_model",
            "transformer",
            "op",
            "conv",
            "0",
            "1",
            "2",
            "11",
            "12345678901234567890",
            "é",
            "",
            "³",
            "٣",
            "bundle_emb",
        ]
    )
    endings = st.sampled_from(
        [
            ".lora_down.weight",
            ".lora_up.weight",
            ".lora_A.weight",
            ".lora_B.weight",
            ".lora_A",
            ".lora_B.default.weight",
            ".alpha",
            ".lora.down.weight",
            ".lora_linear_layer.up.weight",
            "_lora.down.weight",
            "_lora.up.weight",
            ".lora_mid.weight",
            ".weight",
            ".dora_scale",
            ".bias",
            ".diff",
            "",
        ]
    )
    layers = st.builds(
        lambda parts, between: between.join(parts),
        st.lists(words, max_size=9),
        st.sampled_from([".", "_", "..", "._"]),
    )
    names = st.one_of(st.builds(str.__add__, layers, endings), st.text(max_size=60))
    shapes = st.lists(st.integers(0, 3), max_size=5)
    some = st.dictionaries(names, shapes, max_size=4)
    pairs = st.builds(
        lambda layer, ends, inner, outer: {
            layer + ends[0]: [2, inner],
            layer + ends[1]: [outer, 2],
        },
        layers,
        st.sampled_from(
            [
                (".lora_down.weight", ".lora_up.weight"),
                (".lora_A.weight", ".lora_B.weight"),
                (".lora_A.x.weight", ".lora_B.x.weight"),
                ("_lora.down.weight", "_lora.up.weight"),
                (".lora_A", ".lora_B"),
            ]
        ),
        st.integers(2, 4),
        st.integers(2, 4),
    )
    return st.one_of(
        pairs,
        some,
        st.builds(lambda one, two: one | two, pairs, pairs),
        st.builds(lambda one, two: one | two, pairs, some),
    )


def _read_names(found: dict[str, list[int]]) -> None:
    for name in found:
        parse_name(name), spelling_of(name)
    tensors = {name: np.ones(shape, np.float32) for name, shape in found.items()}
    weights_in(TensorFile(Path("/nowhere/lora.safetensors"), tensors))


def _patterns() -> SearchStrategy[Any]:
    from hypothesis import strategies as st

    pieces = st.sampled_from(
        [
            ".*",
            ".+",
            "\\d+",
            "\\.",
            "(",
            ")",
            "(?:",
            "|",
            "[0-9]",
            "[^",
            "]",
            "{2,3}",
            "{,}",
            "{9999999}",
            "*",
            "+",
            "?",
            "^",
            "$",
            "to_q",
            "attn1",
            "blocks",
            "0",
            "\\",
            "\\w",
            "a{1,1000}",
            "(a*)*",
            "[[]",
            "[a-",
            "\\1",
            "(?P<x>",
            "(?=",
            "[z-a]",
        ]
    )
    pattern = st.one_of(st.lists(pieces, max_size=12).map("".join), st.text(max_size=20))
    return st.dictionaries(pattern, st.integers(), max_size=4)


def _match(patterns: dict[str, int]) -> None:
    found = ModulePatterns(patterns)
    for path in (_ATTENTION, _TEXT, "a" * 200, ""):
        found.get([path, path.removeprefix("text_model.")])


_SETTINGS = TrainingSettings(steps=10)


def _job(folder: Path) -> TrainingJob:
    return TrainingJob(
        (StyleImages("00", (folder / "ball.png",), (None,)),), _SETTINGS, folder, folder / "class"
    )


def _states() -> Sequence[bytes]:
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "ball.png").write_bytes(b"x")
        state = TrainingState(
            _job(folder).recipe("abc"),
            3,
            {"unet.a": np.ones((2, 3), np.float32)},
            (1024.0, 2),
            np.zeros((3, 3)),
        )
        return [state.save(folder).read_bytes()]


def _of_states(random: Any, seed: bytes, seeds: Sequence[bytes]) -> bytes:
    """As for safetensors, or with changed JSON in the header."""
    if random.random() < 0.5:
        return of_safetensors(random, seed, seeds)
    size = int.from_bytes(seed[:8], "little")
    header = json.loads(seed[8 : 8 + size])
    text = of_json(random, header["__metadata__"]["training"].encode(), [b"{}"])
    header["__metadata__"]["training"] = text.decode("utf-8", "replace")
    changed = json.dumps(header).encode()
    return len(changed).to_bytes(8, "little") + changed + seed[8 + size :]


def _read_state(path: Path) -> None:
    folder = path.parents[1]
    found = find_training(_job(folder), "abc")
    assert found.state is not None
    assert all(isinstance(change, str) for change in found.changes)
    if not found.changes:
        assert 0 <= found.state.step <= 10
        assert found.state.history.shape == (found.state.step, 3)


def _latents() -> Sequence[bytes]:
    numbers = np.ones((2, 4, 2, 2), np.float32)
    return [save({"mean": numbers, "deviation": numbers})]


def _read_latents(path: Path) -> None:
    for posterior in read_latents(path, 2):
        posterior.sample(np.random.default_rng(0))


READERS: list[Reader] = [
    FileReader(
        "lora-file",
        "lora.safetensors",
        lora_files,
        _read_and_fit,
        (CheckpointError,),
        of_safetensors,
    ),
    FileReader(
        "lora-torch-file",
        "lora.bin",
        lambda: [torch_file(_layers(_DIFFUSERS)), torch_file(_layers(_PEFT))],
        _read_lora,
        (CheckpointError,),
        of_torch,
    ),
    FileReader(
        "adapter-config",
        "adapter_config.json",
        lambda: [json.dumps(_CONFIG).encode()],
        _read_config,
        (CheckpointError,),
        of_json,
    ),
    FileReader(
        "lora-header",
        "header.json",
        _headers,
        _read_header,
        (CheckpointError, UnicodeDecodeError),
        of_json,
    ),
    ValueReader("lora-names", _names, _read_names, (CheckpointError,)),
    ValueReader("lora-patterns", _patterns, _match, (PatternError,)),
    FileReader(
        "training-checkpoint",
        "checkpoints/step-000003.safetensors",
        _states,
        _read_state,
        (InputError,),
        _of_states,
        lambda: {"ball.png": b"x"},
    ),
    FileReader(
        "class-latents",
        "latents.safetensors",
        _latents,
        _read_latents,
        (InputError,),
        of_safetensors,
    ),
]
