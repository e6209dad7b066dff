"""What SD 2.1 asks of a CUDA card, counted without one: launches, bytes, operations, memory.

Runs on the emulated card of `cuda_emulation`, whose kernels are counted and not computed:

    tox -e cuda-counts -- CHECKPOINT --out counts.json

`CHECKPOINT` is one of full size; `benchmarks/speed/write_checkpoint.py` writes random weights.
The report is JSON, and the tables of `docs/cuda.md` beside it in Markdown. Host times are those of
this machine. From bytes and operations follows a lower bound of a card's time (a roofline, Williams
et al. 2009).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

sys.path.extend(str(Path(__file__).resolve().parents[2] / folder) for folder in (
    "cuda_emulation", "reference", "benchmarks/speed"))

import numpy as np
from PIL import Image

import train_jittor
import training_measurement
from case import TIMESTEP, Case, Result, picture
from device_counters import DeviceCounters
from jittor_side import forget, seconds
from jstyleid_core import StableDiffusion, kernels, pipeline
from jstyleid_core.diffusion import finite
from jstyleid_core.files import write_whole
from jstyleid_core.runtime.jittor import jt
from jstyleid_core.styleid.method import StyleID
from jstyleid_core.styleid.settings import StyleIDSettings

BATCHES = (1, 2, 4)
PARTS = ("evaluations", "transfers", "training_steps")
KINDS = ("attention", "convolution", "linear", "rest")
COUNTED = ("launches", "products", "convolutions", "graphs", "copies_to_host", "copies_to_device",
           "synchronisations", "allocations", "peak_bytes")
GIB = 1 << 30


@dataclass(frozen=True)
class Card:
    """Peak rates of a card by its data sheet.

    Attributes:
        operations: float16 products with float32 sums on tensor cores, dense, 1e12 a second.
        bandwidth: of the memory, 1e9 bytes a second.
    """

    name: str
    operations: float
    bandwidth: float


CARDS = (Card("RTX 3090", 71, 936), Card("RTX 4090", 165, 1008), Card("A100 80 GB", 312, 2039),
         Card("H100 SXM", 989, 3350), Card("RTX 5090", 209, 1792))


def evaluations(model: StableDiffusion, case: Case, counters: DeviceCounters) -> Iterator[Result]:
    """Evaluations of the UNet, by pixels and batch."""
    inputs = case.inputs()
    for pixels in case.sizes.pictures:
        for batch in BATCHES:
            sample = jt.array(inputs[f"latent.{pixels}"][:batch]).cast(case.best)
            context = jt.array(inputs["context"][:batch]).cast(case.best)
            compute = partial(model.networks.predict, sample, TIMESTEP, context)
            forget()
            times = seconds(compute, case)
            operations: dict[str, float] = {}
            with counting_operations(operations), jt.no_grad():
                found = counted(compute, counters)
            moved = moved_bytes(compute)
            replay = partial(model.network(context), sample, TIMESTEP)
            replayed = {**seconds(replay, case), **counted(replay, counters)}
            yield {"pixels": pixels, "batch": batch, **found, "operations": operations,
                   "bytes": moved, "graph_seconds": times["graph_seconds"],
                   "host_seconds": times["seconds"], "replayed": replayed}


def transfers(model: StableDiffusion, case: Case, counters: DeviceCounters) -> Iterator[Result]:
    """Whole transfers, the inversion of the style included."""
    rng = np.random.default_rng(1)
    styleid = StyleID(model, StyleIDSettings(steps=case.sizes.transfer_steps))
    for pixels in case.sizes.pictures:
        style, content = (Image.fromarray(picture(rng, pixels)) for _ in range(2))
        model.drop_text_encoder()  # as `jstyleid transfer` does
        forget()
        transfer = partial(_transfer, styleid, content, style)
        yield {"pixels": pixels, "batch": 1, **counted(transfer, counters)}


def _transfer(styleid: StyleID, content: Image.Image, style: Image.Image) -> None:
    styleid.transfer([content], styleid.invert_style(style))


def training_steps(case: Case, counters: DeviceCounters) -> Iterator[Result]:
    """A step of DreamBooth-LoRA at rank 4: of one picture, and of one with a class image."""
    pixels = case.sizes.pictures[0]
    for checkpointing in (False, True):
        for batch in (1, 2):
            step = train_jittor.load(argparse.Namespace(
                folder=case.model, steps=3, gradient_checkpointing=checkpointing), dtype="auto")
            examples = [training_measurement.examples(case.model, pixels // 8, number)
                        for number in range(batch)]
            joined = {name: np.concatenate([each[name] for each in examples])
                      for name in examples[0]}
            step(joined)  # makes the optimizer's arrays
            forget()
            yield {"pixels": pixels, "batch": batch, "checkpointing": checkpointing,
                   **counted(partial(step, joined), counters)}
            del step


def counted(compute: Callable[[], Any], counters: DeviceCounters) -> Result:
    """What a computation asks of the card; `peak_bytes` has all memory that Jittor holds."""
    jt.sync_all(True)
    counters.reset()
    computed = compute()
    jt.sync_all(True)
    del computed
    found = counters.read()
    return {name: found[name] for name in COUNTED}


def moved_bytes(compute: Callable[[], Any]) -> dict[str, float]:
    """Bytes that operators read and write, from the shapes of their arrays, by kind."""
    with jt.no_grad(), jt.profile_scope(warmup=0, rerun=0) as report:
        compute().sync()
        jt.sync_all(True)
    heads, *rows = report
    columns = {name: number for number, name in enumerate(heads)}
    found = dict.fromkeys(KINDS, 0.0)
    for row in rows:
        nanoseconds, rate_in, rate_out = (
            float(row[columns[name]]) for name in ("TotalTime", "Input", "Output"))
        found[kind_of(row[columns["Name"]], row[columns["FileName"]])] += (
            nanoseconds * (rate_in + rate_out) / 1e9)
    return found


def kind_of(name: str, file: str) -> str:
    """The kind of an operator, by what its generated source includes."""
    if "cublas" in name:
        return "linear"
    source = Path(file.split("\n")[0])
    text = source.read_text(encoding="utf-8", errors="replace") if source.is_file() else ""
    return next((kind for kind in KINDS if f'#include "{kind}.cuh"' in text), "rest")


@contextmanager
def counting_operations(found: dict[str, float]) -> Iterator[None]:
    """Add up multiplications and additions of the operators that are created, by kind."""
    found.update(dict.fromkeys(KINDS, 0.0))

    def linear(x: Any, weight: Any, bias: Any = None) -> Any:
        out = plain["linear"](x, weight, bias)
        found["linear"] += 2.0 * out.numel() * weight.shape[1]
        return out

    def conv2d(x: Any, weight: Any, *rest: Any) -> Any:
        out = plain["conv2d"](x, weight, *rest)
        found["convolution"] += 2.0 * out.numel() * int(np.prod(weight.shape[1:]))
        return out

    def attention(query: Any, key: Any, value: Any, *rest: Any) -> Any:
        out = plain["attention"](query, key, value, *rest)
        found["attention"] += 4.0 * query.numel() * key.shape[1]
        return out

    replaced = {"linear": linear, "conv2d": conv2d, "attention": attention}
    plain = {name: getattr(kernels, name) for name in replaced}
    for name, function in replaced.items():
        setattr(kernels, name, function)
    try:
        yield
    finally:
        for name, function in plain.items():
            setattr(kernels, name, function)


def lowest_seconds(evaluation: Result, card: Card) -> float:
    """The least time of an evaluation: each kind waits for its operations or for its bytes."""
    return sum(max(evaluation["operations"][kind] / (card.operations * 1e12),
                   evaluation["bytes"][kind] / (card.bandwidth * 1e9)) for kind in KINDS)


def markdown(found: dict[str, list[Result]]) -> str:
    """The report as tables."""
    lines = ["| latent | batch | launches | of cuBLAS | of cuDNN | TFLOP | GB moved | graph "
             "| host | host, replayed | peak |", "|" + "---|" * 11]
    for e in found["evaluations"]:
        side = e["pixels"] // 8
        lines.append(
            f"| {side} x {side} | {e['batch']} | {e['launches']} | {e['products']} "
            f"| {e['convolutions']} | {sum(e['operations'].values()) / 1e12:.2f} "
            f"| {sum(e['bytes'].values()) / 1e9:.2f} | {e['graph_seconds'] * 1e3:.1f} ms "
            f"| {e['host_seconds'] * 1e3:.1f} ms | {e['replayed']['seconds'] * 1e3:.1f} ms "
            f"| {e['peak_bytes'] / GIB:.2f} GiB |")
    lines += ["", "| latent | batch | " + " | ".join(card.name for card in CARDS) + " |",
              "|---|---|" + "---|" * len(CARDS)]
    for e in found["evaluations"]:
        side = e["pixels"] // 8
        times = " | ".join(f"{lowest_seconds(e, card) * 1e3:.1f} ms" for card in CARDS)
        lines.append(f"| {side} x {side} | {e['batch']} | {times} |")
    lines += ["", "| | launches, cuBLAS and cuDNN included | copies to the host | peak |",
              "|---|---|---|---|"]
    for name, each in [("transfer", e) for e in found["transfers"]] + [
            ("training step" + (", checkpointing" if e["checkpointing"] else ""), e)
            for e in found["training_steps"]]:
        calls = sum(each[name] for name in ("launches", "products", "convolutions", "graphs"))
        lines.append(f"| {name}, {each['pixels']} pixels, batch {each['batch']} | {calls} "
                     f"| {each['copies_to_host']} | {each['peak_bytes'] / GIB:.2f} GiB |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Count, and write the report after each part."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path, help="a checkpoint in diffusers layout")
    parser.add_argument("--out", type=Path, default=Path("counts.json"))
    parser.add_argument("--size", choices=("full", "tiny"), default="full")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    given = parser.parse_args()
    if "FAKE_CUDA_COUNT_ONLY" not in os.environ:
        parser.error("FAKE_CUDA_COUNT_ONLY is not set: this counts on an emulated card, see "
                     "cuda_emulation/README.md")
    for module in (finite, pipeline):  # what is not computed leaves any numbers behind
        vars(module)["require_finite"] = lambda *_: None
    case = Case(given.size, "cuda", given.checkpoint, given.out.parent)
    counters = DeviceCounters()
    found: dict[str, list[Result]] = {name: [] for name in PARTS}
    model = StableDiffusion.load(case.model)
    parts: dict[str, Iterator[Result]] = dict(zip(PARTS, (
        evaluations(model, case, counters), transfers(model, case, counters),
        training_steps(case, counters)), strict=True))
    del model  # the generators hold the model as long as they need it
    for name, part in parts.items():
        for result in part if name in given.parts else ():
            found[name].append(result)
            print(json.dumps({name: result}), flush=True)
            write_whole(given.out, (json.dumps(found, indent=1) + "\n").encode())
            write_whole(given.out.with_suffix(".md"), markdown(found).encode())


if __name__ == "__main__":
    main()
