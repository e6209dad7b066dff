"""`jstyleid run` and `generate --split`: plan, check, execute what is left, write the pages."""

import logging
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from rich.console import Console

from jstyleid_core import runtime
from jstyleid_core.backends.jdiffusion.environment import check as check_environment
from jstyleid_core.differences import differences
from jstyleid_core.errors import CheckpointError, InputError
from jstyleid_core.image_files import open_image
from jstyleid_core.runtime import Device
from jstyleid_dreambooth.training.checkpoints import find_training
from jstyleid_dreambooth.training.dataset import check_samples
from jstyleid_dreambooth.training.job import TrainingJob
from jstyleid_runner.choices import DIRECT
from jstyleid_runner.options.run import RunOptions
from jstyleid_runner.options.to_settings import named_styles, parse_size, run_styleid, run_training
from jstyleid_runner.planning.limits import check_run, size_multiple_of
from jstyleid_runner.planning.monitoring import USUAL, Monitoring
from jstyleid_runner.planning.pending import PendingWork, StylePending, find_pending
from jstyleid_runner.planning.plan import Plan, StylePlan, build_plan
from jstyleid_runner.reports.contact_sheet import write_style_sheet
from jstyleid_runner.reports.pages.gallery import gallery_of, write_gallery
from jstyleid_runner.reports.pages.opening import open_page
from jstyleid_runner.reports.pages.timeline import write_timeline
from jstyleid_runner.reports.progress import Display
from jstyleid_runner.reports.summary import run_summary, summary_table
from jstyleid_runner.scheduling.ledger import read_entries
from jstyleid_runner.settings import RunSettings
from jstyleid_runner.storage.layout import OutFolder, remove_folder
from jstyleid_runner.storage.prompts import read_templates, usual_template
from jstyleid_runner.storage.records import (
    HashedFile,
    RunRecord,
    versions,
)
from jstyleid_runner.storage.split import find_loras, read_split, style_names, training_objects
from jstyleid_runner.workflows.execution import IncompleteError, RunRequest, bullet_list, execute
from jstyleid_runner.workflows.model import ModelSource, note_cut_texts, source_of
from jstyleid_runner.workflows.session import RunCounts, session
from jstyleid_runner.workflows.workers import Workers, dtype_of, open_workers, usual_batch

log = logging.getLogger(__name__)


def plan_run(options: RunOptions) -> tuple[Plan, RunSettings]:
    """The jobs that make the pictures, and the settings that are recorded of them.

    Raises:
        InputError: a value cannot be used, also by the checkpoint, if that is on this machine.
    """
    # First, before anything is read: what is wrong shows at once.
    size = parse_size(options.size)
    training, styleid = run_training(options), run_styleid(options)
    split = read_split(options.data, options.split, named_styles("--styles", options.styles))
    styles = style_names(options.data, split.name)
    templates = read_templates(
        options.template,
        options.templates,
        usual_template(options.method),
        styles,
    )
    given = {name: value for name, value in vars(options).items()
             if name in RunSettings.model_fields}
    settings = RunSettings.create(**{
        **given,
        "split": split.name,
        "size": size,
        "template": templates.default,
        "templates": templates.own,
        "strength": options.strength if options.start == "mean" else 1,
        "reference": options.reference if styleid else None,
        "content_steps": options.steps if options.content_trajectory or options.method in DIRECT
        else options.content_steps,
        "styleid": styleid,
        "training": training,
    })
    loras = find_loras(options.lora, split, styles) if options.lora else {}
    plan = build_plan(
        split,
        settings,
        options.prompts,
        loras=loras,
        objects=training_objects(options.data, split.name, training),
        batch=options.batch or usual_batch(options, size),
    )
    # A checkpoint that cannot be used is refused where a run looks for it; a plan needs none.
    with suppress(CheckpointError):
        check_run(source_of(options), settings, loras.values())
    return plan, settings


def write_pages(
    plan: Plan, settings: RunSettings, folder: OutFolder, display: Display, counts: RunCounts
) -> None:
    """Write `gallery.html` and `timeline.html`, unless no picture has come since.

    Raises:
        OutputError: one cannot be written.
    """
    # Only after a run that did nothing do the files' times decide: somebody may set the clock.
    if not counts.begun and _is_current(plan, folder):
        return
    facts = {
        "method": settings.method,
        "seed": str(settings.seed),
        "size": f"{settings.size[0]} x {settings.size[1]}",
    }
    title = f"Split {settings.split}"
    write_timeline(folder.timeline, read_entries(folder.ledger), title=title)
    write_gallery(
        folder.gallery,
        gallery_of(plan, folder),
        title=title,
        facts=facts,
        on_progress=lambda done, total: display.preparing("writing the gallery", done, total),
    )


def _is_current(plan: Plan, folder: OutFolder) -> bool:
    if not folder.gallery.exists():
        return False
    written = folder.gallery.stat().st_mtime_ns
    pictures = (
        folder.picture(
            generate.style, generate.prompt) for style in plan.styles for generate in style.images
    )
    return all(path.exists() and path.stat().st_mtime_ns < written for path in pictures)


_SHOWN = 5
"""Pictures in the way that a message lists."""
_CHANGES = 12
"""Changed settings that a message lists; a training alone has two dozen."""


def run_split(
    request: RunRequest, model: ModelSource, display: Display, counts: RunCounts
) -> None:
    """Make every picture of the plan that is not there yet.

    Raises:
        InputError: the folder holds pictures made with other settings, or a file is unusable.
        IncompleteError: jobs failed too often, and were set aside.
    """
    plan, settings, folder = request.plan, request.settings, request.folder
    counts.total = plan.pictures
    trainings = {style.style: _training(style, request) for style in plan.styles}
    multiple = size_multiple_of(model.source)
    for style in plan.styles:
        _check_pictures(style, trainings[style.style], multiple)
    record = RunRecord.read(folder.record)
    if record and not request.force:
        _refuse_changes(folder, differences(record.settings, settings.model_dump(mode="json")))
    folder.remove_leftovers(style.style for style in plan.styles)

    found = model.identify(record, settings.dtype)
    note_cut_texts(model.source, plan.texts(settings, folder))
    if record and record.model.fingerprint != found.fingerprint and not request.force:
        _refuse_changes(folder, [f"model: {record.model.source} there, {model.source} now"])

    state = find_pending(plan, folder, settings, found.fingerprint, trainings)
    if state.conflicts and not request.force:
        raise InputError(_conflicts_message(folder, state))
    counts.done = state.done
    log.info("%d pictures, %d there already; %s", plan.pictures, state.done, settings)
    display.begin(plan.pictures, state.done, state.evaluations)
    RunRecord(
        settings=settings.model_dump(mode="json"),
        model=found,
        references={**(record.references if record else {}), **_references(plan)},
        versions=versions(),
    ).write(folder.record)
    _make_room(state.work, found.fingerprint)
    try:
        execute(request, state, model, found.fingerprint, display, counts)
    finally:
        # A worker that was killed may have left something, however the run ends.
        folder.remove_leftovers(style.style for style in plan.styles)
    for style in plan.styles:
        if not folder.sheet(style.style).exists():
            write_style_sheet(folder, style)


def _training(style: StylePlan, request: RunRequest) -> TrainingJob | None:
    """The training of a style, if there is one, with what is seen of it."""
    job = style.training(request.settings, request.folder)
    usual = {style.style: [(image.prompt, image.text) for image in style.images]}
    return request.monitoring.of(job, usual) if job else None


def _check_pictures(plan: StylePlan, training: TrainingJob | None, multiple: int) -> None:
    """Open every picture that the style's jobs read, before hours of work.

    Raises:
        InputError: one cannot be read or is too narrow for the training, or its name says no
            object where the training asks for it.
    """
    read = {*plan.images[0].start, *plan.references}
    if training:
        examples = training.examples()
        check_samples(examples, training.settings, multiple)
        read.difference_update(path for path, _ in examples)
    for path in sorted(read):
        open_image(path)


def _references(plan: Plan) -> dict[str, HashedFile | list[HashedFile]]:
    """The sample images of each style that are inverted."""
    found: dict[str, HashedFile | list[HashedFile]] = {}
    for style in plan.styles:
        files = [HashedFile.of(path) for path in style.references]
        if files:
            found[style.style] = files if files[1:] else files[0]
    return found


def _make_room(work: Sequence[StylePending], model: str) -> None:
    """Remove what other settings left of LoRAs: they are the run's own, as contents are."""
    for style in work:
        if style.training and (changes := find_training(style.training, model).changes):
            log.warning("%s: trained anew: %s", style.training.folder, "; ".join(changes))
            remove_folder(style.training.folder)


def _refuse_changes(folder: OutFolder, changes: list[str]) -> None:
    if changes:
        raise InputError(
            f"--out {folder.root}: its pictures were made with other settings:\n"
            f"{bullet_list(changes, _CHANGES)}\n"
            "Choose another --out, or give --force to replace the pictures.",
            fields=["out", "force"],
        )


def _conflicts_message(folder: OutFolder, state: PendingWork) -> str:
    found = [
        f"{item.path}: {'; '.join(item.differences) or 'not made by jstyleid run'}"
        for item in state.conflicts
    ]
    return (
        f"--out {folder.root}: {len(state.conflicts)} pictures there were not made as this run "
        f"would make them:\n{bullet_list(found, _SHOWN)}\n"
        "Choose another --out, or give --force to replace the pictures."
    )


def run(
    options: RunOptions, monitoring: Monitoring = USUAL, styles: Path | None = None
) -> None:
    """Make every picture that is not there yet, and print the figures of the run.

    Args:
        options: options of the run.
        monitoring: what is seen of its trainings.
        styles: folder of inverted styles that other runs use, too.

    Raises:
        JStyleIDError: an option cannot be used, or jobs failed.
    """
    plan, settings = plan_run(options)
    with open_workers(options) as (device, workers):
        usual = dtype_of(device, options.engine)
        if settings.dtype == "auto":
            # Pictures of both precisions in one folder would not be the same run.
            settings = settings.model_copy(update={"dtype": usual})
        runtime.check_dtype(settings.dtype, usual)
        if settings.backend == "jdiffusion" and options.engine == "local":
            check_environment()
        folder = OutFolder(options.out, styles)
        _run(options, folder, plan, settings, monitoring, device, workers)


def _run(
    options: RunOptions, folder: OutFolder, plan: Plan, settings: RunSettings,
    monitoring: Monitoring, device: Device, workers: Workers,
) -> None:
    folder.prepare()
    counts, start = RunCounts(plan.pictures), time.monotonic()
    try:
        with session(folder, folder.log, counts) as display:
            source = ModelSource(source_of(options), device, display, workers)
            request = RunRequest(plan, settings, folder, options.force, monitoring)
            try:
                run_split(request, source, display, counts)
            except IncompleteError:
                # When something failed one wants to look, too.
                write_pages(plan, settings, folder, display, counts)
                raise
            write_pages(plan, settings, folder, display, counts)
    except IncompleteError:
        _print_summary(folder, counts, time.monotonic() - start)
        _open_gallery(options, folder)
        raise
    _print_summary(folder, counts, time.monotonic() - start)
    print(
        f"{counts.done} of {counts.total} pictures are in {options.out}; look at {folder.gallery}")
    print(f"score them: jdiff-check --upload {options.out} --gt {options.data / options.split}")
    _open_gallery(options, folder)


def _open_gallery(options: RunOptions, folder: OutFolder) -> None:
    if options.open and not open_page(folder.gallery):
        print(f"--open: no browser here can show it; open it yourself: {folder.gallery.resolve()}")


def _print_summary(folder: OutFolder, counts: RunCounts, seconds: float) -> None:
    if counts.begun:
        summary = run_summary(read_entries(folder.ledger), counts.begun, seconds)
        Console().print(summary_table(summary))
