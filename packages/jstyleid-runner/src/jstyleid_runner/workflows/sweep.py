"""`jstyleid sweep`: runs with other settings each, which share what they have in common."""

from __future__ import annotations

import csv
import io
import json
import os
import shlex
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

from pydantic import BaseModel, TypeAdapter
from typing_extensions import TypedDict

from jstyleid_core.errors import JStyleIDError
from jstyleid_core.files import read_regular, write_whole
from jstyleid_core.image_files import open_image
from jstyleid_core.images import fit
from jstyleid_runner.options.run import RunOptions
from jstyleid_runner.planning.monitoring import Monitoring
from jstyleid_runner.planning.plan import Plan
from jstyleid_runner.reports.colour_score import colour_score
from jstyleid_runner.reports.pages.sweep import SweepRow, write_sweep
from jstyleid_runner.settings import RunSettings
from jstyleid_runner.storage.layout import OutFolder, WorkFolder
from jstyleid_runner.storage.links import refuse_links
from jstyleid_runner.storage.records import RunRecord
from jstyleid_runner.workflows.run import plan_run, run

_ROWS = "sweep.json"

@dataclass(frozen=True)
class Combination:
    """One run of a sweep.

    Attributes:
        values: values of the options that are swept, as they were written, by the options' names.
        options: options of the run, whose `out` is a folder in that of the sweep.
    """

    values: Mapping[str, str]
    options: RunOptions


@dataclass(frozen=True)
class Sweep:
    """What `jstyleid sweep` is asked for.

    Attributes:
        out: folder of everything.
        combinations: the runs, in order.
        checker: command of `jdiff-check` with its options; None for the colour score alone.
    """

    out: Path
    combinations: tuple[Combination, ...]
    checker: str | None


def run_sweep(sweep: Sweep, monitoring: Monitoring) -> None:
    """Make the pictures of every combination, score them, and write the results.

    Raises:
        JStyleIDError: an option cannot be used, or a run failed.
    """
    # All are planned first: what is wrong with the last shows at once.
    plans = [plan_run(combination.options) for combination in sweep.combinations]
    total = sum(plan.evaluations for plan, _ in plans)
    print(f"{len(plans)} runs, {total} UNet evaluations at most", flush=True)
    folder = WorkFolder(sweep.out)
    refuse_links(sweep.out, folder.hidden)
    folder.prepare()
    styles = folder.hidden / "styles"
    rows: list[SweepRow] = []
    done: list[tuple[OutFolder, RunSettings]] = []
    for combination, (plan, settings) in zip(sweep.combinations, plans, strict=True):
        out = OutFolder(combination.options.out)
        print(f"\n{_shown(combination.values)}", flush=True)
        out.prepare()
        for earlier, others in reversed(done):
            _share(earlier, others, out, settings)
        start = time.monotonic()
        run(combination.options, monitoring, styles / _style_key(settings, combination.options))
        done.append((out, settings))
        rows.append(_row(sweep, combination, plan, out, time.monotonic() - start))
        _write(sweep, rows)
    shutil.rmtree(styles, ignore_errors=True)  # gigabytes with a real model
    best = max(rows, key=lambda row: row.objective)
    print(f"\nbest: {_shown(best.values)}, {best.objective_name} {best.objective:.4f}")
    for name in ("sweep.html", "sweep.csv", "best.toml"):
        print(sweep.out / name)


def _shown(values: Mapping[str, str]) -> str:
    return ", ".join(f"{name} = {value}" for name, value in values.items())


_OF_STYLISING = ("styleid", "reference", "method", "content_trajectory")


def _share(there: OutFolder, made: RunSettings, out: OutFolder, settings: RunSettings) -> None:
    """Take over contents and LoRAs that are made alike; a run checks each before it uses it."""
    drawn, wanted = (each.model_dump(mode="json", exclude=set(_OF_STYLISING))
                     for each in (made, settings))
    if drawn == wanted:
        for name in ("contents", "loras"):
            _take_over(there.hidden / name, out.hidden / name)
    elif drawn.get("training") == wanted.get("training"):
        _take_over(there.hidden / "loras", out.hidden / "loras")


def _take_over(source: Path, target: Path) -> None:
    for folder, _, files in os.walk(source):
        place = target / Path(folder).relative_to(source)
        place.mkdir(parents=True, exist_ok=True)
        for name in files:
            if not (place / name).exists():
                shutil.copy2(Path(folder) / name, place / name)


def _style_key(settings: RunSettings, options: RunOptions) -> str:
    """The name of the inverted styles that runs with these settings can share."""
    styleid = settings.styleid
    recipe = [] if styleid is None else [
        styleid.steps, styleid.layers, styleid.injection, styleid.inversion, styleid.seed,
        styleid.negative_query, styleid.feature_dtype]
    key = [*recipe, settings.dtype, settings.backend, settings.size, settings.reference,
           settings.seed, str(options.model)]
    return sha256(json.dumps(key).encode()).hexdigest()[:16]


def _row(
    sweep: Sweep, combination: Combination, plan: Plan, out: OutFolder, seconds: float
) -> SweepRow:
    """What a run has given; its seconds are those of an earlier time where nothing was left."""
    known = {row["folder"]: row["seconds"] for row in _known(sweep.out)}
    scores = {"colour": _mean_colour(plan, out)}
    if sweep.checker:
        scores |= _checked(sweep.checker, combination.options, out)
    record = RunRecord.read(out.record)
    pictures = [out.picture(image.style, image.prompt)
                for style in plan.styles for image in style.images]
    return SweepRow(
        folder=out.root.name, values=combination.values, scores=scores,
        evaluations=plan.evaluations / max(plan.pictures, 1),
        seconds=max(seconds, known.get(out.root.name, 0)),
        pictures=tuple(pictures), settings=record.settings if record else {})


class _Seconds(TypedDict):
    """What is taken of a run from an earlier time."""

    folder: str
    seconds: float


_SECONDS: TypeAdapter[list[_Seconds]] = TypeAdapter(list[_Seconds])


def _known(out: Path) -> list[_Seconds]:
    try:
        return _SECONDS.validate_json(read_regular(out / _ROWS))
    except (OSError, ValueError):
        return []  # it is made anew from the runs


def _mean_colour(plan: Plan, out: OutFolder) -> float:
    """The mean over styles of the mean over prompts, as the challenge takes it."""
    means = []
    for style in plan.styles:
        pictures = [open_image(out.picture(image.style, image.prompt)) for image in style.images]
        references = [fit(open_image(path), pictures[0].size) for path in style.samples]
        means.append(sum(colour_score(picture, references) for picture in pictures)
                     / len(pictures))
    return sum(means) / len(means)


def _checked(command: str, options: RunOptions, out: OutFolder) -> dict[str, float]:
    """The scores that `jdiff-check` gives.

    Raises:
        JStyleIDError: it cannot be started, or ended with an error.
    """
    result = out.hidden / "score"
    words = [*shlex.split(command), "--upload", str(out.root), "--gt",
             str(options.data / options.split), "--result", str(result)]
    try:
        ended = subprocess.run(words, capture_output=True, text=True, check=False)
    except OSError as error:
        raise JStyleIDError(
            f"--checker {command}: cannot be started: {error.strerror}. Give the command of an "
            "environment that has jdiff-checker.", fields=["checker"]) from error
    if ended.returncode:
        last = "\n".join(ended.stderr.strip().splitlines()[-5:])
        raise JStyleIDError(f"{shlex.join(words)}: exit code {ended.returncode}\n{last}",
                            fields=["checker"])
    file = result / "result.json"
    try:
        official = _Scores.model_validate_json(read_regular(file)).official
    except (OSError, ValueError) as error:
        raise JStyleIDError(f"--checker {command}: it wrote no scores ({file}: {error}). Give the "
                            "command of jdiff-check.", fields=["checker"]) from error
    scores = {name: value for name, value in official.components.items() if value is not None}
    return scores if official.final_score is None else scores | {"final": official.final_score}


class _Scored(BaseModel):
    components: dict[str, float | None]
    final_score: float | None


class _Scores(BaseModel):
    """What is taken of a `result.json`."""

    official: _Scored


def _write(sweep: Sweep, rows: Sequence[SweepRow]) -> None:
    """Write table, page and best setting, each whole."""
    facts = [row.facts() for row in rows]
    write_whole(sweep.out / _ROWS, json.dumps(facts, indent=2).encode() + b"\n")
    write_whole(sweep.out / "sweep.csv", _csv(rows).encode())
    best = max(rows, key=lambda row: row.objective)
    options = next(each.options for each in sweep.combinations
                   if each.options.out.name == best.folder)
    write_whole(sweep.out / "best.toml", _toml(best, options).encode())
    write_sweep(sweep.out / "sweep.html", rows)


def _csv(rows: Sequence[SweepRow]) -> str:
    values, scores = list(rows[0].values), list(rows[0].scores)
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow([*values, *scores, "evaluations", "seconds", "folder"])
    for row in rows:
        table.writerow([*(row.values[name] for name in values),
                        *(f"{row.scores[name]:.6f}" for name in scores),
                        f"{row.evaluations:g}", f"{row.seconds:.1f}", row.folder])
    return text.getvalue()


def _toml(best: SweepRow, options: RunOptions) -> str:
    """The options of the best run that are not defaults, for `--config`."""
    usual = RunOptions(split=options.split)
    lines = [f"# {best.objective_name} {best.objective:.4f} in jstyleid sweep", "[run]"]
    for name, value in vars(replace(options, out=usual.out, force=usual.force)).items():
        if value is not None and (name == "split" or value != getattr(usual, name)):
            plain = str(value) if isinstance(value, Path) else value
            lines.append(f"{name} = {json.dumps(plain, ensure_ascii=False)}")
    return "\n".join(lines) + "\n"
