"""What JDiffusion does silently wrong does not happen through the adapter."""

from __future__ import annotations

import importlib
import signal
import ssl
from typing import Any

import numpy as np
import pytest

from backend_choice import predicted
from computing import compute_by_plain_operators
from jstyleid_core.errors import InputError
from jstyleid_core.interfaces import processors, run_directly
from jstyleid_core.runtime.jittor import jt
from reference_sets import distance


@pytest.fixture
def networks(pair: dict[str, Any]) -> Any:
    return pair["jdiffusion"].networks


def test_flags_and_process_are_as_before(networks: Any) -> None:
    predicted(networks)
    assert (jt.flags.use_cuda, jt.flags.amp_reg, jt.flags.th_mode) == (0, 0, 0)
    assert jt.cudnn is None  # this machine's tests run on the CPU
    assert ssl._create_default_https_context is ssl.create_default_context
    # Python's own, or as a shell makes it for what it starts in the background.
    assert signal.getsignal(signal.SIGINT) in (signal.default_int_handler, signal.SIG_IGN)


def test_nothing_is_printed_among_results(
    networks: Any, capsys: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder
) -> None:
    """In the mode that its import switches on, jtorch prints "to cpu" when something goes there."""
    importing = importlib.import_module("jstyleid_core.backends.jdiffusion.importing")
    with importing.unchanged_flags():
        jt.flags.th_mode = 1
        jt.array([1.0]).to(device="cpu")
    assert capsys.readouterr().out == "to cpu\n", "the trap is gone"
    with importing.contained():
        jt.flags.th_mode = 1
        jt.array([1.0]).to(device="cpu")
    predicted(networks)
    with jt.no_grad():
        networks.embed(jt.array(np.arange(77, dtype=np.int32)[None])).sync()
    assert capsys.readouterr() == ("", "")
    assert not recwarn.list


def test_naming_a_device_switches_nothing(networks: Any) -> None:
    importing = importlib.import_module("jstyleid_core.backends.jdiffusion.importing")
    with importing.unchanged_flags():
        jt.flags.th_mode, jt.flags.amp_reg = 1, 12
    assert (jt.flags.th_mode, jt.flags.amp_reg) == (0, 0)


def test_jittors_random_numbers_decide_nothing(pair: dict[str, Any]) -> None:
    """JDiffusion drops `generator=`, and draws when a lazy variable happens to be computed."""
    drawn = []
    for seed in (1, 2):
        jt.set_global_seed(seed)
        [picture] = pair["jdiffusion"].generate(["a boat"], [5], steps=1, size=(64, 64))
        drawn.append(np.asarray(picture))
    assert np.array_equal(*drawn)


def test_what_a_processor_returns_counts(networks: Any) -> None:
    before = predicted(networks)
    layer = next(iter(networks.attentions().values()))
    with processors({layer: lambda attention, hidden, context: hidden * 0}):
        assert distance(predicted(networks), before) > 1e-4
    assert np.array_equal(predicted(networks), before)


@pytest.mark.parametrize("path", [
    "up_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q",
    "up_blocks.1.attentions.0.transformer_blocks.0.attn1.to_out.0",
    "up_blocks.1.attentions.0.transformer_blocks.0.ff.net.0.proj",
    "down_blocks.0.resnets.0.conv2",
])
def test_a_replaced_execute_is_computed(networks: Any, path: str) -> None:
    """As LoRAs replace it; JDiffusion's own layers would go on without a word."""
    layer = dict(networks.unet.named_modules())[path]
    before = predicted(networks)
    own = layer.execute
    layer.execute = lambda x: own(x) * 2
    try:
        assert distance(predicted(networks), before) > 1e-4
    finally:
        del layer.execute
    assert np.array_equal(predicted(networks), before)


def test_normalisation_keeps_its_digits(networks: Any) -> None:
    layer = dict(networks.unet.named_modules())["conv_norm_out"]
    rng = np.random.default_rng(0)
    x = (1000 + rng.standard_normal((1, layer.num_channels, 16, 16))).astype(np.float32)
    grouped = x.astype(np.float64).reshape(1, layer.num_groups, -1)
    normal = ((grouped - grouped.mean(2, keepdims=True))
              / np.sqrt(grouped.var(2, keepdims=True) + layer.eps)).reshape(x.shape)
    exact = (normal * layer.weight.numpy()[:, None, None] + layer.bias.numpy()[:, None, None])
    assert distance(layer(jt.array(x)), exact) <= 1e-4


def test_half_precision_is_half_in_every_weight(
    pair: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`torch_dtype` and `.to` leave everything wide; filling from the checkpoint does not.

    Computed by the operators that CUDA runs; the CPU sums in half, hence the wide limit.
    """
    compute_by_plain_operators(monkeypatch)
    from jstyleid_core.backends import build_networks
    from jstyleid_core.weights.loading import load_networks

    checkpoint = pair["native"].checkpoint
    networks = build_networks("jdiffusion", checkpoint.architecture, "float16")
    load_networks(networks, checkpoint, "float16", None)
    for network, dtype in ((networks.unet, "float16"), (networks.vae, "float32"),
                           (networks.text_encoder, "float16")):
        found = {str(var.dtype) for var in network.parameters()} - {"int32", "int64"}
        assert found == {dtype}
    last, seen = networks.unet.conv_out, []
    own = last.execute
    last.execute = lambda x: seen.append(str(x.dtype)) or own(x)
    assert distance(predicted(networks), predicted(pair["jdiffusion"].networks)) <= 5e-2
    assert seen == ["float16"]
    ids = jt.array(np.arange(77, dtype=np.int32)[None])
    with jt.no_grad():
        states, wide = networks.embed(ids), pair["jdiffusion"].networks.embed(ids)
    assert states.dtype == "float16"
    assert distance(states.float32(), wide) <= 2e-2


def test_gradient_checkpointing_is_refused(networks: Any) -> None:
    networks.set_block_runner(run_directly)
    with pytest.raises(InputError, match="gradient checkpointing is not possible with backend"):
        networks.set_block_runner(lambda block, layers, *inputs: block(*inputs))
