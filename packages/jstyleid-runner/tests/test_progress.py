"""What a watcher is told: counts, the time left, and what goes wrong with the log."""

import io
import logging
from pathlib import Path

import pytest
from rich.console import Console

from jstyleid_runner.reports.progress import BarDisplay, LineDisplay, Meter, clock_text
from jstyleid_runner.workflows.session import log_to


def test_the_time_left_follows_the_evaluations() -> None:
    now = 0.0
    meter = Meter(clock=lambda: now)
    meter.begin(total=2, done=0, evaluations=100)
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
    meter.begin(total=1, done=0, evaluations=1000)
    meter.stage(steps=1000, evaluations=1000)
    for step in range(600):
        now += 60.0 if step == 0 else 1.0  # the first step compiles kernels
        meter.step()
    assert meter.left == pytest.approx(400)


def test_a_stage_without_steps_costs_nothing() -> None:
    meter = Meter(clock=lambda: 0.0)
    meter.begin(total=1, done=0, evaluations=0)
    meter.stage(steps=0, evaluations=0)
    assert meter.evaluated == 0


def test_work_that_turns_out_longer_takes_longer() -> None:
    now = 0.0
    meter = Meter(clock=lambda: now)
    meter.begin(total=2, done=0, evaluations=20)
    meter.stage(steps=1, evaluations=10)
    now = 5.0
    meter.step()
    assert meter.left == pytest.approx(5)
    meter.evaluations += 30
    assert meter.left == pytest.approx(20)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (65.4, "1:05"), (3599.6, "1:00:00"), (7265, "2:01:05")]
)
def test_clock(seconds: float, text: str) -> None:
    assert clock_text(seconds) == text


def test_lines_name_each_picture_and_what_is_left() -> None:
    stream = io.StringIO()
    display = LineDisplay(stream)
    display.preparing("compiling Jittor", 1, 160)
    display.preparing("compiling Jittor", 2, 160)
    display.preparing("compiling Jittor", 160, 160)
    display.begin(3, 1, 20)
    display.stage("picture/00/Ring", 2, 10)
    display.step()
    display.step()
    display.finished(Path("out/00/Ring.png"))
    lines = stream.getvalue().splitlines()
    assert lines[:4] == [
        "compiling Jittor 1/160",
        "compiling Jittor 160/160",
        "3 pictures, 1 there already; 20 UNet evaluations to do",
        "picture/00/Ring: 2 steps",
    ]
    assert lines[4] == "[2/3] out/00/Ring.png  0:00 elapsed, about 0:00 left"


def test_lines_say_now_and_then_how_a_training_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("jstyleid_runner.reports.progress.time.monotonic", lambda: now)
    stream = io.StringIO()
    display = LineDisplay(stream)
    display.begin(2, 0, 18, "LoRAs")
    display.stage("training 00", 3, 9)
    for loss in (0.3, 0.2, 0.1):
        now += 6.0
        display.step(f"loss {loss}")
    assert stream.getvalue().splitlines() == [
        "2 LoRAs; 18 UNet evaluations to do",
        "training 00: 3 steps",
        "training 00: step 2/3, loss 0.2",
    ]


def test_bars_show_the_stage_again_after_something_in_between() -> None:
    stream = io.StringIO()
    display = BarDisplay(Console(file=stream, force_terminal=True, width=120))
    display.begin(2, 0, 18, "LoRAs")
    display.stage("training 00", 3, 9)
    display.step("loss 0.3")
    display.preparing("drawing after step 1", 0, 2)
    stream.truncate(0)
    display.step("loss [0.2]")
    display.revise(-9)
    display.close()
    shown = stream.getvalue()
    assert "training 00" in shown
    assert "2/3, loss [0.2]" in shown
    assert "LoRAs" in shown


def test_bars_show_names_with_brackets_as_they_are() -> None:
    stream = io.StringIO()
    display = BarDisplay(Console(file=stream, force_terminal=True, width=120))
    display.preparing("compiling Jittor", 1, 160)
    display.begin(2, 0, 20)
    display.stage("picture/00/[red]Ring", 2, 10)
    display.step()
    display.finished(Path("out/00/[red]Ring.png"))
    display.close()
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
