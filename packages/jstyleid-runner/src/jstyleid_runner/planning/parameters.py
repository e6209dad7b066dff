"""The settings of a picture as other tools read them: the text `parameters` of A1111's web UI.

The text holds the prompt, the negative prompt, and one line of `key: value` pairs. A key of A1111
is written only where its value is true in A1111's sense. So there is no `Model hash`, which is the
digest of a single file. The whole settings are in the chunk `jstyleid` (see `provenance`).
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from jstyleid_core.weights.checkpoint import CheckpointSource
from jstyleid_dreambooth.training.job import recipe_digest

KEY = "parameters"
"""Keyword of the PNG text chunk."""

_DIGITS = 10
"""Hexadecimal digits of a digest, as in A1111 and in AutoV2."""


def to_parameters(provenance: Mapping[str, Any], source: CheckpointSource) -> str:
    """A picture's settings in the form of A1111.

    Args:
        provenance: settings of the picture; of a run, or of `generate` or `transfer`.
        source: the checkpoint.
    """
    # A result of a run says what it was drawn with in `content`; of `transfer`, a file's name.
    content = provenance.get("content")
    drawn = content if isinstance(content, Mapping) else provenance
    values = dict(_values(provenance, drawn, source))
    lines = [str(drawn.get("text", drawn.get("prompt", "")))]
    if negative := drawn.get("negative"):
        lines.append(f"Negative prompt: {negative}")
    lines.append(", ".join(f"{key}: {_quoted(value)}" for key, value in values.items()))
    # A command line that is not UTF-8 has halves of characters, which no PNG can hold.
    return "\n".join(lines).encode(errors="replace").decode()


def _values(
    provenance: Mapping[str, Any], drawn: Mapping[str, Any], source: CheckpointSource
) -> Iterator[tuple[str, str]]:
    styleid = provenance.get("styleid")
    yield "Steps", str(drawn["steps"] if "steps" in drawn else provenance["styleid"]["steps"])
    yield "Sampler", "DDIM"
    # StyleID follows the prediction for an empty prompt alone, which is a scale of 1.
    yield "CFG scale", _number(drawn.get("guidance", 1))
    yield "Seed", str(drawn["seed"])
    yield "Size", "x".join(str(side) for side in drawn["size"])
    yield "Model", source.name.removesuffix(".safetensors")
    if vae := source.others.get("vae"):
        yield "VAE", vae.removesuffix(".safetensors")
    start = drawn.get("start", "noise")
    if isinstance(start, Mapping):
        yield "Denoising strength", _number(start["strength"])
    yield from _loras(drawn)
    if styleid:
        files = provenance.get("references") or [provenance.get("reference")]
        names = provenance.get("styles") or [provenance.get("style")]
        yield "StyleID reference", ", ".join(
            [file["name"] for file in files] if files[0] else map(str, names))
        if files[0]:
            yield "StyleID reference hash", ", ".join(file["sha256"][:_DIGITS] for file in files)
        written: Mapping[str, Callable[[Any], str]] = {"layers": _layers, "overrides": _overrides}
        for key, value in styleid.items():
            if text := written.get(key, _number)(value):
                yield f"StyleID {key.replace('_', ' ')}", text


def _loras(drawn: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """LoRA files by AutoV2, the first digits of the file's SHA-256; a training by its recipe."""
    loras: list[Mapping[str, Any]] = list(drawn.get("loras") or [])
    lora = drawn.get("lora")
    if lora and "sha256" in lora:
        loras.append({**lora, "weight": 1.0})
    elif lora:
        yield "Lora recipe", recipe_digest(lora)[:_DIGITS]
    if loras:
        names = [each["name"].rpartition(".")[0] or each["name"] for each in loras]
        pairs = list(zip(names, loras, strict=True))
        yield "Lora hashes", ", ".join(f"{name}: {each['sha256'][:_DIGITS]}"
                                       for name, each in pairs)
        yield "Lora weights", ", ".join(f"{name}: {_number(each['weight'])}"
                                        for name, each in pairs)


def _number(value: object) -> str:
    return repr(value).removesuffix(".0") if isinstance(value, float) else str(value)


def _layers(layers: Sequence[int]) -> str:
    """Layers as `--layers` takes them."""
    if len(layers) > 1 and all(after == before + 1 for before, after in pairwise(layers)):
        return f"{layers[0]}-{layers[-1]}"
    return ",".join(str(layer) for layer in layers)


def _overrides(overrides: Sequence[Mapping[str, Any]]) -> str:
    """Overrides of strengths as `--gamma` and the like take them."""
    texts = []
    for each in overrides:
        steps = f" steps {each['steps'][0]}-{each['steps'][1]}" if each["steps"] else ""
        where = (_layers(each["layers"]) + steps).strip()
        texts.append(f"{each['name']} {where}:{_number(each['value'])}")
    return "; ".join(texts)


def _quoted(value: str) -> str:
    """A value as A1111 writes it: in the quotes of JSON where it would break the line apart."""
    return json.dumps(value, ensure_ascii=False) if set(value) & set(',:"\n') else value
