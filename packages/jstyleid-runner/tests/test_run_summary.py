"""What a run says it has done when it ends."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console

from jstyleid_runner.reports.summary import run_summary, summary_table
from jstyleid_runner.scheduling.ledger import Ledger, read_entries
from jstyleid_runner.scheduling.task import Stage, State, Task


def ledger(path: Path) -> Path:
    """One LoRA trained, two contents drawn, one set aside, and one drawn by an earlier run."""
    contents = [Task(f"content/00/{n}", "00", Stage.DRAW, ("lora/00",), 10) for n in range(4)]
    with Ledger(path) as found:
        found.plan([Task("lora/00", "00", Stage.TRAIN, (), 100), *contents])
        found.began("lora/00", "gpu10")
        found.finished("lora/00", None, 200.0)
        for number, worker in enumerate(("gpu10", "gpu2", "gpu2", "gpu[0]")):
            found.began(f"content/00/{number}", worker)
            found.finished(f"content/00/{number}", None, 30.0)
        found.failed("content/00/2", "no", State.QUARANTINED, 5.0)
    return path


BEGUN = {"lora/00", "content/00/0", "content/00/1", "content/00/2"}


def test_only_what_the_run_did_is_summed_up(tmp_path: Path) -> None:
    found = run_summary(read_entries(ledger(tmp_path / "l")), BEGUN, 250.0)
    train, draw = found.stages
    assert (train.stage, train.done, train.set_aside, train.seconds, train.rate) == (
        "train", 1, 0, 200, 2)
    assert (draw.stage, draw.done, draw.set_aside, draw.seconds, draw.rate) == (
        "draw", 2, 1, 65, 3)
    assert [(
        one.worker, len(one.jobs), one.seconds, found.share(one)) for one in found.workers] == [
        ("gpu2", 2, 35, 35 / 250), ("gpu10", 2, 230, 230 / 250)]
    nothing = run_summary([], set(), 0.0)
    assert (nothing.stages, nothing.workers) == ((), ())


def test_as_a_table(tmp_path: Path) -> None:
    everything = run_summary(read_entries(ledger(tmp_path / "l")), {*BEGUN, "content/00/3"}, 250.0)
    console = Console(width=80, force_terminal=False)
    with console.capture() as shown:
        console.print(summary_table(everything))
    assert "\x1b" not in shown.get()
    assert [" ".join(line.split()) for line in shown.get().splitlines()] == [
        "stage done set aside time s/evaluation",
        "train 1 0 3:20 2",
        "draw 3 1 1:35 3",
        "worker jobs time busy",
        "gpu2 2 0:35 14%",
        "gpu10 2 3:50 92%",
        "gpu[0] 1 0:30 12%",
        "4:10 in all",
    ]


def test_at_the_end_of_the_command(call: Callable[..., Any]) -> None:
    words = ("run", "--method", "styleid", "--steps", 1, "--content-steps", 1, "--out", "out")
    ended = call(*words)
    assert ended.exit_code == 0, ended.output
    lines = [" ".join(line.split()) for line in ended.stdout.splitlines()]
    assert lines[0] == "stage done set aside time s/evaluation"
    for number, (stage, done) in enumerate((("invert", 2), ("draw", 4), ("stylise", 4)), 1):
        assert re.fullmatch(rf"{stage} {done} 0 \d:\d\d [\d.e-]+", lines[number])
    assert re.fullmatch(r"cpu0 10 \d:\d\d \d+%", lines[5])
    assert re.fullmatch(r"\d:\d\d in all", lines[6])
    assert lines[7:] == [
        "4 of 4 pictures are in out; look at out/gallery.html",
        "score them: jdiff-check --upload out --gt " + lines[-1].split()[-1],
    ]
    # Nothing is left to do, and nothing to tell.
    assert call(*words).stdout.splitlines() == ended.stdout.splitlines()[7:]
