"""`jstyleid generate PROMPT`: one picture from a text, with LoRAs named as `FILE` or `FILE:0.8`."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jstyleid_core.errors import InputError
from jstyleid_core.image_files import save_png
from jstyleid_core.progress import OnPrediction
from jstyleid_core.weights.checkpoint import CheckpointSource
from jstyleid_runner.options.common import ModelOptions
from jstyleid_runner.planning.inputs import Inputs, RecordedFile, RecordedModel
from jstyleid_runner.planning.limits import Wanted
from jstyleid_runner.planning.plan import guidance_evaluations
from jstyleid_runner.planning.provenance import to_png_text
from jstyleid_runner.reports.progress import Display
from jstyleid_runner.storage.layout import picture_target, require_writable
from jstyleid_runner.storage.records import lora_record
from jstyleid_runner.worker.engine import load_model
from jstyleid_runner.workflows.model import source_of
from jstyleid_runner.workflows.session import command_session

if TYPE_CHECKING:
    from jstyleid_core import StableDiffusion
    from jstyleid_dreambooth import LoRAWeights


_MOST = 100
"""Bound of a weight's amount."""


@dataclass(frozen=True)
class WeightedLoRA:
    """A LoRA that was read, and its weight in the mix."""

    weights: "LoRAWeights"
    weight: float

    def provenance(self) -> dict[str, Any]:
        """The LoRA as recorded in a picture."""
        return {**lora_record(Path(self.weights.source)), "weight": self.weight}


def read_loras(names: Sequence[str], option: str = "") -> list[WeightedLoRA]:
    """Read the files; before the model is loaded, since a wrong one should show at once.

    Args:
        names: each as `FILE` or `FILE:WEIGHT`.
        option: the option that named them, for messages; none for arguments.

    Raises:
        CheckpointError: a file is missing, damaged or no LoRA.
        InputError: a weight is beyond sense.
    """
    from jstyleid_dreambooth import read_lora

    loras = []
    for name in names:
        path, weight = lora_and_weight(name, option)
        loras.append(WeightedLoRA(read_lora(path), 1.0 if weight is None else weight))
    return loras


def lora_and_weight(name: str, option: str = "") -> tuple[str, float | None]:
    """Path and weight of `FILE[:WEIGHT]`; a file of the whole name is that file.

    Args:
        name: file and weight.
        option: option that named it, for messages.

    Raises:
        InputError: the weight is beyond sense.
    """
    path, colon, text = name.rpartition(":")
    try:
        weight = float(text)
    except ValueError:
        return name, None
    if not (colon and path) or os.path.exists(name):
        return name, None
    if not abs(weight) <= _MOST:
        raise InputError(f"{f'{option} {name}'.strip()}: a weight is between -{_MOST} and {_MOST}, "
                         f"not {text[:20]}. 1 is the LoRA as it was trained.", fields=["lora"])
    return path, weight


@contextmanager
def attached(model: "StableDiffusion", loras: Sequence[WeightedLoRA]) -> Iterator[None]:
    """Attach the LoRAs to the model while the block runs.

    Raises:
        CheckpointError: one is for another architecture.
    """
    if not loras:
        yield
        return
    from jstyleid_dreambooth import LoRAs

    mixed = LoRAs.of(model)
    try:
        for number, lora in enumerate(loras, 1):
            mixed.add(f"{number} {lora.weights.source}", lora.weights, weight=lora.weight)
        yield
    finally:
        mixed.detach()


@dataclass(frozen=True)
class Drawing:
    """The settings of one picture."""

    prompt: str
    negative: str
    seed: int
    steps: int
    guidance: float
    size: tuple[int, int]


def draw_picture(
    drawing: Drawing, out: Path, loras: Sequence[str], options: ModelOptions
) -> Path:
    """Draw a picture and write it with its settings.

    Args:
        drawing: settings of the picture.
        out: file, or folder.
        loras: LoRAs, each as `FILE` or `FILE:WEIGHT`.
        options: checkpoint and device.

    Returns:
        The file.

    Raises:
        JStyleIDError: something given cannot be used, or something failed.
    """
    target = picture_target(out, drawing.prompt)
    require_writable(target.parent)
    named = read_loras(loras, "--lora")
    source = source_of(options)
    with command_session() as display:
        wanted = Wanted(drawing.size, {"steps": drawing.steps},
                        loras=[each.weights for each in named])
        loaded = load_model(source, [wanted], options.dtype, options.device, display.preparing,
                            options.backend)
        recorded = {"dtype": options.dtype, "backend": options.backend}
        draw(drawing, target, named, loaded, source, recorded, display)
    return target


def draw(
    drawing: Drawing, target: Path, loras: Sequence[WeightedLoRA], model: "StableDiffusion",
    source: CheckpointSource, recorded: Mapping[str, Any], display: Display,
    on_prediction: OnPrediction | None = None,
) -> None:
    """Draw a picture with a loaded model and write it with its settings.

    Args:
        drawing: settings of the picture.
        target: file to write.
        loras: LoRAs that were read.
        model: the model, without LoRAs.
        source: its checkpoint.
        recorded: further facts, see `provenance`.
        display: display of the progress.
        on_prediction: called after each step, see `StableDiffusion.generate`.

    Raises:
        CheckpointError: a LoRA is for another architecture.
        OutputError: the file cannot be written.
    """
    evaluations = drawing.steps * guidance_evaluations(drawing.guidance)
    display.begin(1, 0, evaluations)
    display.stage(drawing.prompt, drawing.steps, evaluations)
    with attached(model, loras):
        [picture] = model.generate(
            [drawing.prompt],
            [drawing.seed],
            steps=drawing.steps,
            guidance_scale=drawing.guidance,
            negative_prompt=drawing.negative,
            size=drawing.size,
            on_step=display.step,
            on_prediction=on_prediction,
        )
    provenance: dict[str, Any] = {
        "kind": "generated",
        "model": source.name,
        **source.others,
        "prompt": drawing.prompt,
        "negative": drawing.negative,
        "seed": drawing.seed,
        "steps": drawing.steps,
        "guidance": drawing.guidance,
        "size": list(drawing.size),
        **recorded,
    }
    if loras:
        provenance["loras"] = [each.provenance() for each in loras]
    inputs = Inputs(
        model=RecordedModel.of(source, model.fingerprint),
        loras=tuple(RecordedFile.of_lora(Path(each.weights.source), each.weight)
                    for each in loras))
    save_png(picture, target, text=to_png_text({**provenance, **inputs.facts()}, source))
    display.finished(target)
