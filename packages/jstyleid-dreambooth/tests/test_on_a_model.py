"""LoRAs on a whole model: it keeps its names, its loading and its answers without them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from jstyleid_core.errors import CheckpointError, InputError
from jstyleid_core.interfaces import plain_attention, processors
from jstyleid_core.weights.loading import load_module
from jstyleid_dreambooth import LoRAs, LoRASettings, LoRAWeights
from reference_sets import distance


def test_a_new_lora_changes_nothing(loras: Any, unet_answer: Any) -> None:
    base = unet_answer()
    loras.create("new", LoRASettings())
    assert distance(unet_answer(), base) == 0
    loras.set_weight("new", 0)
    assert np.array_equal(unet_answer(), base)


def test_the_network_keeps_its_names_parameters_and_loading(
    model: Any, loras: Any, trained: Any, unet_answer: Any
) -> None:
    names = [name for name, _ in model.unet.named_parameters()]
    loras.add("one", trained(targets=("to_q", "to_out.0", "proj_in", "conv1")))
    assert [name for name, _ in model.unet.named_parameters()] == names
    adapted = unet_answer()
    load_module(model.unet, model.checkpoint.tensors("unet"), "float32")
    assert np.array_equal(unet_answer(), adapted)
    # A processor that does what the layer does changes nothing, with the LoRA inside.
    everywhere = dict.fromkeys(model.networks.attentions().values(), plain_attention)
    with processors(everywhere):
        assert np.array_equal(unet_answer(), adapted)
    with pytest.raises(ValueError, match="this network has LoRAs already"):
        LoRAs.of(model)


def test_merging_in_the_whole_model(
    model: Any, loras: Any, trained: Any, unet_answer: Any, text_answer: Any
) -> None:
    base, text = unet_answer(), text_answer()
    weights = {name: var.numpy().tobytes() for name, var in model.unet.named_parameters()}
    loras.add("one", trained(text_targets=("q_proj", "fc1")))
    beside, text_beside = unet_answer(), text_answer()
    assert min(distance(beside, base), distance(text_beside, text)) > 0.01
    loras.merge()
    assert max(distance(unet_answer(), beside), distance(text_answer(), text_beside)) <= 5e-6
    loras.detach()
    assert {n: v.numpy().tobytes() for n, v in model.unet.named_parameters()} == weights
    assert np.array_equal(unet_answer(), base)
    assert np.array_equal(text_answer(), text)


def test_the_empty_prompt_follows_the_text_encoder(model: Any, loras: Any, trained: Any) -> None:
    plain = model.empty_prompt.numpy()
    loras.add("one", trained(text_targets=("q_proj", "v_proj", "out_proj")))
    assert distance(model.empty_prompt, plain) > 1e-3
    with loras.disabled():
        assert np.array_equal(model.empty_prompt.numpy(), plain)


def test_another_architecture_is_refused_and_nothing_attached(loras: Any, trained: Any) -> None:
    right = trained(targets=("proj_in", "conv1"))
    layers = dict(right.layers["unet"])
    path = "up_blocks.3.attentions.2.proj_in"
    layer = layers[path]
    layers[path] = replace(layer, up=np.zeros((320, 4), np.float32))
    with pytest.raises(CheckpointError) as caught:
        loras.add("x", LoRAWeights({"unet": layers}, source="there.safetensors"))
    assert str(caught.value) == (
        "there.safetensors is for another architecture than this model:\n"
        f"  unet.{path}: A [4, 64] and B [320, 4] are for a weight [320, 64], the model's is "
        f"[64, 64]\n1 of its {len(layers)} layers do not fit. Use a LoRA that was trained on this "
        "version of Stable Diffusion, or load the model it was trained on."
    )
    del layers[path]
    gone = {"down_blocks.3.attentions.0.proj_in": layer, **layers, "mid.x": layer}
    with pytest.raises(CheckpointError, match=(
            r"unet\.down_blocks\.3\.attentions\.0\.proj_in does not exist in the model\n"
            rf"2 of its {len(gone)} layers do not fit")):
        loras.add("x", LoRAWeights({"unet": gone}))
    assert loras.mix == {}


def test_linear_and_one_by_one_convolution_are_one(loras: Any, trained: Any) -> None:
    right = trained(targets=("proj_in",))
    as_convolution = {
        path: replace(layer, down=layer.down[..., None, None], up=layer.up[..., None, None])
        for path, layer in right.layers["unet"].items()}
    loras.add("x", LoRAWeights({"unet": as_convolution}))
    for path, layer in loras.weights("x").layers["unet"].items():
        assert np.array_equal(layer.down, right.layers["unet"][path].down)


def test_an_unknown_name(loras: Any, trained: Any) -> None:
    loras.add("one", trained(targets=("proj_in",)))
    for use in (loras.remove, loras.weights, loras.train, lambda name: loras.use({name: 1})):
        with pytest.raises(InputError, match="no LoRA is called 'two'; there are: 'one'"):
            use("two")
