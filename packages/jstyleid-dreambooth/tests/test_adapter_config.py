"""PEFT's settings: what they change, in which encodings they come, and which are refused."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from jstyleid_core.errors import CheckpointError
from jstyleid_dreambooth import read_lora
from jstyleid_dreambooth.lora.files import reading
from jstyleid_dreambooth.lora.files.patterns import ModulePatterns, PatternError

LAYER = "down_blocks.0.attentions.1.transformer_blocks.0.attn2.to_k"
TEXT = "text_model.encoder.layers.0.mlp.fc1"


def peft_folder(folder: Path, config: str | bytes | None) -> Path:
    """An adapter of rank 2 on a layer of the UNet and one of the text encoder."""
    save_file({f"base_model.model.{layer}.lora_{matrix}.weight": values for layer in (LAYER, TEXT)
               for matrix, values in (("A", np.ones((2, 12), np.float32)),
                                      ("B", np.ones((8, 2), np.float32)))},
              folder / "adapter_model.safetensors")
    if config is not None:
        data = config if isinstance(config, bytes) else config.encode()
        (folder / "adapter_config.json").write_bytes(data)
    return folder


def alphas(folder: Path) -> tuple[float, float]:
    layers = read_lora(folder).layers
    return layers["unet"][LAYER].alpha, layers["text_encoder"][TEXT].alpha


def refusal(folder: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        read_lora(folder)
    message = str(caught.value)
    assert str(folder) in message
    assert "\n" not in message
    return message


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_encodings(encoding: str, tmp_path: Path) -> None:
    config = json.dumps({"lora_alpha": 6, "base_model_name_or_path": "josé/模型"},
                        ensure_ascii=False)
    assert alphas(peft_folder(tmp_path, config.encode(encoding))) == (6, 6)


@pytest.mark.parametrize(("config", "message"), [
    ('{"x": "josé"}'.encode("latin-1"), "adapter_config.json is no text in UTF-8 ("),
    ("", "is not valid JSON ("),
    ("[" * 100_000, "is not valid JSON ("),
    ('{"r": ' + "9" * 5000 + "}", "is not valid JSON ("),
    ('{"lora_alpha": ' + "9" * 400 + "}", "cannot be used: lora_alpha: "),
    ('{"lora_alpha": NaN}', "has rank 2 and alpha nan, which give no finite update"),
    ('{"lora_alpha": 1e999}', "has rank 2 and alpha inf, which give no finite update"),
    ('{"lora_alpha": "8"}', "cannot be used: lora_alpha: "),
    ('{"alpha_pattern": [1]}', "cannot be used: alpha_pattern: "),
    ('{"alpha_pattern": {"a": "b"}}', "cannot be used: alpha_pattern.a: "),
    ('{"r": 4}', "the rank is 4 by the settings and 2 by its tensors"),
    ('{"r": 2, "rank_pattern": {"to_k": 8}}', "the rank is 8 by the settings"),
    ('{"init_lora_weights": "pissa"}', "PiSSA changed the base weights that A and B belong to."),
    ('{"init_lora_weights": "pissa_niter_16"}', "PiSSA changed"),
    ('{"init_lora_weights": "PiSSA"}', "PiSSA changed"),
    ('{"init_lora_weights": "olora"}', "path_initial_model_for_weight_conversion"),
    ('{"init_lora_weights": "corda"}', "CorDA changed"),
    ('{"init_lora_weights": "lora_ga"}', "LoRA-GA changed"),
    ('{"init_lora_weights": "loftq"}', "init_lora_weights is loftq, which is not supported"),
    ('{"init_lora_weights": "new"}', "init_lora_weights is new, which is not supported"),
    ('{"use_dora": true}', "use_dora is set; DoRA is not supported. Use a plain LoRA."),
    ('{"peft_type": "LOHA"}', "peft_type is LOHA, which is not supported"),
    ('{"bias": "lora_only"}', "bias is lora_only, which is not supported"),
    ('{"layer_replication": [[0, 4]]}', "layer_replication is set"),
    ('{"alpha_pattern": {"(?=a)b": 1}}', "cannot be used: the pattern '(?=a)b'"),
])
def test_settings_that_cannot_be_used(config: str | bytes, message: str, tmp_path: Path) -> None:
    assert message in refusal(peft_folder(tmp_path, config))


def test_settings_that_change_nothing(tmp_path: Path) -> None:
    for start in (True, False, "gaussian", "eva", None):
        config = {"r": 2, "lora_alpha": 6, "init_lora_weights": start, "use_dora": False,
                  "lora_dropout": 0.1, "bias": "none", "peft_type": "LORA", "loftq_config": {},
                  "layer_replication": None, "target_modules": ["to_k"]}
        assert alphas(peft_folder(tmp_path, json.dumps(config))) == (6, 6)


def test_a_folder_in_the_place_of_the_settings(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").mkdir()
    assert "adapter_config.json cannot be read" in refusal(peft_folder(tmp_path, None))


def test_no_settings_beside_an_adapter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notes: list[str] = []
    monkeypatch.setattr(reading, "note_once", notes.append)
    assert alphas(peft_folder(tmp_path, None)) == (2, 2)
    assert [note.split(": ")[1] for note in notes] == [
        "no adapter_config.json of PEFT is beside the file, so alpha is taken to be the rank."]


@pytest.mark.parametrize(("settings", "expected"), [
    ({"r": 2, "lora_alpha": 6, "rank_pattern": {"fc1": 2}}, (6, 6)),
    ({"r": 4, "rank_pattern": {"to_k": 2, "fc1": 2}, "lora_alpha": 6}, (6, 6)),
    ({"lora_alpha": 6, "alpha_pattern": {f"^{LAYER}": 3}}, (3, 6)),
    ({"lora_alpha": 6, "alpha_pattern": {"^encoder.layers.0.mlp.fc1": 3}}, (6, 3)),
    ({"lora_alpha": 6, "alpha_pattern": {"text_model.encoder.layers.0.mlp.fc1": 3}}, (6, 3)),
    ({"lora_alpha": 6, "alpha_pattern": {"o_k": 3, "attn2.to_k": 4, "to_k": 5}}, (4, 6)),
    ({"lora_alpha": 6, "alpha_pattern": {".*attn2.*": 3, "to_k": 5, "fc1": 4}}, (3, 4)),
    ({"lora_alpha": 6, "alpha_pattern": {r"down_blocks\.\d+\..*to_[qk]": 3}}, (3, 6)),
    ({"lora_alpha": 6, "use_rslora": True, "alpha_pattern": {"fc1": 2}},
     (6 * 2**0.5, 2 * 2**0.5)),
])
def test_patterns_and_rank_stabilised_scales(
    settings: dict[str, Any], expected: tuple[float, float], tmp_path: Path
) -> None:
    assert alphas(peft_folder(tmp_path, json.dumps(settings))) == pytest.approx(expected)


def test_header_without_names_of_networks(tmp_path: Path) -> None:
    """As diffusers' `unet.save_lora_adapter` writes it; a network's own entry counts more."""
    layers = {f"{LAYER}.lora_A.weight": np.ones((2, 12), np.float32),
              f"{LAYER}.lora_B.weight": np.ones((8, 2), np.float32)}
    file = tmp_path / "pytorch_lora_weights.safetensors"
    for header, alpha in (({"r": 2, "lora_alpha": 8}, 8),
                          ({"lora_alpha": 8, "unet.lora_alpha": 4}, 4)):
        save_file(layers, file, {"lora_adapter_metadata": json.dumps(header)})
        assert read_lora(file).layers["unet"][LAYER].alpha == alpha


PATHS = [LAYER, TEXT, "conv_in", "to_k", "a.b.c", "aab.abab", "mid_block.resnets.0.conv1"]
PATTERNS = [
    "to_k", "^to_k", "conv_in$", r"a\.b\.c", ".*to_k", "attn[12].to_[qk]", "(to_k|conv1)", "",
    r"down_blocks\.\d+\..*", "(a|b)+", "(ab){2}", "a{1,}b?", "(?:aa)?b.*", "[^.]+", ".*?c",
    "(a*)*b", r"(down|mid)_block(s)?\..*(attentions|resnets)\.\d.*", "^a|c$", r"\w+", "conv.",
]


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("path", PATHS)
def test_patterns_match_as_in_peft(pattern: str, path: str) -> None:
    """The expression is PEFT's, from `get_pattern_key`."""
    expected = re.match(rf"(.*\.)?({pattern})$", path) is not None
    assert (ModulePatterns({pattern: 1}).get([path]) == 1) == expected


@pytest.mark.parametrize("pattern", [
    "(([a-z0-9_.]+)+)+!", "(a+)+" * 90 + "!", "(a?){1000000000}!", "(((.*)*)*)*!",
    "(" * 150 + "^" + "+)" * 150, "((((.{1,99}){1,99}){1,99}){1,99})!", r"(.*\.)*" * 60 + "!",
])
def test_no_pattern_takes_long(pattern: str) -> None:
    began = time.process_time()
    try:
        patterns = ModulePatterns({pattern: 1, f"{pattern}+": 2})
        assert all(patterns.get(["a." * 200 + str(layer)]) is None for layer in range(100))
    except PatternError:
        pass
    assert time.process_time() - began < 10


def test_a_pattern_for_each_of_many_layers() -> None:
    paths = [f"blocks.{number}.to_q" for number in range(5000)]
    patterns = ModulePatterns({path: number for number, path in enumerate(paths)})
    assert [patterns.get([path]) for path in paths] == list(range(5000))


@pytest.mark.parametrize("pattern", [
    "(?=a)b", r"(a)\1", "(?i)a", "[", "a**", "*a", "(", "a)", r"a\b", "x" * 501 + "*", "a{}",
])
def test_patterns_of_other_forms(pattern: str) -> None:
    with pytest.raises(PatternError):
        ModulePatterns({pattern: 1})
