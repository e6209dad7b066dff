"""What decides the pictures of a split, as options say it, and the plan that follows from it."""

from jstyleid_core.runtime import DType
from jstyleid_runner.options.to_settings import named_styles
from jstyleid_runner.planning.plan import Plan, build_plan
from jstyleid_runner.settings import PictureChoices, RunSettings
from jstyleid_runner.storage.prompts import read_templates, usual_template
from jstyleid_runner.storage.split import class_objects, find_loras, read_split, style_names


def planned_pictures(chosen: PictureChoices, dtype: DType) -> tuple[Plan, RunSettings]:
    """The jobs that make the pictures, and the settings that are recorded of them.

    Args:
        chosen: the options.
        dtype: that it is computed in.

    Raises:
        InputError: something given cannot be used.
    """
    split = read_split(chosen.data, chosen.split, named_styles("--styles", chosen.styles))
    templates = read_templates(
        chosen.template,
        chosen.templates,
        usual_template(chosen.method),
        style_names(chosen.data, chosen.split),
    )
    settings = RunSettings.create(
        split=chosen.split,
        method=chosen.method,
        seed=chosen.seed,
        size=chosen.size,
        content_steps=chosen.content_steps,
        guidance=chosen.guidance,
        negative=chosen.negative,
        template=templates.default,
        templates=templates.own,
        start=chosen.start,
        strength=chosen.strength if chosen.start == "mean" else 1,
        dtype=dtype,
        backend=chosen.backend,
        reference=chosen.reference,
        styleid=chosen.styleid,
        training=chosen.training,
    )
    plan = build_plan(
        split,
        settings,
        chosen.prompts,
        loras=find_loras(chosen.lora, split) if chosen.lora else None,
        objects=class_objects(chosen.data, chosen.split, chosen.training),
    )
    return plan, settings
