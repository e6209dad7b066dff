"""Two runs beside each other: which prompts each has, and what their records differ in.

The folders are only read, and may be another user's. What lies in them is foreign: names from a
ledger are checked before they become paths.
"""

import filecmp
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from jstyleid_core.differences import differing_values
from jstyleid_core.errors import InputError
from jstyleid_runner.scheduling.ledger import Entry, read_entries
from jstyleid_runner.scheduling.task import State
from jstyleid_runner.storage.layout import OutFolder, naming_problem
from jstyleid_runner.storage.lock import lock_holder
from jstyleid_runner.storage.records import HashedFile, RunRecord

Name = Literal["A", "B"]
NAMES: tuple[Name, Name] = ("A", "B")

_PICTURE = "picture"
"""First part of the ids of the jobs that make a result; style and prompt follow."""
_SHOWN = 5
"""Folders or styles that a message lists."""


@dataclass(frozen=True)
class Run:
    """A run as its folder has it.

    Attributes:
        folder: its folder.
        record: its settings, checkpoint and references.
        prompts: prompts of each style, in the run's order; their pictures may not be there yet.
        made: style and prompt of each result that is there.
        failed: style and prompt of each result whose jobs were set aside.
        process: id of the process that is at work; None if none is.
    """

    folder: OutFolder
    record: RunRecord
    prompts: Mapping[str, Sequence[str]]
    made: frozenset[tuple[str, str]]
    failed: frozenset[tuple[str, str]]
    process: str | None

    @property
    def total(self) -> int:
        """Number of results that were planned."""
        return sum(map(len, self.prompts.values()))

    def has(self, style: str, prompt: str) -> bool:
        """Whether the run has a result of this prompt, or will have."""
        return prompt in self.prompts.get(style, ())


def read_run(out: Path) -> Run:
    """Read what the folder of a run says of it. Nothing is written.

    Raises:
        InputError: it is no folder of a run, or its files are damaged or not to be read.
    """
    folder = OutFolder(out)
    record = RunRecord.read(folder.record)
    if record is None:
        raise InputError(f"{out}: no run there. {_fix(out)}")
    # The lock first: a run that ends in between has then written its last.
    process = lock_holder(folder.lock)
    prompts: dict[str, dict[str, None]] = {}
    made, failed = set(), set()
    for entry in read_entries(folder.ledger):
        kind, _, _ = entry.id.partition("/")
        if kind != _PICTURE:
            continue
        prompt = _prompt(folder, entry)
        prompts.setdefault(entry.style, {})[prompt] = None
        if os.path.isfile(folder.picture(entry.style, prompt)):
            made.add((entry.style, prompt))
        elif entry.state is State.QUARANTINED:
            failed.add((entry.style, prompt))
    return Run(folder, record, {style: tuple(some) for style, some in prompts.items()},
               frozenset(made), frozenset(failed), process)


def _fix(out: Path) -> str:
    """The advice for a folder without a record: a sweep, a demo and a training have subfolders."""
    if not out.is_dir():
        return "Give the folder of a run, as --out named it."
    inside = sorted(place.parent.parent for place in out.glob("*/.jstyleid/run.json"))
    if not inside:
        return "Give the folder of a run, as --out named it."
    more = f" and {len(inside) - _SHOWN} more" if len(inside) > _SHOWN else ""
    return f"There are runs in {', '.join(map(str, inside[:_SHOWN]))}{more}."


def _prompt(folder: OutFolder, entry: Entry) -> str:
    beginning = f"{_PICTURE}/{entry.style}/"
    prompt = entry.id.removeprefix(beginning)
    problem = naming_problem(entry.style) or naming_problem(prompt)
    if not entry.id.startswith(beginning) or problem:
        raise InputError(
            f"{folder.ledger}: the job {entry.id!r} of style {entry.style!r} names no picture of a "
            f"run{f', because {problem}' if problem else ''}. Give a folder that `jstyleid run` "
            "has written.")
    return prompt


@dataclass(frozen=True)
class Shown:
    """A picture of a prompt, or why there is none.

    Attributes:
        label: `A`, `B`, `content`, or `content A` and `content B` where those differ.
        path: the picture; None where there is none.
        why: why there is none.
    """

    label: str
    path: Path | None
    why: str = ""


@dataclass(frozen=True)
class ComparedPrompt:
    """The pictures of a prompt in both runs.

    Attributes:
        shown: contents, if any, and a result for each run.
        pairs: numbers of pictures that a slider is useful between, as `0-1 1-2`.
        only_in: the run that has the prompt, if the other has not.
    """

    prompt: str
    shown: tuple[Shown, ...]
    pairs: str
    only_in: Name | None


@dataclass(frozen=True)
class ComparedStyle:
    """A style of one or both runs.

    Attributes:
        only_in: the run that has the style, if the other has not.
        references: names of the references in A and in B, where these differ.
    """

    name: str
    prompts: tuple[ComparedPrompt, ...]
    only_in: Name | None
    references: tuple[str, str] | None


@dataclass(frozen=True)
class Row:
    """A line of the table at the top."""

    name: str
    a: str
    b: str


@dataclass(frozen=True)
class Comparison:
    """Two runs, aligned by style and prompt.

    Attributes:
        about: what the runs are, and how far they are.
        changes: settings that differ, the checkpoint and versions included.
        counts: prompts that `both`, only `A` and only `B` have.
    """

    styles: tuple[ComparedStyle, ...]
    about: tuple[Row, ...]
    changes: tuple[Row, ...]
    counts: Mapping[str, int]


def compare_runs(a: Run, b: Run) -> Comparison:
    """Align two runs by style and prompt.

    Raises:
        InputError: it is one run, or the two have no prompt in common.
    """
    if os.path.samefile(a.folder.root, b.folder.root):
        raise InputError(f"{a.folder.root}, {b.folder.root}: one and the same run. Give two.")
    styles = tuple(_compared_style(style, a, b) for style in sorted({*a.prompts, *b.prompts}))
    counts = {"both": 0, "A": 0, "B": 0}
    for style in styles:
        for prompt in style.prompts:
            counts[prompt.only_in or "both"] += 1
    if not counts["both"]:
        raise InputError(
            f"{a.folder.root}, {b.folder.root}: no prompt of a style is in both. The first has "
            f"{_described(a)}, the second {_described(b)}. Give two runs of one split.")
    changes = _changes(a, b)
    return Comparison(styles, _about(a, b, changes), changes, counts)


def _described(run: Run) -> str:
    styles = list(run.prompts)
    more = " …" if len(styles) > _SHOWN else ""
    return (f"{run.total} prompts of split {run.record.settings.get('split')}, styles "
            f"{', '.join(styles[:_SHOWN])}{more}")


def _compared_style(style: str, a: Run, b: Run) -> ComparedStyle:
    prompts = dict.fromkeys((*a.prompts.get(style, ()), *b.prompts.get(style, ())))
    return ComparedStyle(
        style, tuple(_compared_prompt(style, prompt, a, b) for prompt in prompts),
        _only_in(style in a.prompts, style in b.prompts), _references(style, a, b))


def _only_in(in_a: bool, in_b: bool) -> Name | None:
    if in_a and in_b:
        return None
    return "A" if in_a else "B"


def _references(style: str, a: Run, b: Run) -> tuple[str, str] | None:
    there, other = (run.record.references.get(style) for run in (a, b))
    if not there or not other or there == other:
        return None
    return _file_names(there), _file_names(other)


def _file_names(files: HashedFile | list[HashedFile]) -> str:
    return ", ".join(file.name for file in (files if isinstance(files, list) else [files]))


def _compared_prompt(style: str, prompt: str, a: Run, b: Run) -> ComparedPrompt:
    runs = dict(zip(NAMES, (a, b), strict=True))
    contents = {name: path for name, run in runs.items()
                if run.has(style, prompt)
                and os.path.isfile(path := run.folder.content(style, prompt))}
    if len(contents) == 2 and filecmp.cmp(contents["A"], contents["B"], shallow=False):
        shown = [Shown("content", contents["A"]), *(
            _result(name, run, style, prompt) for name, run in runs.items())]
        pairs = "0-1 0-2 1-2"
    else:
        shown, followed, results = [], [], []
        for name, run in runs.items():
            if name in contents:
                followed.append(f"{len(shown)}-{len(shown) + 1}")
                shown.append(Shown(f"content {name}", contents[name]))
            results.append(str(len(shown)))
            shown.append(_result(name, run, style, prompt))
        pairs = " ".join((*followed, "-".join(results)))
    return ComparedPrompt(prompt, tuple(shown), pairs,
                          _only_in(a.has(style, prompt), b.has(style, prompt)))


def _result(name: Name, run: Run, style: str, prompt: str) -> Shown:
    if (style, prompt) in run.made:
        return Shown(name, run.folder.picture(style, prompt))
    if (style, prompt) in run.failed:
        return Shown(name, None, "failed")
    return Shown(name, None, "not made yet" if run.has(style, prompt) else f"not in {name}")


def _about(a: Run, b: Run, changes: Sequence[Row]) -> tuple[Row, ...]:
    changed = {row.name for row in changes}
    return (
        Row("folder", str(a.folder.root), str(b.folder.root)),
        *(Row(name, *(_text(run.record.settings.get(name)) for run in (a, b)))
          for name in ("split", "method") if name not in changed),
        Row("pictures", _progress(a), _progress(b)),
    )


def _progress(run: Run) -> str:
    parts = [f"{len(run.made)} of {run.total}"]
    if len(run.made) < run.total:
        parts.append("unfinished")
    if run.failed:
        parts.append(f"{len(run.failed)} failed")
    if run.process is not None:
        parts.append(f"a run is at work, process {run.process}")
    return ", ".join(parts)


def _changes(a: Run, b: Run) -> tuple[Row, ...]:
    there, other = (
        {**run.record.settings,
         "checkpoint": {"source": run.record.model.source,
                        "fingerprint": run.record.model.fingerprint},
         "version": run.record.versions}
        for run in (a, b))
    # What one run has not at all, as a training, is one line and not one for each of its settings.
    alone = [name for name in sorted(there.keys() & other.keys())
             if isinstance(there[name], Mapping) != isinstance(other[name], Mapping)]
    rows = [(name, there.pop(name), other.pop(name)) for name in alone]
    return tuple(Row(name, _text(old), _text(new))
                 for name, old, new in sorted((*rows, *differing_values(there, other)),
                                              key=lambda row: row[0]))


def _text(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_text(each)}" for name, each in value.items())
    return value if value and isinstance(value, str) else json.dumps(value, ensure_ascii=False)
