"""One picture of a run, made by the payloads that a worker would be given for it."""

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jstyleid_core import StyleIDSettings
from jstyleid_core.files import write_whole
from jstyleid_core.weights.checkpoint import CheckpointSource
from jstyleid_runner.planning.inputs import Inputs, RecordedFile, RecordedModel
from jstyleid_runner.planning.plan import guidance_evaluations
from jstyleid_runner.planning.provenance import to_png_text
from jstyleid_runner.reports.progress import Display
from jstyleid_runner.scheduling.executor import TaskProgress
from jstyleid_runner.settings import RunSettings
from jstyleid_runner.storage.records import HashedFile, digests, lora_record
from jstyleid_runner.worker.engine import Engine
from jstyleid_runner.worker.payloads import GeneratePayload, InvertPayload, TransferPayload
from jstyleid_runner.worker.prepared import PreparedEngine
from jstyleid_runner.workflows.generate import WeightedLoRA

if TYPE_CHECKING:
    from jstyleid_core import StableDiffusion


@dataclass(frozen=True)
class RunPicture:
    """A picture of a run.

    Attributes:
        facts: facts of the picture that is made again.
        drawn: facts of its drawing as it is to be.
        styleid: settings of style transfer; None for a drawing.
        styles: pictures whose look is taken.
        lora: the LoRA.
        start: sample images whose mean drawing starts from.
        inputs: inputs of the picture that is made again.
        source: the checkpoint.
    """

    facts: Mapping[str, Any]
    drawn: Mapping[str, Any]
    styleid: StyleIDSettings | None
    styles: tuple[Path, ...]
    lora: WeightedLoRA | None
    start: tuple[Path, ...]
    inputs: Inputs
    source: CheckpointSource

    @property
    def settings(self) -> RunSettings:
        """The settings of the run, as far as they decide the picture."""
        start = self.drawn["start"]
        mean = not isinstance(start, str)
        names = ("size", "guidance", "negative", "dtype", "backend")
        return RunSettings.create(
            split="again", method=self.facts.get("method", "styleid-dreambooth"),
            styleid=self.styleid,
            content_trajectory=self.facts.get("content_trajectory", False),
            content_steps=self.drawn["steps"], start="mean" if mean else "noise",
            strength=start["strength"] if mean else 1,
            **{name: self.drawn[name] for name in names})

    @property
    def _recorded_drawing(self) -> Mapping[str, Any]:
        return self.facts if self.facts["kind"] == "content" else self.facts["content"]

    def png_text(self, fingerprint: str) -> dict[str, str]:
        """The facts of the new picture."""
        lora = self.lora and Path(self.lora.weights.source)
        known = {each.recipe for each in self.inputs.loras if each.recipe}
        by_recipe = self.lora is not None and self.lora.weights.about.get("recipe") in known
        drawing = dict(self._recorded_drawing)
        drawing |= {name: value for name, value in self.drawn.items() if name in drawing}
        drawing |= {"model": fingerprint, "size": list(self.drawn["size"])}
        if self.start:
            drawing["start"] = {**self.drawn["start"], "mean_of": digests(self.start)}
        if lora and not by_recipe:
            drawing["lora"] = lora_record(lora)
        facts = drawing if self.styleid is None and self.facts["kind"] == "content" else {
            **self.facts, "content": drawing}
        if self.styleid:
            first, *more = (asdict(HashedFile.of(path)) for path in self.styles)
            facts = {key: value for key, value in facts.items()
                     if key not in ("reference", "references")}
            if more:
                facts["references"] = [first, *more]
            else:
                facts["reference"] = first
            facts["styleid"] = self.styleid.model_dump(mode="json")
        inputs = self.inputs.model_copy(update={
            "model": RecordedModel.of(self.source, fingerprint),
            "styles": tuple(RecordedFile.of(path) for path in self.styles),
            "loras": self.inputs.loras if by_recipe or not lora else (RecordedFile.of_lora(lora),),
        })
        return to_png_text({**facts, **inputs.facts()}, self.source)


class _Shown(TaskProgress):
    """The progress of payloads on a display; evaluations of each stage are known beforehand."""

    def __init__(self, display: Display, evaluations: Iterator[int]) -> None:
        super().__init__(lambda text, share: None)
        self._display, self._evaluations = display, evaluations

    def stage(self, name: str, steps: int, evaluations: int = 0) -> None:
        self._display.stage(name, steps, next(self._evaluations))

    def step(self, detail: str = "") -> None:
        self._display.step(detail)


def draw_run_picture(
    picture: RunPicture, target: Path, model: "StableDiffusion", display: Display
) -> None:
    """Draw a picture of a run, stylise it if it was, and write it with its facts.

    Raises:
        JStyleIDError: a setting cannot be used, or something failed.
    """
    settings, drawn = picture.settings, picture.drawn
    lora = Path(picture.lora.weights.source) if picture.lora else None
    engine = PreparedEngine(Engine(model, settings), settings.size, [lora] if lora else [])
    text, plain = picture.png_text(model.fingerprint), settings.way == "plain"
    styleid = settings.styleid
    invert = (InvertPayload("inverting", "style", styleid.steps, picture.styles, ())
              if styleid else None)
    # A recorded drawing is stylised in as many steps, by the empty prompt alone.
    stylising = settings.steps_taken if settings.way == "trajectory" else 0
    steps = settings.steps_taken + stylising
    evaluations = [settings.steps_taken * guidance_evaluations(settings.guidance) + stylising]
    if styleid:
        inversion = styleid.inversion_evaluations * len(picture.styles)
        evaluations = ([*evaluations, inversion, styleid.transfer_evaluations] if plain
                       else [inversion, *evaluations])
    display.begin(1, 0, sum(evaluations))
    progress = _Shown(display, iter(evaluations))
    drawing = GeneratePayload("drawing", steps, drawn["text"], drawn["seed"], lora, picture.start,
                              text, ((drawn["text"], drawn["seed"]),), None if plain else invert)
    [result] = drawing.run(engine, [drawing], progress)
    if plain and styleid and invert and result:
        with tempfile.TemporaryDirectory(prefix="jstyleid-") as place:
            content = Path(place, "content.png")
            content.write_bytes(result)
            transfer = TransferPayload(
                "stylising", 2 * styleid.steps, content, invert, text, (content,))
            [result] = transfer.run(engine, [transfer], progress)
    assert result is not None  # both send a picture's bytes
    write_whole(target, result)
    display.finished(target)
