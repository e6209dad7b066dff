"""The networks and StyleID by jstyleid: distance from the reference's values, times and memory.

`python jittor_side.py PART CASE RESULT`, started by `measure.py`.
"""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[2] / "reference"))

import numpy as np
from PIL import Image
from safetensors.numpy import load_file

from case import (
    BATCHES,
    INVERSION_STEPS,
    STYLEID_STEPS,
    TIMESTEP,
    Case,
    Result,
    Values,
    main,
    median,
    picture,
)
from jstyleid_core import StableDiffusion
from jstyleid_core.diffusion.ddim import ddim_inversion
from jstyleid_core.images import to_array
from jstyleid_core.runtime.jittor import jt
from jstyleid_core.styleid.method import StyleID
from jstyleid_core.styleid.settings import StyleIDSettings
from reference_sets import distance


def seconds(compute: Callable[[], Any], case: Case) -> Result:
    """Medians of an evaluation: building its graph, until the host is done, and the whole.

    Args:
        compute: returns the Var that is evaluated.
        case: gives the number of repetitions; two evaluations go before, in which kernels are
            compiled and the computation is captured.
    """
    rounds = []
    with jt.no_grad():
        for number in range(2 + case.sizes.repeats):
            jt.sync_all(True)
            start = time.perf_counter()
            out = compute()
            built = time.perf_counter()
            out.sync()
            launched = time.perf_counter()
            jt.sync_all(True)
            end = time.perf_counter()
            if number == 0:
                first = end - start
            if number >= 2:
                rounds.append((built - start, launched - start, end - start))
    graph, host, whole = (median([times[i] for times in rounds]) for i in range(3))
    return {"seconds": whole, "graph_seconds": graph, "host_seconds": host,
            "first_seconds": round(first, 3)}


def forget() -> None:
    """Give the memory that is not used any more back to the driver."""
    gc.collect()
    jt.sync_all(True)
    jt.gc()


def held(case: Case) -> Result:
    """What Jittor holds from the driver: it gives nothing back before `forget`, so the peak."""
    if case.device == "cpu":
        return {}
    return {"reserved_bytes": int(jt.get_mem_info().total_cuda_used)}


def doctor(case: Case) -> Iterator[Result]:
    """The checks of `jstyleid doctor`, and the versions; compiles Jittor on first use."""
    from jstyleid_core.doctor import run_checks
    from jstyleid_core.runtime.toolkit import cudnn_version
    from jstyleid_core.version import __version__

    checks = run_checks(case.device)
    versions: Result = {"jstyleid": __version__, "jittor": jt.__version__, "numpy": np.__version__,
                        "python": sys.version.split()[0]}
    if case.device == "cuda":
        cudnn = cudnn_version(Path(jt.compiler.cuda_home) / "include")
        versions |= {"cuda": ".".join(map(str, jt.compiler.nvcc_version)),
                     "cudnn": ".".join(map(str, cudnn)) if cudnn else None}
    failed = [f"{check.name}: {check.fix}" for check in checks if not check.ok]
    yield {"versions": versions, "failed": failed, "checks": [asdict(check) for check in checks]}


def networks(case: Case) -> Iterator[Result]:
    """Every network in every number format: distances where there are values, and times."""
    expected = load_file(case.values) if case.values.is_file() else {}
    inputs = {name: expected.get(name, array) for name, array in case.inputs().items()}
    result: Result = {"load": {}, "distance": {}, "unet": {}, "vae": {}}
    for dtype in reversed(case.dtypes):  # the one that pictures are made in first
        forget()
        start = time.perf_counter()
        model = StableDiffusion.load(case.model, dtype=dtype)  # type: ignore[arg-type]
        jt.sync_all(True)
        result["load"][dtype] = {"seconds": round(time.perf_counter() - start, 3), **held(case)}
        if expected:
            _network_distances(model, inputs, expected, dtype, result["distance"])
            yield result
        if dtype == case.best:
            for _ in _unet_times(model, inputs, case, result["unet"]):
                yield result
        if dtype == "float32":
            if expected:
                _float32_distances(model, inputs, expected, result["distance"])
                yield result
            _vae_times(model, inputs, case, result["vae"])
            yield result
        del model


def _network_distances(
    model: StableDiffusion, inputs: Values, expected: Values, dtype: str, result: Result
) -> None:
    """UNet and text encoder: from the reference in this format, and from its float32."""
    with jt.no_grad():
        found = {f"text.{dtype}": model.networks.embed(jt.array(inputs["ids"]))}
    for name in sorted(inputs):
        if name.startswith("latent."):
            found[f"unet.{name[7:]}.{dtype}"] = model.network(jt.array(inputs["context"][:1]))(
                jt.array(inputs[name][:1]), TIMESTEP)
    for key, out in found.items():
        array = out.float32().numpy()
        result[key] = distance(array, expected[key])
        if dtype == "float16":
            exact = expected[key.replace("float16", "float32")]
            result[f"{key}.from_float32"] = distance(array, exact)
            result[f"{key}.reference_from_float32"] = distance(expected[key], exact)


def _float32_distances(
    model: StableDiffusion, inputs: Values, expected: Values, result: Result
) -> None:
    """Autoencoder, DDIM inversion and StyleID."""
    images = [Image.fromarray(inputs[name]) for name in ("picture", "style")]
    latent = jt.array(inputs[f"latent.{images[0].width}"][:1])
    with jt.no_grad():
        mean, logvar = model.networks.encode(jt.array(to_array(images[:1])))
        code = latent / model.networks.vae_config.scaling_factor
        found = {"vae.mean": mean, "vae.logvar": logvar,
                 "vae.decoded": model.networks.decode(code)}
        for key, out in found.items():
            result[key] = distance(out, expected[key])
    denoiser = model.denoiser(model.network(model.empty_prompt))
    *_, last = ddim_inversion(denoiser, latent, model.schedule, INVERSION_STEPS)
    result["ddim.inverted"] = distance(last.latents, expected["ddim.inverted"])
    styleid = StyleID(model, StyleIDSettings(steps=STYLEID_STEPS))
    *_, last = styleid.steps(images[:1], styleid.invert_style(images[1]))
    result["styleid.latent"] = distance(last.x0, expected["styleid.latent"])


def _unet_times(
    model: StableDiffusion, inputs: Values, case: Case, result: Result
) -> Iterator[None]:
    for pixels in case.sizes.pictures:
        for batch in BATCHES:
            forget()
            sample = jt.array(inputs[f"latent.{pixels}"][:batch])
            network = model.network(jt.array(inputs["context"][:batch]))
            result[f"{pixels}.{batch}"] = {
                **seconds(partial(network, sample, TIMESTEP), case), **held(case)}
            yield


def _vae_times(model: StableDiffusion, inputs: Values, case: Case, result: Result) -> None:
    for pixels in case.sizes.pictures:
        forget()
        code = jt.array(inputs[f"latent.{pixels}"][:1] / model.networks.vae_config.scaling_factor)
        result[f"decode.{pixels}.float32"] = {
            **seconds(partial(model.networks.decode, code), case), **held(case)}
    forget()
    image = jt.array(to_array([Image.fromarray(inputs["picture"])]))
    result[f"encode.{case.sizes.pictures[0]}.float32"] = {
        **seconds(lambda: model.networks.encode(image)[0], case), **held(case)}


def transfer(case: Case) -> Iterator[Result]:
    """StyleID of pictures in memory: seconds a picture, without loading and saving."""
    model = StableDiffusion.load(case.model)
    small, large = case.sizes.pictures
    result: Result = {"steps": case.sizes.transfer_steps}
    rng = np.random.default_rng(1)
    for pixels, batches in ((small, BATCHES), (large, (1,))):
        images = [Image.fromarray(picture(rng, pixels)) for _ in range(1 + max(batches))]
        warm = StyleID(model, StyleIDSettings(steps=1))
        for batch in batches:  # kernels are compiled here
            warm.transfer(images[1:1 + batch], warm.invert_style(images[0]))
        styleid = StyleID(model, StyleIDSettings(steps=case.sizes.transfer_steps))
        forget()
        start = time.perf_counter()
        style = styleid.invert_style(images[0])
        jt.sync_all(True)
        result[f"style.{pixels}"] = {"seconds": time.perf_counter() - start, **held(case)}
        for batch in batches:
            forget()
            times = []
            for _ in range(3):
                start = time.perf_counter()
                styleid.transfer(images[1:1 + batch], style)
                times.append((time.perf_counter() - start) / batch)
            result[f"{pixels}.{batch}"] = {"seconds": median(times), **held(case)}
            yield result


if __name__ == "__main__":
    main({"doctor": doctor, "networks": networks, "transfer": transfer})
