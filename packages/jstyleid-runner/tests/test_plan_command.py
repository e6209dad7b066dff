"""`jstyleid plan` says what a run would do, and how long it may take."""

import json
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from jstyleid_runner.cli import app
from jstyleid_runner.commands.plan import plan
from jstyleid_runner.options.run import RunOptions
from jstyleid_runner.options.sources import parameters_of
from jstyleid_runner.scheduling.estimates import CostModel, forecast, mark_satisfied
from jstyleid_runner.scheduling.ledger import Ledger
from jstyleid_runner.scheduling.task import Stage, State, Task
from jstyleid_runner.storage.layout import OutFolder
from jstyleid_runner.storage.records import ModelRecord, RunRecord

Invoke = Callable[..., tuple[int, str]]
pytestmark = pytest.mark.usefixtures("no_jittor", "data", "here")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in `tmp_path`."""
    monkeypatch.chdir(tmp_path)


def printed(*words: str) -> str:
    result = CliRunner().invoke(app, ["plan", "--split", "S", *words], catch_exceptions=False)
    assert result.exit_code == 0, result.stderr
    return result.stdout


def facts(*words: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(printed(*words, "--json"))
    return found


def tasks_listed(*words: str) -> list[Task]:
    return [Task(job["id"], job["style"], Stage(job["stage"]), tuple(job["needs"]),
                 job["evaluations"]) for job in facts("--jobs", *words)["jobs"]]


def ledger_with(done: list[Task], rate: float) -> None:
    """A ledger in `out` with these tasks done at so many seconds an evaluation."""
    OutFolder(Path("out")).prepare()
    with Ledger(OutFolder(Path("out")).ledger) as ledger:
        ledger.plan(done)
        for task in done:
            ledger.began(task.id, "gpu0")
            ledger.finished(task.id, None, rate * task.cost)


def test_the_stages() -> None:
    assert printed() == printed() == """\
stage                 jobs       evaluations         jobs left  evaluations left
train                    2              3000                 2              3000
invert                   2                40                 2                40
draw                     6               300                 6               300
stylise                  6               240                 6               240
in all                  16              3580                16              3580
6 pictures
"""
    assert not Path("out").exists()


def test_every_job_in_order() -> None:
    text = printed("--jobs", "--styles", "04", "--prompts", "1", "--method", "styleid",
                   "--content-steps", "3")
    assert text.startswith(
        "20  style/04\n 6  content/04/Ring\n"
        "40  picture/04/Ring  after content/04/Ring, style/04\n\nstage ")
    assert [task.id for task in tasks_listed("--method", "dreambooth", "--prompts", "1")] == [
        "lora/00", "picture/00/Ring", "lora/04", "picture/04/Ring"]


def test_no_time_without_a_rate() -> None:
    assert (facts()["rate"], facts()["estimates"]) == (None, [])
    assert "about" not in printed("--gpus", "4")


def test_time_by_a_given_rate() -> None:
    found = facts("--method", "styleid", "--seconds-per-evaluation", "0.5", "--gpus", "4")
    assert found["rate"] == "given"
    first, fourth = found["estimates"]
    assert (first["workers"], first["seconds"], fourth["workers"]) == (1, 290, 4)
    assert 290 / 4 <= fourth["seconds"] < 290 / 2
    text = printed("--method", "styleid", "--seconds-per-evaluation", "0.5", "--workers", "2")
    assert "\nabout 4:50 on 1 worker, by the given rate\nabout 2:" in text


def test_what_is_left_by_the_measured_rate() -> None:
    words = ("--method", "styleid")
    tasks = tasks_listed(*words)
    ledger_with([task for task in tasks if task.style == "00"], rate=0.25)
    found = facts(*words)
    assert found["stages"][-1] == {
        "stage": "in all", "jobs": 14, "evaluations": 580, "jobs_left": 7, "evaluations_left": 290}
    assert found["rate"] == "measured"
    assert found["estimates"] == [{"workers": 1, "seconds": pytest.approx(290 * 0.25)}]
    assert facts(*words, "--seconds-per-evaluation", "1")["estimates"][0]["seconds"] == 290


def test_nothing_is_left() -> None:
    ledger_with(tasks_listed(), rate=1)
    assert printed().endswith("\n6 pictures, nothing left to do\n")
    assert facts()["estimates"] == []


def test_jobs_that_were_set_aside() -> None:
    OutFolder(Path("out")).prepare()
    with Ledger(OutFolder(Path("out")).ledger) as ledger:
        ledger.plan(tasks_listed())
        ledger.failed("lora/00", "no", State.QUARANTINED, 1.0)
    assert facts("--seconds-per-evaluation", "1")["set_aside"] == ["lora/00"]
    assert ("set aside after failing: 1; `jstyleid retry out` lets them be tried again\n"
            in printed())


def test_a_folder_made_with_other_settings() -> None:
    ledger_with(tasks_listed(), rate=1)
    RunRecord(
        settings={"gamma": 1}, model=ModelRecord(source="m", stamp=None, fingerprint="f"),
        references={}, versions={},
    ).write(OutFolder(Path("out")).record)
    found = facts()
    assert found["stages"][-1]["jobs_left"] == 16
    assert "gamma: 1 there, nothing now" in found["other_settings"]
    assert "out holds pictures made with other settings, which are not counted" in printed()


LONG = " ".join(f"word {number}" for number in range(26))  # 26 times two words and a number


def test_words_that_are_cut_off(
    write_style: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    write_style(Path("data/S"), "07", ["Ring", LONG])
    printed("--model", "embedded", "--styles", "0,7")
    [message] = caplog.messages
    assert message.startswith("1 prompt of more than 77 tokens: ")
    assert message.endswith(" in style_07")


def test_words_that_are_cut_off_of_a_model_that_is_not_here(
    write_style: Callable[..., Path], caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    write_style(Path("data/S"), "07", ["Ring", LONG])
    printed("--model", "owner/no-such-model")
    assert caplog.messages == [
        f"perhaps too long for the text encoder: '{LONG} in style_07'. The tokenizer of "
        "owner/no-such-model can say it, which is not on this machine yet."]
    caplog.clear()
    printed("--model", "nowhere")
    assert "nowhere can say it, which cannot be used: no such checkpoint: " in caplog.text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--split X", "--split X: no folder data/X. There are S."),
        ("--split S --rank 0", "'--rank'"),
        ("--split S --method styleid --rank 3", "--rank: --method styleid uses no LoRA."),
        ("--split S --force", "No such option: --force"),
        ("--split S --seconds-per-evaluation 0", "--seconds-per-evaluation 0.0: must be above 0."),
        ("--split S --gpus 2 --workers 2", "--gpus 2, --workers 2: give one; workers are for"),
        ("--split S --config none", "--config none: cannot be read"),
    ],
)
def test_what_cannot_be_planned(invoke: Invoke, words: str, message: str) -> None:
    code, stderr = invoke("plan", *words.split())
    assert code == 2
    assert message in stderr


def test_a_plan_is_told_what_a_run_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("a.toml").write_text('[run]\nsteps = 2\nmodel = "x"\nbatch = 2\nforce = true\n')
    monkeypatch.setenv("JSTYLEID_RUN_METHOD", "styleid")
    assert [stage["evaluations"] for stage in facts("--config", "a.toml")["stages"]] == [
        4, 300, 24, 328]
    taken = set(parameters_of(plan)) - {"context", "jobs", "as_json", "seconds_per_evaluation"}
    assert taken == {field.name for field in fields(RunOptions)} - {
        "force", "open", "dtype", "device", "engine", "address"}


def test_a_forecast_of_what_can_be_done() -> None:
    costs = CostModel(dict.fromkeys(Stage, 2.0))
    tasks = [Task("a", "00", Stage.TRAIN, (), 10), Task("b", "00", Stage.DRAW, ("a",), 1),
             Task("c", "01", Stage.TRAIN, (), 5)]
    assert forecast(tasks, {}, costs, 1) == 32
    assert forecast(tasks, {}, costs, 2) == 22
    assert forecast(tasks, {"a": State.QUARANTINED}, costs, 1) == 10
    assert forecast(tasks, dict.fromkeys("abc", State.DONE), costs, 1) == 0
    assert not Path(":memory:").exists()


def test_what_nobody_waits_for_is_not_left() -> None:
    tasks = [Task("lora", "00", Stage.TRAIN, (), 9), Task("a", "00", Stage.DRAW, ("lora",), 1),
             Task("b", "00", Stage.DRAW, ("lora",), 1), Task("A", "00", Stage.STYLISE, ("a",), 1),
             Task("B", "00", Stage.STYLISE, ("b",), 1)]
    one = {"A": State.DONE}
    assert mark_satisfied(tasks, one) == {"A": State.DONE, "a": State.DONE}
    assert set(mark_satisfied(tasks, one | {"B": State.DONE})) == {"A", "B", "a", "b", "lora"}
    assert mark_satisfied(tasks, {}) == {}
