"""What a LoRA file is: its program, layers, ranks, base and trigger."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from jstyleid_core.files import hash_file
from jstyleid_dreambooth.lora.files.finding import find_file
from jstyleid_dreambooth.lora.files.names import spelling_of
from jstyleid_dreambooth.lora.files.reading import weights_in
from jstyleid_dreambooth.lora.files.tensor_file import read_tensors
from jstyleid_dreambooth.lora.weights import Part, version_of

_BASES = ("base_model", "modelspec.architecture", "ss_sd_model_name", "ss_base_model_version")
_TRIGGERS = ("modelspec.trigger_phrase", "prompt")
_TITLES = ("modelspec.title", "ss_output_name")


@dataclass(frozen=True)
class LoRADescription:
    """What a LoRA file is.

    Attributes:
        file: the file.
        sha256: SHA-256 of the whole file; its first ten digits are AutoV2.
        spelling: program whose names the tensors have, such as `diffusers`, `PEFT` or `kohya`.
        layers: number of layers by network.
        convolutions: how many of them are convolutions larger than one pixel.
        ranks: ranks that occur, in rising order.
        alphas: alphas that occur, in rising order; the rank where the file has none.
        parameters: numbers in A and B of all layers.
        version: version of Stable Diffusion by the width of cross attention, if that tells it.
        base: what the header says of the model it was trained on.
        trigger: the phrase or the template of prompts in the header.
        title: its name in the header.
        metadata: everything in the header but PEFT's settings.
    """

    file: str
    sha256: str
    spelling: str
    layers: Mapping[Part, int]
    convolutions: int
    ranks: tuple[int, ...]
    alphas: tuple[float, ...]
    parameters: int
    version: str | None
    base: str | None
    trigger: str | None
    title: str | None
    metadata: Mapping[str, str]


def describe_lora(path: str | os.PathLike[str]) -> LoRADescription:
    """Describe a LoRA file, or the one in a folder.

    Raises:
        CheckpointError: it cannot be read, see `read_lora`; the message says why.
    """
    file = read_tensors(find_file(Path(os.path.expanduser(path))))
    weights = weights_in(file)
    layers = [layer for _, _, layer in weights.items()]
    [(spelling, _)] = Counter(map(spelling_of, file.tensors)).most_common(1)
    return LoRADescription(
        file=str(file.path),
        sha256=hash_file(file.path),
        spelling=spelling,
        layers={part: len(found) for part, found in weights.layers.items() if found},
        convolutions=sum(layer.down.ndim == 4 and layer.down[0, 0].size > 1 for layer in layers),
        ranks=tuple(weights.ranks()),
        alphas=tuple(sorted({layer.alpha for layer in layers})),
        parameters=sum(layer.down.size + layer.up.size for layer in layers),
        version=version_of(weights),
        base=_first(weights.about, _BASES),
        trigger=_first(weights.about, _TRIGGERS),
        title=_first(weights.about, _TITLES),
        metadata=weights.about,
    )


def _first(about: Mapping[str, str], keys: tuple[str, ...]) -> str | None:
    return next((about[key] for key in keys if about.get(key)), None)
