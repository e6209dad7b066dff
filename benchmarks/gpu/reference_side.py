"""The networks by torch and diffusers: values to compare with, times and memory.

`python reference_side.py reference CASE RESULT`, started by `measure.py`.
"""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[2] / "reference"))

import numpy as np
import torch
from safetensors.numpy import save_file
from torch import Tensor

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
)


def versions() -> Result:
    """Versions of what this side computes with."""
    import diffusers
    import transformers

    cudnn = torch.backends.cudnn.version() if torch.cuda.is_available() else None
    return {"torch": torch.__version__, "diffusers": diffusers.__version__,
            "transformers": transformers.__version__, "numpy": np.__version__,
            "cuda": torch.version.cuda, "cudnn": cudnn}


def seconds(compute: Callable[[], Any], case: Case, calls: int = 1) -> float:
    """Median time of a call, on the card by CUDA events; two rounds go before."""
    with torch.no_grad():
        for _ in range(2):
            compute()
        found = [_round(compute, case, calls) for _ in range(case.sizes.repeats)]
    return median(found)


def _round(compute: Callable[[], Any], case: Case, calls: int) -> float:
    if case.device == "cpu":
        start = time.perf_counter()
        for _ in range(calls):
            compute()
        return (time.perf_counter() - start) / calls
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    begin.record()
    for _ in range(calls):
        compute()
    end.record()
    torch.cuda.synchronize()
    return float(begin.elapsed_time(end)) / 1e3 / calls


def forget(case: Case) -> None:
    """Free what is not used any more, and let the peak of memory start anew."""
    gc.collect()
    if case.device == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def peak(case: Case) -> Result:
    """The most memory since `forget`: of arrays, and held from the driver."""
    if case.device == "cpu":
        return {}
    return {"allocated_bytes": torch.cuda.max_memory_allocated(),
            "reserved_bytes": torch.cuda.max_memory_reserved()}


def prepare(case: Case) -> None:
    """Compute in float32 where float32 is asked for; on the CPU with one thread."""
    allow_tf32(False)
    if case.device == "cpu":  # on small tensors, two threads mostly wait for each other
        torch.set_num_threads(1)


def allow_tf32(allowed: bool) -> None:
    """Let convolutions and matrix products round float32 to TF32, or not."""
    torch.backends.cudnn.allow_tf32 = allowed
    torch.backends.cuda.matmul.allow_tf32 = allowed


def reference(case: Case) -> Iterator[Result]:
    """Outputs of all networks into `case.values`, and what they cost."""
    import reference_values
    import styleid_torch

    prepare(case)
    inputs = case.inputs()
    given = {name: torch.from_numpy(array).to(case.device) for name, array in inputs.items()}
    values: Values = dict(inputs)
    pipeline = reference_values.load(case.model)
    pipeline.to(case.device)
    result: Result = {"versions": versions(), "unet": {}, "vae": {}}
    with torch.no_grad():
        values |= _network_values(pipeline, given, case, "float32")
        pixels = given["picture"].permute(2, 0, 1)[None] / 127.5 - 1.0
        posterior = pipeline.vae.encode(pixels).latent_dist
        values |= {"vae.mean": _array(posterior.mean), "vae.logvar": _array(posterior.logvar)}
        code = given[f"latent.{case.sizes.pictures[0]}"][:1] / pipeline.vae.config.scaling_factor
        values["vae.decoded"] = _array(pipeline.vae.decode(code).sample)

        settings = styleid_torch.Settings(INVERSION_STEPS)
        latent = given[f"latent.{case.sizes.pictures[0]}"][:1]
        values["ddim.inverted"] = _array(
            styleid_torch.invert(pipeline, latent, settings, [], "off"))
        styled = styleid_torch.transfer(pipeline, inputs["picture"], inputs["style"],
                                        styleid_torch.Settings(STYLEID_STEPS))
        values["styleid.latent"] = _array(styled.latent)
    if case.best == "float16":
        pipeline.to(torch.float16)
        with torch.no_grad():
            values |= _network_values(pipeline, given, case, "float16")
    save_file(values, case.values)
    yield result
    for _ in _unet_times(pipeline.unet, given, case, result["unet"]):
        yield result
    for _ in _vae_times(pipeline.vae, given, case, result["vae"]):
        yield result


def _array(tensor: Tensor) -> Any:
    return tensor.float().cpu().numpy()


def _network_values(pipeline: Any, given: dict[str, Tensor], case: Case, dtype: str) -> Values:
    """The UNet at both sizes and the text encoder, in a number format."""
    kind = getattr(torch, dtype)
    found = {
        f"unet.{pixels}.{dtype}": _array(pipeline.unet(
            given[f"latent.{pixels}"][:1].to(kind), TIMESTEP, given["context"][:1].to(kind)).sample)
        for pixels in case.sizes.pictures
    }
    states = pipeline.text_encoder(given["ids"].long()).last_hidden_state
    return {**found, f"text.{dtype}": _array(states)}


def _unet_times(
    unet: Any, given: dict[str, Tensor], case: Case, result: Result
) -> Iterator[None]:
    kind = getattr(torch, case.best)
    for pixels in case.sizes.pictures:
        for batch in BATCHES:
            forget(case)
            sample = given[f"latent.{pixels}"][:batch].to(kind)
            context = given["context"][:batch].to(kind)
            result[f"{pixels}.{batch}"] = {
                "seconds": seconds(partial(unet, sample, TIMESTEP, context), case),
                **peak(case)}
            yield


def _vae_times(
    vae: Any, given: dict[str, Tensor], case: Case, result: Result
) -> Iterator[None]:
    """Encoding and decoding: in float32, with TF32, and in float16 as diffusers does it."""
    kinds = [("float32", torch.float32, False)]
    if case.device == "cuda":
        kinds += [("tf32", torch.float32, True), ("float16", torch.float16, False)]
    for name, kind, tf32 in kinds:
        vae.to(kind)
        allow_tf32(tf32)
        for pixels in case.sizes.pictures:
            forget(case)
            code = (given[f"latent.{pixels}"][:1] / vae.config.scaling_factor).to(kind)
            result[f"decode.{pixels}.{name}"] = {
                "seconds": seconds(partial(vae.decode, code), case), **peak(case)}
        forget(case)
        image = (given["picture"].permute(2, 0, 1)[None] / 127.5 - 1.0).to(kind)
        result[f"encode.{case.sizes.pictures[0]}.{name}"] = {
            "seconds": seconds(partial(vae.encode, image), case), **peak(case)}
        yield


if __name__ == "__main__":
    main({"reference": reference})
