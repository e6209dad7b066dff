"""The report of a measurement as Markdown, from its JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from case import BATCHES, INVERSION_STEPS, SIZES, STYLEID_STEPS
from kernel_cases import kernels as kernel_cases

Record = dict[str, Any]
Row = Sequence[str]


def markdown(found: Record) -> str:
    """The whole report of the parts so far."""
    results = {name: part["result"] for name, part in found["parts"].items() if "result" in part}
    sections = [_head(found, results), _accuracy(found, results), _evaluations(found, results),
                _transfer(results), _training(results), _run(results), _kernels(found, results),
                _parts(found)]
    return "\n\n".join(section for section in sections if section) + "\n"


def table(head: Row, rows: Iterable[Row]) -> str:
    """A table whose columns but the first are of numbers."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def milliseconds(value: float | None) -> str:
    """A time with three digits."""
    return "" if value is None else f"{value * 1e3:.3g} ms" if value < 1 else f"{value:.3g} s"


def gigabytes(value: float | None) -> str:
    """Bytes as GiB."""
    return "" if value is None else f"{value / 2**30:.2f} GiB"


def ratio(ours: float | None, theirs: float | None) -> str:
    """Ours over theirs."""
    return f"{ours / theirs:.2f}" if ours and theirs else ""


def _get(results: Record, *path: str) -> Any:
    at: Any = results
    for key in path:
        at = at.get(key) if isinstance(at, dict) else None
    return at


def _head(found: Record, results: Record) -> str:
    machine = found["machine"]
    ours = _get(results, "doctor", "versions") or {}
    theirs: Record = {}
    for part in ("reference", "training-reference", "kernels-reference"):
        theirs = theirs or _get(results, part, "versions") or {}
    case = found["case"]
    lines = [
        "# Measurements on this card", "",
        f"- date: {found['date']}",
        f"- cards (memory, driver): {'; '.join(machine.get('cards', [])) or 'none'}",
        f"- processor cores: {machine['cores']}",
        f"- size {case['size']}, device {case['device']}, model: {case['model']}",
        f"- this project: {_list(ours) or 'unknown, see the part doctor'}",
        f"- beside: {_list(theirs) or 'nothing, see the parts at the end'}",
    ]
    if "left_out" in found:
        lines.append(f"- left out: {found['left_out']}")
    lines += ["", "Times are medians; a ratio is jstyleid's number over diffusers' in the same "
              "row. Memory is what the allocator holds from the driver at its peak."]
    return "\n".join(lines)


def _list(versions: Record) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items() if version)


def _accuracy(found: Record, results: Record) -> str:
    distances = _get(results, "networks", "distance")
    if not distances:
        reason = found["parts"].get("reference", {}).get("reason")
        if not reason or "networks" not in results:
            return ""
        return f"## Accuracy\n\nNot compared, for lack of the part reference: {reason}"
    words = {"ddim.inverted": f"DDIM inversion, {INVERSION_STEPS} steps",
             "styleid.latent": f"StyleID, {STYLEID_STEPS} steps, latent"}
    rows = []
    for key, value in distances.items():
        if key.endswith("from_float32"):
            continue
        theirs, ours = (distances.get(f"{key}.{which}")
                        for which in ("reference_from_float32", "from_float32"))
        rows.append([words.get(key, key), f"{value:.1e}",
                     *("" if each is None else f"{each:.1e}" for each in (theirs, ours))])
    return "## Accuracy\n\nRelative error in the norm.\n\n" + table(
        ["computation", "from diffusers", "diffusers' float16 from its float32",
         "jstyleid's float16 from that"], rows)


def _evaluations(found: Record, results: Record) -> str:
    if not {"networks", "reference"} & set(results):
        return ""
    pictures = SIZES[found["case"]["size"]].pictures
    rows, memory = [], []
    for pixels in pictures:
        for batch in BATCHES:
            key = f"{pixels}.{batch}"
            ours = _get(results, "networks", "unet", key) or {}
            theirs = _get(results, "reference", "unet", key) or {}
            rows.append([f"{pixels} px, batch {batch}", *_pair(ours, theirs),
                         milliseconds(ours.get("graph_seconds")),
                         milliseconds(ours.get("host_seconds"))])
            held = ours.get("reserved_bytes"), theirs.get("reserved_bytes")
            if any(held):
                memory.append([f"{pixels} px, batch {batch}", gigabytes(held[1]),
                               gigabytes(held[0]), ratio(*held),
                               gigabytes(theirs.get("allocated_bytes"))])
    text = "## An evaluation of the UNet\n\n" + table(
        ["", "diffusers", "jstyleid", "ratio", "of it: graph built", "host done"], rows)
    if memory:
        text += "\n\nPeak memory with all networks loaded:\n\n" + table(
            ["", "diffusers", "jstyleid", "ratio", "diffusers, arrays only"], memory)
    rows = []
    for what in [*(f"decode.{pixels}" for pixels in pictures), f"encode.{pictures[0]}"]:
        ours = _get(results, "networks", "vae", f"{what}.float32") or {}
        for name in ("float32", "tf32", "float16"):
            theirs = _get(results, "reference", "vae", f"{what}.{name}") or {}
            if theirs or name == "float32":
                rows.append([f"{what.replace('.', ' ')} px, diffusers in {name}",
                             *_pair(ours, theirs)])
    text += "\n\n## The autoencoder, in float32 here\n\n" + table(
        ["", "diffusers", "jstyleid", "ratio"], rows)
    for dtype, load in (_get(results, "networks", "load") or {}).items():
        text += f"\n\nLoading all networks in {dtype}: {load['seconds']:.1f} s."
    return text


def _pair(ours: Record, theirs: Record, of: str = "seconds") -> list[str]:
    return [milliseconds(theirs.get(of)), milliseconds(ours.get(of)),
            ratio(ours.get(of), theirs.get(of))]


def _transfer(results: Record) -> str:
    result = results.get("transfer")
    if result is None:
        return ""
    rows = []
    for key, value in result.items():
        if key != "steps":
            what, number = key.split(".")
            words = (f"the style's inversion, {number} px" if what == "style"
                     else f"a picture, {what} px, batch {number}")
            rows.append([words, milliseconds(value["seconds"]),
                         gigabytes(value.get("reserved_bytes"))])
    return f"## StyleID, {result['steps']} steps\n\n" + table(["", "time", "peak memory"], rows)


def _training(results: Record) -> str:
    if not {"training", "training-reference"} & set(results):
        return ""
    rows = []
    for name, words in (("plain", ""), ("checkpointing", ", gradient checkpointing")):
        ours = _get(results, "training", name) or {}
        theirs = _get(results, "training-reference", name) or {}
        for of, what in (("steps_per_second", "steps a second"), ("reserved_bytes", "peak memory")):
            shown = [gigabytes(each.get(of)) if of == "reserved_bytes" else
                     f"{each[of]:.3g}" if of in each else "" for each in (theirs, ours)]
            if any(shown):
                rows.append([what + words, *shown, ratio(ours.get(of), theirs.get(of))])
        losses = [each["losses"][0] for each in (theirs, ours) if "losses" in each]
        rows.append([f"first loss{words}", *(f"{loss:.6f}" for loss in losses),
                     *[""] * (3 - len(losses))])
    return "## DreamBooth-LoRA, batch 1, rank 4\n\n" + table(
        ["", "diffusers, peft", "jstyleid", "ratio"], rows)


def _run(results: Record) -> str:
    result = results.get("run")
    if result is None:
        return ""
    rows = [[key.removeprefix("gpus."), str(value["pictures"]),
             f"{value['wall_seconds']:.1f} s", f"{value['wall_per_picture']:.2f} s",
             f"{value['seconds_per_picture']:.2f} s"] for key, value in result.items()]
    steps = next(iter(result.values()))["steps"]
    return (f"## `jstyleid run --method styleid`, {steps} steps of drawing and of StyleID\n\n"
            + table(["GPUs", "pictures", "in all", "a picture", "a picture, after start"], rows))


def _kernels(found: Record, results: Record) -> str:
    ours = results.get("kernels", {})
    theirs = results.get("kernels-reference", {})
    if not ours and not theirs:
        return ""
    rows = []
    for kernel in kernel_cases(found["case"]["size"], found["case"]["device"]):
        pair = ours.get(kernel.name, {}), theirs.get(kernel.name, {})
        work = kernel.operations or kernel.traffic
        unit = "TFLOP/s" if kernel.operations else "GB/s"
        rates = [f"{work / each['seconds'] / (1e12 if kernel.operations else 1e9):.3g} {unit}"
                 if each else "" for each in reversed(pair)]
        rows.append([kernel.name, *_pair(*pair), *rates,
                     milliseconds(pair[0].get("host_seconds"))])
    return "## Single operators\n\n" + table(
        ["", "torch", "jstyleid", "ratio", "torch", "jstyleid", "jstyleid's host"], rows)


def _parts(found: Record) -> str:
    rows = []
    for name, part in found["parts"].items():
        lines = part.get("reason", "").strip().splitlines()
        reason = " / ".join(line.strip() for line in lines[-4:]).replace("|", "\\|")
        rows.append([name, part["state"], f"{part['seconds']:.1f} s", reason])
    failed = _get(found, "parts", "doctor", "result", "failed") or []
    text = "## The parts\n\n" + table(["part", "state", "time", "reason"], rows)
    return text + "".join(f"\n\nA check of the doctor fails: {line}" for line in failed)
