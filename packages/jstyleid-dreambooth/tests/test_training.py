"""Only the LoRA in training gets gradients; dropout can be drawn again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from jstyleid_core.errors import InputError
from jstyleid_core.runtime.jittor import jt, nn
from jstyleid_dreambooth import LoRAs, LoRASettings, LoRAWeights, LowRank

RNG = np.random.default_rng(0)
X = RNG.standard_normal((2, 7, 6), dtype=np.float32)
TARGET = RNG.standard_normal((2, 7, 5), dtype=np.float32)


@pytest.fixture
def loss(model: Any, inputs: Any) -> Callable[[], Any]:
    # 16 x 16: of 8 x 8 one token is left in the middle, whose attention to itself is always 1.
    assert inputs["unet.sample"].shape[2:] == (16, 16)
    sample, context = jt.array(inputs["unet.sample"]), jt.array(inputs["unet.context"])

    def compute() -> Any:
        out = model.networks.predict(sample, inputs["unet.timestep"], context)
        return ((out - 1) ** 2).mean()

    return compute


def bits(variables: dict[str, Any]) -> dict[str, bytes]:
    return {name: var.numpy().tobytes() for name, var in variables.items()}


def test_a_step_moves_the_lora_and_nothing_else(model: Any, loras: Any, loss: Any) -> None:
    networks = (model.unet, model.text_encoder, model.vae)
    base = {f"{i}.{name}": var for i, network in enumerate(networks)
            for name, var in network.named_parameters()}
    before = bits(base)
    loras.create("other", LoRASettings(seed=1, targets=("to_q",)))
    loras.create("style", LoRASettings(targets=("to_q", "to_k", "to_v", "to_out.0", "conv1")))
    trainables = loras.train("style")
    assert len(trainables.all) == 2 * len(trainables.up) == 2 * len(loras.weights("style"))
    for network in networks:
        network.train()  # in Jittor this restarts the gradients of what eval() stopped
    assert all(var.is_stop_grad() for var in base.values())

    # Its steps are of one size, however small a trained model's gradients are.
    optimizer = nn.Adam(trainables.all, lr=1e-3)
    history = [loras.weights("style").layers["unet"]]
    frozen = loras.weights("other").layers["unet"]
    losses = []
    for _ in range(2):
        value = loss()
        optimizer.step(value)
        jt.sync_all()
        losses.append(value.item())
        history.append(loras.weights("style").layers["unet"])
    for path, start in history[0].items():
        after_one, after_two = history[1][path], history[2][path]
        # While B is zero A has no gradient.
        assert np.array_equal(start.down, after_one.down), path
        assert after_one.up.any(), path
        assert not np.array_equal(after_one.down, after_two.down), path
        assert not np.array_equal(after_one.up, after_two.up), path
    assert losses[1] < losses[0]
    assert bits(base) == before
    for path, layer in loras.weights("other").layers["unet"].items():
        assert np.array_equal(layer.down, frozen[path].down)
        assert not layer.up.any()
    [gradient] = jt.grad(loss(), [base["0.conv_in.weight"]])
    assert not gradient.numpy().any()


def linear_lora(dropout: float = 0.0) -> tuple[Any, Any, LowRank]:
    layer = LowRank(RNG.standard_normal((2, 6), dtype=np.float32),
                    RNG.standard_normal((5, 2), dtype=np.float32), 3.0)
    network = nn.Sequential(nn.Linear(6, 5))
    loras = LoRAs({"unet": network})
    with jt.no_grad():  # variables made here would otherwise never get gradients
        loras.add("x", LoRAWeights({"unet": {"0": layer}}), dropout=dropout)
    return network, loras, layer


def test_gradients_are_those_of_the_formula() -> None:
    network, loras, layer = linear_lora()
    trainables = loras.train("x")
    out = network(jt.array(X))
    down, up = jt.grad((out * jt.array(TARGET)).sum(), trainables.all)
    x, g = X.reshape(-1, 6), TARGET.reshape(-1, 5)
    assert np.allclose(up.numpy(), 1.5 * g.T @ (x @ layer.down.T), rtol=1e-4, atol=1e-4)
    assert np.allclose(down.numpy(), 1.5 * (g @ layer.up).T @ x, rtol=1e-4, atol=1e-4)


def test_dropout_in_training_only_and_reproducible() -> None:
    network, loras, _ = linear_lora(dropout=0.5)

    def answer() -> Any:
        return network(jt.array(X)).numpy()

    steady = answer()
    assert np.array_equal(answer(), steady)
    loras.train("x")
    loras.restart_dropout(7, 1)
    first, second = answer(), answer()
    assert not np.array_equal(first, second)
    loras.restart_dropout(7, 1)
    assert np.array_equal(answer(), first)
    loras.restart_dropout(7, 2)
    assert not np.array_equal(answer(), first)
    mean = np.mean([answer() for _ in range(400)], axis=0)
    assert np.abs(mean - steady).max() < 0.15 * np.abs(steady).max()  # the inverse scale is right
    loras.stop_training()
    assert np.array_equal(answer(), steady)


def test_training_leaves_a_merge_and_wants_an_active_lora() -> None:
    _, loras, _ = linear_lora()
    loras.merge()
    loras.train("x")
    assert not loras.merged
    for deactivate in (lambda: loras.set_weight("x", 0), loras.disable):
        deactivate()
        with pytest.raises(InputError, match="LoRA 'x' is inactive: enable it with a weight"):
            loras.train("x")
