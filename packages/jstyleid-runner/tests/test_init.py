"""`jstyleid init` makes a folder that a run can begin in, and `--open` shows its gallery."""

import re
import webbrowser
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from jstyleid_dreambooth.training.settings import TrainingSettings
from jstyleid_runner.cli import app
from jstyleid_runner.options.config_file import check_table, keys_of, read_tables
from jstyleid_runner.reports.pages import opening

Invoke = Callable[..., tuple[int, str]]
pytestmark = pytest.mark.usefixtures("no_jittor")
RUN: Any = typer.main.get_command(app).commands["run"]  # type: ignore[attr-defined]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def init(*words: str) -> Any:
    return CliRunner().invoke(app, ["init", *words])


def uncommented(path: Path) -> Path:
    """The file with every option in force; lines of help have a space behind the sign."""
    path.write_text(re.sub(r"^#(?! )", "", path.read_text(), flags=re.MULTILINE))
    return path


def test_every_option_of_a_run_is_there_once_and_can_be_read() -> None:
    done = init("mine")
    assert (done.exit_code, done.stdout.splitlines()[0]) == (0, "mine/run.toml")
    assert sorted(str(path) for path in Path("mine").rglob("*")) == [
        "mine/data", "mine/data/styles", "mine/data/styles/README.md", "mine/run.toml"]
    file = Path("mine/run.toml")
    assert read_tables(file, ["run"]) == {"run": {"split": "styles"}}
    values = read_tables(uncommented(file), ["run"])["run"]
    found = check_table(f"{file} [run]", values, "run", RUN)
    assert sorted(found) == sorted(set(keys_of(RUN).values()))
    # Where an option has a default, it is that one.
    usual = {str(parameter.name): parameter.default for parameter in RUN.params}
    usual |= {"split": "styles", "gamma": ["0.75"], "temperature": ["1.5"], "gate": 2.5,
              "style_factor": ["1.2"], "moments": 0, "lr": TrainingSettings().learning_rate,
              "train_steps": 500, "rank": 4, "schedule": "constant", "warmup_steps": 0,
              "gradient_checkpointing": False, "caption_dropout": 0, "buckets": False}
    for name, value in found.items():
        if usual[name] is not None:
            assert value == (str(usual[name]) if isinstance(usual[name], Path) else usual[name])
    without = {name for name in found if usual[name] is None}
    text = " ".join(file.read_text().replace("\n#", "").split())
    assert text.count("Not set") == len(without) + 1  # the head explains it
    assert {"styles", "lora", "model", "gpus"} <= without


def test_the_file_works_as_it_is(write_style: Callable[..., Path], invoke: Invoke) -> None:
    init("mine")
    write_style(Path("mine/data/styles"), "00", ("Ring",))
    done = CliRunner().invoke(app, ["config", "show", "run", "--config", "mine/run.toml"])
    assert 'split = "styles"  # mine/run.toml [run] split\n' in done.stdout
    code, stderr = invoke("plan", "--config", "mine/run.toml", "--data", "mine/data")
    assert (code, stderr) == (0, "")


def test_an_empty_folder_is_taken_and_a_full_one_refused() -> None:
    Path("mine").mkdir()
    assert init("mine").exit_code == 0
    before = Path("mine/run.toml").read_bytes()
    done = init("mine")
    assert (done.exit_code, done.stderr.strip()) == (
        2, "error: mine: there already, and not an empty folder. Name a new folder.")
    assert Path("mine/run.toml").read_bytes() == before
    assert init("").exit_code == 2


@pytest.mark.parametrize(("display", "browser", "shown"), [
    (None, webbrowser.BackgroundBrowser, False),
    (":0", webbrowser.BackgroundBrowser, True),
    (":0", webbrowser.GenericBrowser, False),  # one in the terminal, which is waited for
    (":0", None, False),
])
def test_a_page_is_opened_where_there_is_a_browser(
    display: str | None, browser: Any, shown: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []

    def get() -> Any:
        if browser is None:
            raise webbrowser.Error("could not locate runnable browser")
        found = browser("browser")
        found.open = lambda url: opened.append(url) or True
        return found

    monkeypatch.setattr(opening, "webbrowser", SimpleNamespace(
        get=get, Error=webbrowser.Error, GenericBrowser=webbrowser.GenericBrowser))
    for name, value in (("DISPLAY", display), ("WAYLAND_DISPLAY", None)):
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    page = tmp_path / "a gallery.html"
    assert opening.open_page(page) is shown
    assert opened == ([f"file://{tmp_path}/a%20gallery.html"] if shown else [])
