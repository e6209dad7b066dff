"""`jstyleid sweep`, with a model that paints noise: what is shared, scored, written, refused."""

import csv
import json
import stat
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

import pytest
import tomllib
from typer.testing import CliRunner, Result

from colour_cases import EVERY_COLOUR, SCORES, every_colour, picture, skewed
from jstyleid_core import runtime
from jstyleid_runner.cli import app
from jstyleid_runner.options.presets import PRESETS, RunPreset
from jstyleid_runner.options.run import RunOptions
from jstyleid_runner.options.swept import combine, folder_name
from jstyleid_runner.options.to_settings import run_training
from jstyleid_runner.reports.colour_score import colour_score
from jstyleid_runner.reports.pages.sweep import SweepRow, pareto
from jstyleid_runner.workflows import run as workflow
from jstyleid_runner.workflows.workers import NO_WORKERS

RUN = ["--split", "S", "--method", "styleid", "--size", "64", "--steps", "2", "--content-steps",
       "2", "--model", "some/model", "--device", "cpu", "--dtype", "float32", "--out", "sweep"]


@pytest.fixture
def calls(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch, fake_model: Any
) -> Counter[str]:
    """What the model was asked to do, by name; the data lies in the working directory."""
    counted: Counter[str] = Counter()

    @contextmanager
    def no_workers(options: Any) -> Iterator[Any]:
        yield "cpu", NO_WORKERS

    def model(*_: Any) -> Any:
        made = fake_model()
        made.before_call = lambda name: counted.update([name])
        return made

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(runtime, "redirect_native_output", lambda path: None)
    monkeypatch.setattr(workflow, "open_workers", no_workers)
    monkeypatch.setattr(workflow, "ModelSource", model)
    return counted


def sweep(*words: str) -> Result:
    return CliRunner().invoke(app, ["sweep", *RUN, *words])


def rows() -> list[Any]:
    found: list[Any] = json.loads(Path("sweep/sweep.json").read_text())
    return found


def test_what_is_equal_is_made_once(calls: Counter[str]) -> None:
    grid = ["--set", "gamma=0.3,0.5", "--set", "rule=styleid,joint", "--batch", "1"]
    result = sweep(*grid)
    assert result.exit_code == 0, result.output
    pictures = len(list(Path("sweep/gamma-0.3_rule-joint").glob("*/*.png")))
    styles = len(list(Path("data/S").iterdir()))
    assert pictures > styles > 1
    # Each content drawn once, each style inverted once, and everything stylised in each run.
    assert (calls["generate"], calls["invert_style"], calls["transfer"]) == (
        pictures, styles, 4 * pictures)
    assert [row["values"] for row in rows()] == [
        {"gamma": gamma, "rule": rule} for gamma in ("0.3", "0.5") for rule in ("styleid", "joint")]
    assert not Path("sweep/.jstyleid/styles").exists()
    calls.clear()
    assert sweep(*grid).exit_code == 0
    assert not calls


def test_styles_are_inverted_anew_for_other_steps(calls: Counter[str]) -> None:
    assert sweep("--set", "steps=2,3", "--styles", "00").exit_code == 0
    assert calls["invert_style"] == 2
    assert calls["generate"] == calls["transfer"] / 2


def test_loras_are_trained_once(calls: Counter[str]) -> None:
    words = [word for word in RUN if word not in ("--method", "styleid")]
    result = CliRunner().invoke(app, [
        "sweep", *words, "--train-steps", "2", "--prompts", "1", "--set", "temperature=1,2"])
    assert result.exit_code == 0, result.output
    styles = len(list(Path("data/S").iterdir()))
    assert calls["train"] == styles
    assert calls["generate"] == styles


def test_what_is_written(calls: Counter[str]) -> None:
    result = sweep("--set", "gamma=0.3,0.5", "--set", 'layers=["7-11","7,9"]', "--random", "3")
    assert result.exit_code == 0, result.output
    with Path("sweep/sweep.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert len(table) == 3
    best = max(table, key=lambda row: float(row["colour"]))
    options = tomllib.loads(Path("sweep/best.toml").read_text())["run"]
    assert (options["gamma"], options.get("layers", "7-11"), options["method"]) == (
        [best["gamma"]], best["layers"], "styleid")
    assert "out" not in options
    page = Path("sweep/sweep.html").read_text()
    assert page.count("<tr data-row") == page.count("<circle") == 3
    pictures = list(Path("sweep", best["folder"]).glob("*/*.png"))
    assert page.count("<img") == 3 * min(6, len(pictures))
    shown = CliRunner().invoke(app, ["config", "show", "run", "--config", "sweep/best.toml"])
    assert f'gamma = ["{best["gamma"]}"]  # sweep/best.toml [run] gamma' in shown.stdout


def test_the_checker_decides(calls: Counter[str], tmp_path: Path) -> None:
    """A stand-in for `jdiff-check`, which likes the folder with the higher gamma."""
    script = tmp_path / "check"
    script.write_text("""#!/usr/bin/env python3
import json, pathlib, sys
words = dict(zip(sys.argv[1::2], sys.argv[2::2]))
assert pathlib.Path(words["--gt"]) == pathlib.Path("data/S")
result = pathlib.Path(words["--result"])
result.mkdir(parents=True)
score = 0.9 if words["--upload"].endswith("0.5") else 0.1
(result / "result.json").write_text(json.dumps({"official": {
    "components": {"hist": 0.5, "dino": None}, "final_score": score}}))
""")
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    result = sweep("--set", "gamma=0.3,0.5", "--checker", str(script), "--prompts", "1")
    assert result.exit_code == 0, result.output
    assert [row["scores"]["final"] for row in rows()] == [0.1, 0.9]
    assert "best: gamma = 0.5, final 0.9000" in result.stdout


@pytest.mark.parametrize(("words", "message"), [
    (["--set", "gamma"], "gamma: no values. Write it as gamma=0.3,0.5."),
    (["--set", "gama=1,2"], "gama=1,2: no option that can be swept. Did you mean gamma?"),
    (["--set", "out=a,b"], "out=a,b: no option that can be swept."),
    (["--set", "gamma=0.1,"], "gamma=0.1,: a value is empty, or there twice."),
    (["--set", "gamma=0.1", "--set", "gamma=0.2"], "gamma is there twice. Give all of its values"),
    (["--set", "layers=[7"], "layers=[7: not a list in JSON"),
    (["--set", "gamma=0.1,2"], "gamma = 2.0"),
    (["--set", "rule=joint,other"], "'other' is not one of 'styleid', 'joint', 'gated'"),
    (["--set", "injection=true,maybe"], "injection=maybe: write true or false."),
    (["--set", "seed=" + ",".join(map(str, range(1001)))], "1001 combinations; at most 1000"),
    (["--set", "seed=1,2", "--checker", "/no/such"], "--checker /no/such: cannot be started"),
])
def test_what_is_refused(calls: Counter[str], words: list[str], message: str) -> None:
    result = sweep(*words)
    assert result.exit_code == (1 if "--checker" in words else 2)
    assert message in result.stderr
    assert calls == {} or "--checker" in words


def test_random_combinations_are_the_same_each_time() -> None:
    grid = {"a": ["1", "2", "3"], "b": ["x", "y"]}
    every = combine(grid, None, 0)
    assert len(every) == 6
    some = combine(grid, 4, 1)
    assert some == combine(grid, 4, 1)
    assert len(some) == len({tuple(each.items()) for each in some}) == 4
    assert all(each in every for each in some)
    assert combine(grid, 99, 0) == every


def test_names_of_folders() -> None:
    assert folder_name({"start_latents": "efdm", "gamma": "0.3"}) == "start-latents-efdm_gamma-0.3"
    odd = {folder_name({"layers": "7,9"}), folder_name({"layers": "7 9"}),
           folder_name({"negative": "x" * 300})}
    assert len(odd) == 3
    assert all(len(name) < 120 and "/" not in name for name in odd)


def test_the_pareto_front() -> None:
    def row(score: float, evaluations: float) -> SweepRow:
        return SweepRow("", {}, {"colour": score}, evaluations, 0, (), {})

    assert pareto([row(0.1, 10), row(0.2, 20), row(0.2, 30), row(0.05, 15), row(0.1, 10)]) == [
        True, True, False, False, True]


@pytest.mark.parametrize(("seed", "references"), SCORES)
def test_the_colour_score_is_the_checkers(seed: int, references: tuple[int, ...]) -> None:
    """To the rounding of OpenCV's float32 sums."""
    got = colour_score(picture(seed), [picture(reference) for reference in references])
    assert got == pytest.approx(SCORES[seed, references], abs=1e-6)


def test_the_colour_score_of_every_colour() -> None:
    assert colour_score(every_colour(), [skewed()]) == pytest.approx(EVERY_COLOUR, abs=1e-6)


@pytest.mark.parametrize(("words", "values"), [
    ("--preset score", {"start": "mean", "strength": 0.9, "reference": "all"}),
    ("--preset score --reference first --start noise", {"start": "noise", "reference": "first"}),
    ("--preset fast", {"method": "direct-dreambooth", "colour_match": 0.5}),
    ("--preset tuned", {"method": "styleid-dreambooth", "start": "noise"}),
    ("--preset paper --method styleid", {"layers": "6-11", "steps": 50, "method": "styleid"}),
])
def test_presets_of_a_run(
    calls: Counter[str], monkeypatch: pytest.MonkeyPatch, words: str, values: dict[str, Any]
) -> None:
    told: list[Any] = []
    monkeypatch.setattr(workflow, "run", lambda options, *_: told.append(options))
    result = CliRunner().invoke(app, ["run", "--split", "S", *words.split()])
    assert result.exit_code == 0, result.output
    [options] = told
    assert {name: getattr(options, name) for name in values} == values
    training = run_training(options)
    assert (training is not None and training.rank == 32) == (
        "score" in words or "tuned" in words)


def test_every_preset_names_options_of_a_run() -> None:
    assert set(PRESETS) == set(get_args(RunPreset))
    names = {field.name for field in fields(RunOptions)}
    assert all(set(values) <= names for values in PRESETS.values())
