"""What each variant of StyleID costs at full size beside the paper's, with any weights.

    python benchmarks/speed/write_checkpoint.py FOLDER        # in the environment `reference`
    python benchmarks/methods/full_size_cost.py FOLDER            # in the environment `jittor`

Measures an evaluation of the UNet in processor time, plain, recording, and under each rule and
number of references. A picture is 20 steps of inversion and 20 of reversal. Prints a table in
Markdown, as `docs/methods.md` has one.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from jstyleid_core import StableDiffusion, Style, StyleID, StyleIDSettings, runtime
from jstyleid_core.runtime.jittor import Var, jt

_SIDE = 64
"""Of the latents: 512 pixels."""
_REPEATS = 3


@dataclass(frozen=True)
class Variant:
    """Settings that differ from the paper's, and the number of references."""

    settings: Mapping[str, Any]
    references: int = 1


VARIANTS = {
    "styleid": Variant({}),
    "joint": Variant({"rule": "joint"}),
    "gated": Variant({"rule": "gated"}),
    "gated, moments 0.2": Variant({"rule": "gated", "moments": 0.2}),
    "inversion fixed-point:2": Variant({"inversion": "fixed-point:2"}),
    "inversion fixed-point:4": Variant({"inversion": "fixed-point:4"}),
    "2 references": Variant({}, 2),
    "4 references": Variant({}, 4),
    "joint, 4 references": Variant({"rule": "joint"}, 4),
    "gated, 4 references": Variant({"rule": "gated"}, 4),
}


def processor_seconds(compute: Callable[[], Any]) -> float:
    """The median over some calls, after one that compiles."""
    found = []
    for repeat in range(_REPEATS + 1):
        before = time.process_time()
        compute()
        jt.sync_all(True)
        if repeat:
            found.append(time.process_time() - before)
    return statistics.median(found)


def injected_seconds(model: StableDiffusion, variant: Variant, latents: Var) -> tuple[float, int]:
    """An evaluation under injection, and the bytes of one reference's features at one step."""
    settings = StyleIDSettings.create(**variant.settings)
    styleid, timestep = StyleID(model, settings), model.schedule.timesteps(settings.steps)[0]
    _, seen = styleid.record(latents, timestep, model.empty_prompt, ("query", "key", "value"))
    style = Style(latents, None, {timestep: seen}, styleid.recipe, "", model)
    queries = {layer: each.query for layer, each in seen.items()}
    seconds = processor_seconds(lambda: styleid.inject(
        latents, timestep, model.empty_prompt, [style] * variant.references, query="content",
        queries=queries))
    bytes_of = {"float32": 4, "float16": 2}[styleid.recipe.dtype]
    numbers = sum(each.key.numel() + each.value.numel() for each in seen.values())
    return seconds, numbers * bytes_of


def main() -> None:
    """Measure, and print each line of the table as it comes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", type=Path, help="a checkpoint of full size")
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"])
    options = parser.parse_args()
    runtime.start(options.device)
    model = StableDiffusion.load(options.checkpoint)
    latents = jt.array(np.random.default_rng(0).standard_normal(
        (1, 4, _SIDE, _SIDE), dtype=np.float32))
    context = model.empty_prompt
    timestep = 501
    plain = processor_seconds(lambda: model.network(context)(latents, timestep).sync())
    print("| | an injected evaluation | a picture | features of the styles |\n|---|---|---|---|")
    base = base_seconds = 0.0
    for name, variant in VARIANTS.items():
        seconds, size = injected_seconds(model, variant, latents)
        settings = StyleIDSettings.create(**variant.settings)
        picture = settings.inversion_evaluations * plain + settings.steps * seconds
        if name == "styleid":
            base, base_seconds = picture, seconds
        memory = variant.references * settings.steps * size / 2**20
        ratios = f"{seconds / base_seconds:.2f} | {picture / base:.2f}"
        print(f"| {name} | {ratios} | {memory:.0f} MiB |", flush=True)
    print(f"\nprocessor seconds: plain {plain:.2f}, styleid {base_seconds:.2f}")


if __name__ == "__main__":
    main()
