"""All pictures of a split: the work of `jstyleid run` and of `jstyleid generate --split`."""

from dataclasses import dataclass
from pathlib import Path

from jstyleid_core import StyleIDSettings, runtime
from jstyleid_core.runtime import Device, DType
from jstyleid_dreambooth.training.settings import TrainingSettings
from jstyleid_runner.core_model import CoreModel, named_source
from jstyleid_runner.lora_lookup import find_loras
from jstyleid_runner.named_styles import named_styles
from jstyleid_runner.objects import class_objects
from jstyleid_runner.out_folder import OutFolder
from jstyleid_runner.plan import build_plan
from jstyleid_runner.run_split import RunRequest, run_split
from jstyleid_runner.session import session
from jstyleid_runner.settings import Method, RunSettings, Start
from jstyleid_runner.split import read_split, style_names
from jstyleid_runner.tally import Tally
from jstyleid_runner.templates import read_templates, usual_template


@dataclass(frozen=True)
class SplitOptions:
    """What both commands are told, by the names of the options."""

    split: str
    data: Path
    styles: str | None
    prompts: int | None
    out: Path
    method: Method
    lora: Path | None
    seed: int
    size: tuple[int, int]
    content_steps: int
    guidance: float
    negative: str
    template: str | None
    templates: Path | None
    start: Start
    strength: float
    batch: int
    force: bool
    model: str | None
    dtype: DType
    device: Device


def make_pictures(
    told: SplitOptions,
    *,
    training: TrainingSettings | None = None,
    styleid: StyleIDSettings | None = None,
    reference: str | None = None,
) -> None:
    """Make every picture that is not there yet, and say how many there are.

    Args:
        told: the options.
        training: of the LoRAs that are trained first.
        styleid: of stylising.
        reference: which sample image it is stylised after.

    Raises:
        JStyleIDError: something given cannot be used, or something failed.
    """
    split = read_split(told.data, told.split, named_styles("--styles", told.styles))
    templates = read_templates(
        told.template,
        told.templates,
        usual_template(told.method),
        style_names(told.data, told.split),
    )
    settings = RunSettings.create(
        split=told.split,
        method=told.method,
        seed=told.seed,
        size=told.size,
        content_steps=told.content_steps,
        guidance=told.guidance,
        negative=told.negative,
        template=templates.default,
        templates=templates.own,
        start=told.start,
        strength=told.strength if told.start == "mean" else 1,
        # Resolved now: pictures of both precisions in one folder would not be the same run.
        dtype=runtime.default_dtype(told.device) if told.dtype == "auto" else told.dtype,
        reference=reference,
        styleid=styleid,
        training=training,
    )
    plan = build_plan(
        split,
        settings,
        told.prompts,
        loras=find_loras(told.lora, split) if told.lora else None,
        objects=class_objects(told.data, told.split, training),
    )
    folder = OutFolder(told.out)
    folder.prepare()
    tally = Tally(plan.pictures)
    with session(folder, folder.log, tally) as reporter:
        source = CoreModel(named_source(told.model), told.device, reporter)
        request = RunRequest(plan, settings, folder, told.batch, told.force)
        run_split(request, source, reporter, tally)
    print(f"{tally.done} of {tally.total} pictures are in {told.out}")
