"""`jstyleid again`: a picture made again from the facts that it carries."""

import json
import sys
from collections.abc import Set
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from jstyleid_core import StyleIDSettings
from jstyleid_core.errors import InputError
from jstyleid_core.image_files import open_image
from jstyleid_core.validation import problems_of
from jstyleid_runner.options.again import AgainOptions
from jstyleid_runner.options.from_settings import styleid_options
from jstyleid_runner.options.styleid import StyleIDOptions
from jstyleid_runner.options.to_settings import parse_size, styleid_settings
from jstyleid_runner.planning.limits import Wanted
from jstyleid_runner.planning.provenance import read_facts
from jstyleid_runner.storage.layout import picture_target, require_writable
from jstyleid_runner.worker.engine import load_model
from jstyleid_runner.workflows.again_inputs import check_model, find_files, find_source
from jstyleid_runner.workflows.generate import (
    Drawing,
    draw,
)
from jstyleid_runner.workflows.made_picture import Drawn, Kind, MadePicture, read_made
from jstyleid_runner.workflows.run_picture import RunPicture, draw_run_picture
from jstyleid_runner.workflows.session import command_session
from jstyleid_runner.workflows.transfer import TransferJob, run_transfers

_STYLEID = tuple(field.name for field in fields(StyleIDOptions))
_DRAWING = ("lora", "guidance", "negative")
_TAKEN: dict[Kind, tuple[str, ...]] = {
    "transfer": ("content", "style", "mask", *_STYLEID),
    "generated": ("steps", *_DRAWING),
    "content": ("content_steps", *_DRAWING),
    "drawn": ("content_steps", *_DRAWING),
    "stylised": ("content_steps", "style", *_DRAWING, *_STYLEID),
}
"""The options that change a picture of each kind, besides those that every kind has."""


def make_again(picture: Path, options: AgainOptions, given: Set[str]) -> Path:
    """Make a picture again, and say how it differs from the first one.

    Args:
        picture: the picture.
        options: options of the command.
        given: names of the options that were given; the picture says the others.

    Returns:
        The new file.

    Raises:
        JStyleIDError: the picture has no facts, a file is missing or another one than it was,
            an option does not belong to the picture, or something failed.
    """
    found = read_made(picture)
    _refuse_others(found, given)
    target = picture_target(options.out or Path(f"{picture.stem}-again.png"), picture.stem)
    if target.exists() and target.samefile(picture):
        raise InputError(f"--out {target}: is the picture itself. Name another file.",
                         fields=["out"])
    require_writable(target.parent)
    changed = _changed(found, options, given)
    files = find_files(found, options)
    source = find_source(found, options, given)
    dtype = options.dtype if "dtype" in given else found.drawn.dtype
    backend = options.backend if "backend" in given else found.drawn.backend
    facts = {"dtype": dtype, "backend": backend}
    styleid = _styleid(found, options, given)
    if styleid and found.drawn_in_style:
        changed = changed.model_copy(update={"steps": styleid.steps})
    job = None
    drawn_by = "steps" if found.kind == "generated" else "content_steps"
    steps = {} if found.kind == "transfer" else {drawn_by: changed.steps}
    if found.kind == "transfer" and styleid:
        assert files.content is not None
        job = TransferJob.create(
            content=files.content, styles=files.styles, out=target, size=changed.size,
            together=len(files.styles) > 1, mask=files.mask, settings=styleid, save_style=None,
            load_style=None, source=source,
            recorded={"model": source.name, **source.others, **facts, "seed": changed.seed})
    with command_session() as display:
        wanted = Wanted(changed.size, steps, styleid, [each.weights for each in files.loras])
        model = load_model(source, [wanted], dtype, options.device, display.preparing, backend)
        check_model(found, model.fingerprint, source, given)
        if job:
            model.drop_text_encoder()
            run_transfers([job], model, display)
        elif found.kind == "generated":
            drawing = Drawing(changed.prompt, changed.negative, changed.seed, changed.steps,
                              changed.guidance, changed.size)
            draw(drawing, target, files.loras, model, source, facts, display)
        else:
            draw_run_picture(RunPicture(
                facts=found.facts, drawn=changed.model_dump() | facts, styleid=styleid,
                styles=files.styles, lora=files.loras[0] if files.loras else None,
                start=files.start, inputs=found.inputs, source=source), target, model, display)
    _say_difference(picture, target)
    return target


def _refuse_others(found: MadePicture, given: Set[str]) -> None:
    every = {name for names in _TAKEN.values() for name in names}
    taken = set(_TAKEN[found.kind])
    if found.kind == "stylised" and found.drawn_in_style:
        taken.discard("content_steps")
    wrong = sorted((given & every) - taken)
    if wrong:
        names = ", ".join(f"--{name.replace('_', '-')}" for name in wrong)
        raise InputError(f"{names}: {found.path} is of kind {found.kind}, which has no such "
                         "setting. Leave this out.", fields=wrong)


def _changed(found: MadePicture, options: AgainOptions, given: Set[str]) -> Drawn:
    """The facts of the drawing, with what was given in their place."""
    values: dict[str, Any] = {name: getattr(options, name)
                              for name in ("negative", "seed", "guidance") if name in given}
    if "size" in given and options.size is not None:
        values["size"] = parse_size(options.size)
    steps = "steps" if found.kind == "generated" else "content_steps"
    if steps in given:
        values["steps"] = getattr(options, steps)
    return found.drawn.model_copy(update=values)


def _styleid(
    found: MadePicture, options: AgainOptions, given: Set[str]
) -> StyleIDSettings | None:
    """The settings of style transfer; None for a drawing."""
    if found.kind not in ("transfer", "stylised"):
        return None
    try:
        recorded = StyleIDSettings.model_validate(found.facts.get("styleid"))
    except ValidationError as error:
        problem = problems_of(error)[0]
        raise InputError(f"{found.path}: its settings are damaged: styleid.{problem.field}: "
                         f"{problem.reason}. Give the picture as jstyleid wrote it.") from error
    if not given & {*_STYLEID, "seed"}:
        return recorded
    wanted = {name: getattr(options, name) for name in _STYLEID if name in given}
    usual = found.drawn.seed if found.kind == "transfer" else recorded.seed
    seed = options.seed if options.seed is not None else usual
    changed = styleid_settings(replace(styleid_options(recorded), **wanted), seed)
    # What no option sets stays.
    return changed.model_copy(update={
        name: getattr(recorded, name) for name in ("adain_eps", "feature_dtype", "negative_query")})


def _say_difference(first: Path, second: Path) -> None:
    if first.read_bytes() == second.read_bytes():
        text = f"the same file as {first}, to the byte"
    else:
        one, two = (np.asarray(open_image(path)).astype(int) for path in (first, second))
        text = f"another size than {first}"
        if one.shape == two.shape:
            largest = int(np.abs(one - two).max())
            text = f"pixels differ from {first} by up to {largest} of 255"
            if not largest:
                changes = _changes(first, second)
                text = f"the same pixels as {first}; what is recorded differs: {changes}"
    print(text, file=sys.stderr)


def _changes(first: Path, second: Path) -> str:
    one, two = read_facts(first), read_facts(second)
    names = [name for name in sorted({*one, *two})
             if json.dumps(one.get(name), sort_keys=True) != json.dumps(
                 two.get(name), sort_keys=True)]
    return ", ".join(names) or "the file's other texts"
