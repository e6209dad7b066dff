"""The inputs of a picture as it records them: the checkpoint and files, by path and digest.

A picture's other facts say what it is, and are compared before it is kept (`provenance`). These
say where its inputs were, so that `jstyleid again` finds them; they are not compared, for a folder
of pictures may be moved. Paths are those that the user gave.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict
from typing_extensions import Self

from jstyleid_core.config import PredictionType
from jstyleid_core.files import hash_file
from jstyleid_core.weights.checkpoint import CheckpointSource
from jstyleid_dreambooth.lora.files.writing import FILE_NAME
from jstyleid_dreambooth.training.job import recipe_digest
from jstyleid_runner.planning.jobs import GenerateImage
from jstyleid_runner.storage.layout import OutFolder
from jstyleid_runner.storage.records import lora_record

KEY = "inputs"
"""Key among a picture's facts."""


class _Recorded(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class RecordedModel(_Recorded):
    """A checkpoint: what the user named, and its fingerprint."""

    source: str
    fingerprint: str
    vae: str | None = None
    tokenizer: str | None = None
    prediction: PredictionType | None = None

    @classmethod
    def of(cls, source: CheckpointSource, fingerprint: str) -> Self:
        """The record of a checkpoint."""
        return cls(source=source.model, fingerprint=fingerprint, vae=source.vae,
                   tokenizer=source.tokenizer, prediction=source.prediction)


class RecordedFile(_Recorded):
    """A file.

    Attributes:
        path: path as the user gave it; of a LoRA that a run trained, inside the run's folder.
        sha256: digest of its content; None for a LoRA that a run trained.
        settings: digest of PEFT's settings beside a LoRA.
        recipe: digest of the recipe of a LoRA that a run trained.
        weight: weight of a LoRA.
    """

    path: str
    sha256: str | None = None
    settings: str | None = None
    recipe: str | None = None
    weight: float = 1.0

    @classmethod
    def of(cls, path: Path) -> Self:
        """The record of a picture's file."""
        return cls(path=str(path), sha256=hash_file(path))

    @classmethod
    def of_lora(cls, path: Path, weight: float = 1.0) -> Self:
        """The record of a LoRA's file."""
        facts = lora_record(path)
        return cls(path=str(path), sha256=facts["sha256"], settings=facts.get("settings"),
                   weight=weight)


class Inputs(_Recorded):
    """All inputs of a picture.

    Attributes:
        model: the checkpoint.
        content: the picture that was stylised, unless it was drawn, too.
        styles: the pictures whose look was taken.
        mask: mask of `jstyleid transfer`.
        loras: the LoRAs that it was drawn with.
        start: the sample images whose mean drawing started from.
    """

    model: RecordedModel
    content: RecordedFile | None = None
    styles: tuple[RecordedFile, ...] = ()
    mask: RecordedFile | None = None
    loras: tuple[RecordedFile, ...] = ()
    start: tuple[RecordedFile, ...] = ()

    def facts(self) -> dict[str, Any]:
        """For a picture's facts: what is not at its default."""
        return {KEY: self.model_dump(mode="json", exclude_defaults=True)}


def inputs_of_run(
    job: GenerateImage, drawn: Mapping[str, Any], source: CheckpointSource, folder: OutFolder
) -> Inputs:
    """The inputs of an image that a run draws.

    Args:
        job: the job.
        drawn: facts of the image, with the digests.
        source: the checkpoint.
        folder: folder of the run.
    """
    start = drawn["start"]
    sums = {} if isinstance(start, str) else start["mean_of"]
    return Inputs(
        model=RecordedModel.of(source, drawn["model"]),
        loras=(_lora_of_run(drawn["lora"], job, folder),) if drawn["lora"] else (),
        start=tuple(RecordedFile(path=str(path), sha256=sums[path.name]) for path in job.start),
    )


def with_styles(inputs: Inputs, picture: Mapping[str, Any], references: Sequence[Path]) -> Inputs:
    """The inputs of a result that is stylised.

    Args:
        inputs: inputs of its drawing.
        picture: facts of the result, with the references' digests.
        references: files of the references.
    """
    recorded = picture.get("references") or [picture["reference"]]
    return inputs.model_copy(update={"styles": tuple(
        RecordedFile(path=str(path), sha256=facts["sha256"])
        for path, facts in zip(references, recorded, strict=True))})


def _lora_of_run(facts: Mapping[str, Any], job: GenerateImage, folder: OutFolder) -> RecordedFile:
    if "sha256" in facts:
        return RecordedFile(path=str(job.lora), sha256=facts["sha256"],
                            settings=facts.get("settings"))
    inside = (folder.lora(job.style) / FILE_NAME).relative_to(folder.root)
    return RecordedFile(path=str(inside), recipe=recipe_digest(facts))
