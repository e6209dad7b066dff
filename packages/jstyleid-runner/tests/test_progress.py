"""What a watcher is told: counts, the time left, and what goes wrong with the log."""

import io
import logging
from pathlib import Path

import pytest
from rich.console import Console

from jstyleid_runner.progress import Meter, clock_text
from jstyleid_runner.progress_bars import BarReporter
from jstyleid_runner.progress_lines import LineReporter
from jstyleid_runner.runlog import log_to


def test_the_time_left_follows_the_evaluations() -> None:
    now = 0.0
    meter = Meter(clock=lambda: now)
    meter.begin(pictures=2, done=0, evaluations=100)
    assert meter.left is None
    meter.stage(steps=10, evaluations=20)
    for _ in range(10):
        now += 4.0
        meter.step()
    # 2 s an evaluation, 80 to go.
    assert meter.left == pytest.approx(160)
    assert meter.elapsed == 40


def test_the_time_left_forgets_how_it_began() -> None:
    now = 0.0
    meter = Meter(clock=lambda: now)
    meter.begin(pictures=1, done=0, evaluations=1000)
    meter.stage(steps=1000, evaluations=1000)
    for step in range(600):
        now += 60.0 if step == 0 else 1.0  # the first step compiles kernels
        meter.step()
    assert meter.left == pytest.approx(400)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (65.4, "1:05"), (3599.6, "1:00:00"), (7265, "2:01:05")]
)
def test_clock(seconds: float, text: str) -> None:
    assert clock_text(seconds) == text


def test_lines_name_each_picture_and_what_is_left() -> None:
    stream = io.StringIO()
    reporter = LineReporter(stream)
    reporter.preparing("compiling Jittor", 1, 160)
    reporter.preparing("compiling Jittor", 2, 160)
    reporter.preparing("compiling Jittor", 160, 160)
    reporter.begin(3, 1, 20)
    reporter.stage("picture/00/Ring", 2, 10)
    reporter.step()
    reporter.step()
    reporter.finished(Path("out/00/Ring.png"))
    lines = stream.getvalue().splitlines()
    assert lines[:4] == [
        "compiling Jittor 1/160",
        "compiling Jittor 160/160",
        "3 pictures, 1 there already; 20 UNet evaluations to do",
        "picture/00/Ring: 2 steps",
    ]
    assert lines[4] == "[2/3] out/00/Ring.png  0:00 elapsed, about 0:00 left"


def test_bars_show_names_with_brackets_as_they_are() -> None:
    stream = io.StringIO()
    reporter = BarReporter(Console(file=stream, force_terminal=True, width=120))
    reporter.preparing("compiling Jittor", 1, 160)
    reporter.begin(2, 0, 20)
    reporter.stage("picture/00/[red]Ring", 2, 10)
    reporter.step()
    reporter.finished(Path("out/00/[red]Ring.png"))
    reporter.close()
    shown = stream.getvalue()
    assert "out/00/[red]Ring.png" in shown
    assert "picture/00/[red]Ring" in shown
    assert "1/2" in shown


def test_a_log_that_cannot_be_written_is_reported_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with log_to(Path("/dev/full")):
        for _ in range(3):
            logging.getLogger("jstyleid_runner.test").info("a line")
    assert capsys.readouterr().err.count("warning: cannot write /dev/full: ") == 1
