"""LoRAs named on the command line: `FILE`, or `FILE:0.8` with a weight."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jstyleid_runner.storage.records import describe_reference

if TYPE_CHECKING:
    from jstyleid_core import StableDiffusion
    from jstyleid_dreambooth import LoRAWeights

_WEIGHTED = re.compile(r"(.+):([+-]?(?:\d+\.?\d*|\.\d+))")


@dataclass(frozen=True)
class NamedLoRA:
    """A LoRA that was read, and its weight in the mix."""

    weights: "LoRAWeights"
    weight: float

    def facts(self) -> dict[str, Any]:
        """What is recorded of it in a picture."""
        file = describe_reference(Path(self.weights.source))
        return {"name": file.name, "sha256": file.sha256, "weight": self.weight}


def read_loras(names: Sequence[str]) -> list[NamedLoRA]:
    """Read the files; before the model is loaded, since a wrong one should show at once.

    Raises:
        CheckpointError: a file is missing, damaged or no LoRA.
    """
    from jstyleid_dreambooth import read_lora

    loras = []
    for name in names:
        weighted = None if Path(name).exists() else _WEIGHTED.fullmatch(name)
        path, weight = (weighted[1], float(weighted[2])) if weighted else (name, 1.0)
        loras.append(NamedLoRA(read_lora(path), weight))
    return loras


def attach(model: "StableDiffusion", loras: Sequence[NamedLoRA]) -> None:
    """Let the LoRAs act on the model.

    Raises:
        CheckpointError: one is for another architecture.
    """
    if not loras:
        return
    from jstyleid_dreambooth import LoRAs

    attached = LoRAs.of(model)
    for number, lora in enumerate(loras, 1):
        attached.add(f"{number} {lora.weights.source}", lora.weights, weight=lora.weight)
