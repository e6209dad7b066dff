"""The committed reference data is what diffusers says, and the StyleID reference makes sense.

Run in the torch environment: ``pytest reference``.  With JSTYLEID_REFERENCE_FRESH set to a folder,
a fresh set of checkpoints and values is left there for the Jittor side.
"""

from __future__ import annotations

import filecmp
import os
import secrets
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, DDIMInverseScheduler, StableDiffusionPipeline
from numpy.typing import NDArray
from safetensors.numpy import load_file
from transformers import CLIPTextModel

import fresh_set
import make_checkpoints
import reference_values
import styleid_torch
from reference_sets import RANKS
from small_checkpoint import CHECKPOINTS, SMALL, build
from styleid_torch import Settings

GOLDEN = Path(__file__).resolve().parent / "golden"
FRESH = os.environ.get("JSTYLEID_REFERENCE_FRESH")

# One evaluation of a network differs by 1e-6 between instruction sets.  StyleID chains 60 of them,
# and dividing by sqrt(alpha-bar) = 0.08 at t = T magnifies: 2e-5 was seen between AVX2 and AVX-512.
ONE_EVALUATION = 1e-5
STYLEID = 1e-4


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The small checkpoints of seed 0."""
    folder = tmp_path_factory.mktemp("checkpoints")
    return {name: build(name, folder / name) for name in SMALL}


@pytest.fixture(scope="session")
def pipeline(checkpoints: dict[str, Path]) -> StableDiffusionPipeline:
    """The v-prediction checkpoint, loaded."""
    return reference_values.load(checkpoints["sd21-v"])


def distance(a: NDArray[Any] | torch.Tensor, b: NDArray[Any] | torch.Tensor) -> float:
    """Return |a - b| / |b| in the Euclidean norm."""
    x, y = np.asarray(a, np.float64), np.asarray(b, np.float64)
    return float(np.linalg.norm(x - y) / np.linalg.norm(y))


@pytest.mark.parametrize("name", SMALL)
def test_golden_values_are_what_diffusers_computes(name: str, checkpoints: dict[str, Path]) -> None:
    golden = load_file(GOLDEN / f"{name}.safetensors")
    values = reference_values.values(checkpoints[name], seed=0)
    assert values.keys() == golden.keys()
    for key, value in values.items():
        if value.dtype == np.float32:
            limit = (RANKS if key.startswith("styleid.efdm.") else
                     STYLEID if key.startswith("styleid.") else ONE_EVALUATION)
            assert distance(value, golden[key]) <= limit, key
        elif key.endswith("picture"):
            assert np.abs(value.astype(int) - golden[key]).max() <= 1, key
        else:
            assert np.array_equal(value, golden[key]), key


def test_descriptions_are_what_diffusers_writes(tmp_path: Path) -> None:
    make_checkpoints.write_all(tmp_path)
    written = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file())
    committed = [path.relative_to(CHECKPOINTS) for path in CHECKPOINTS.rglob("*") if path.is_file()]
    assert written == sorted(committed)
    _, different, unreadable = filecmp.cmpfiles(CHECKPOINTS, tmp_path, written, shallow=False)
    assert (different, unreadable) == ([], [])


@pytest.mark.parametrize("name", SMALL)
def test_every_tensor_finds_its_place(name: str, checkpoints: dict[str, Path]) -> None:
    for component, model in (("vae", AutoencoderKL), ("text_encoder", CLIPTextModel)):
        _, report = model.from_pretrained(
            checkpoints[name], subfolder=component, output_loading_info=True
        )
        assert not report["missing_keys"]
        assert set(report["unexpected_keys"]) <= {"text_model.embeddings.position_ids"}


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_inversion_follows_the_formula(prediction: str, pipeline: StableDiffusionPipeline) -> None:
    config = {**pipeline.scheduler.config, "prediction_type": prediction}
    scheduler = DDIMInverseScheduler.from_config(config)
    scheduler.set_timesteps(20)
    assert scheduler.timesteps.tolist() == [50 * i + 1 for i in range(20)]
    alpha_bar = torch.cumprod(1 - torch.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2, 0)
    z, output = torch.randn(2, 1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    for t in (1, 501, 951):
        a, b = alpha_bar[max(0, t - 50)], alpha_bar[t]
        if prediction == "epsilon":
            x0, noise = (z - (1 - a).sqrt() * output) / a.sqrt(), output
        else:
            x0 = a.sqrt() * z - (1 - a).sqrt() * output
            noise = a.sqrt() * output + (1 - a).sqrt() * z
        expected = b.sqrt() * x0 + (1 - b).sqrt() * noise
        assert distance(scheduler.step(output, t, z).prev_sample, expected) < 1e-6


def test_reversal_returns_to_the_content(pipeline: StableDiffusionPipeline) -> None:
    rng = np.random.default_rng(0)
    content, style = (reference_values.smooth_picture(rng, 64, 64) for _ in range(2))
    latent = styleid_torch.encode(pipeline, content)

    def moved(steps: int, style: styleid_torch.Picture, **knobs: Any) -> float:
        settings = Settings(steps, **knobs)
        return distance(styleid_torch.transfer(pipeline, content, style, settings).latent, latent)

    # Without injection and AdaIN what remains is the error of DDIM's steps, of first order.
    assert moved(50, style, inject=False, adain=False) < 0.1
    assert moved(20, style, inject=False, adain=False) > 0.1
    # So it is with a picture that is its own style: query, key and value are its own.
    assert moved(50, content, temperature=1.0) < 0.1
    assert moved(20, style) > 0.3


def test_adain_takes_over_mean_and_deviation() -> None:
    content, style = torch.randn(2, 1, 4, 16, 16, generator=torch.Generator().manual_seed(0))
    style = 3 * style + torch.arange(4.0)[None, :, None, None]
    result = styleid_torch.adain(content, style)
    assert torch.allclose(result.mean((2, 3)), style.mean((2, 3)), atol=1e-5)
    assert torch.allclose(result.std((2, 3)), style.std((2, 3)), rtol=2e-4)


@pytest.mark.skipif(FRESH is None, reason="JSTYLEID_REFERENCE_FRESH names no folder")
def test_fresh_set_is_made() -> None:
    folder, seed = Path(str(FRESH)), secrets.randbelow(2**31)
    print(f"fresh seed: {seed}")
    fresh_set.write_fresh(folder, seed)
    made = {str(path.relative_to(folder)) for path in folder.glob("**/values.safetensors")}
    assert made >= {f"{name}/values.safetensors" for name in SMALL}
    assert (folder / "clip-tokenizer.safetensors").is_file()
