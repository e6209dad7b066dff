"""Options from files and from environment variables, and where a command says it has them from."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from jstyleid_runner.cli import app
from jstyleid_runner.options.to_settings import run_styleid
from jstyleid_runner.planning.monitoring import Monitoring
from jstyleid_runner.workflows import run as workflow

Invoke = Callable[..., tuple[int, str]]
pytestmark = pytest.mark.usefixtures("no_jittor", "data", "here")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in `tmp_path`."""
    monkeypatch.chdir(tmp_path)


def shown(*words: str) -> dict[str, Any]:
    """What `jstyleid config show` says: value, source and place of each option of a run."""
    result = CliRunner().invoke(app, ["config", "show", *words, "--json"], catch_exceptions=False)
    assert result.exit_code == 0, result.stderr
    return {key: tuple(value.values()) for key, value in json.loads(result.stdout)["run"].items()}


def test_the_command_line_then_the_environment_then_the_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Path("a.toml").write_text(
        '[run]\nsplit = "S"\ngamma = 0.1\nrank = 2\nsteps = 3\nstart-latents = "none"\n'
        'out = "there"\ncontent-steps = 4\ntrain_steps = 5\n[train]\nlr = 1\n'
    )
    monkeypatch.setenv("JSTYLEID_RUN_GAMMA", "0.2")
    monkeypatch.setenv("JSTYLEID_RUN_RANK", "7")
    monkeypatch.setenv("JSTYLEID_RUN_SEED", "")
    found = shown("run", "--config", "a.toml", "--gamma", "0.3", "-o", "here")
    assert found["gamma"] == (["0.3"], "command line", "--gamma")
    assert found["out"] == ("here", "command line", "--out")
    assert found["rank"] == (7, "environment", "JSTYLEID_RUN_RANK")
    assert found["split"] == ("S", "file", "a.toml [run] split")
    assert found["steps"] == (3, "file", "a.toml [run] steps")
    assert found["start_latents"] == ("none", "file", "a.toml [run] start-latents")
    assert found["content_steps"] == (4, "file", "a.toml [run] content-steps")
    assert found["train_steps"] == (5, "file", "a.toml [run] train-steps")
    assert found["seed"] == (0, "default", "")
    assert found["lora"] == (None, "default", "")


def test_what_is_shown_is_what_is_done(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Any] = []

    monkeypatch.setattr(workflow, "run", lambda options, *_: told.append(options))
    Path("a.toml").write_text(
        '[run]\nsplit = "S"\nmethod = "styleid"\ntemplates = "t.json"\ngamma = 1\n'
        'start_latents = "efdm"\ninjection = true\n'
        '[generate]\nsplit = "S"\nout = "drawn"\nlora = ["loras"]\n'
    )
    monkeypatch.setenv("JSTYLEID_RUN_INJECTION", "0")
    assert invoke("run", "--config", "a.toml", "--steps", "3") == (0, "")
    chosen = told[0]
    assert (chosen.split, chosen.templates) == ("S", Path("t.json"))
    styleid = run_styleid(chosen)
    assert (styleid.gamma, styleid.start_latents) == (1, "efdm")
    assert (styleid.injection, styleid.steps) == (False, 3)
    assert invoke("generate", "--config", "a.toml") == (0, "")
    assert (told[1].out, told[1].lora) == (Path("drawn"), Path("loras"))


@pytest.mark.parametrize("where", ["command line", "environment", "file"])
def test_prompts_of_several_words(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    told: list[Any] = []
    monkeypatch.setattr(workflow, "run", lambda _, monitoring: told.append(monitoring))
    words, prompts = ["run", "--split", "S", "--sample-every", "9"], ("A boat", "{style} at sea")
    match where:
        case "command line":
            words += [word for prompt in prompts for word in ("--sample-prompt", prompt)]
        case "environment":
            monkeypatch.setenv("JSTYLEID_RUN_SAMPLE_PROMPT", "\n".join(prompts) + "\n")
        case "file":
            Path("a.toml").write_text(f"[run]\nsample-prompt = {json.dumps(prompts)}\n")
            words += ["--config", "a.toml"]
    assert invoke(*words) == (0, "")
    assert told == [Monitoring(validate_every=9, prompts=prompts)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("gama = 1", "a.toml [run] gama: no option of jstyleid run. Did you mean gamma? There are "
         "address, backend, batch, buckets, caption_dropout, checkpoint_every, "),
        ("config = 'x'", "a.toml [run] config: no option of jstyleid run."),
        ("rank = 0", "a.toml [run] rank: 0: Input should be greater than or equal to 1."),
        ("rank = true", "a.toml [run] rank: true is of the wrong type. Write a whole number."),
        ("rank = 1.5", "a.toml [run] rank: 1.5 is of the wrong type. Write a whole number."),
        ("gamma = true", 'a.toml [run] gamma: true is of the wrong type. Write a list, as'),
        ("gamma = ['0.1', false]", 'a.toml [run] gamma: false is of the wrong type. Write a text'),
        ("size = 512", "a.toml [run] size: 512 is of the wrong type. Write a text in quotes, as"),
        ("out = 3", "a.toml [run] out: 3 is of the wrong type. Write a path in quotes."),
        ("force = 1", "a.toml [run] force: 1 is of the wrong type. Write true or false."),
        ("method = 'x'", "a.toml [run] method: \"x\": Input should be 'dreambooth', 'styleid'"),
        ("lr = 1\nlearning-rate = 2", "a.toml [run] learning-rate: the same option as lr. Leave"),
        ("[generate]\nlora = true", 'a.toml [generate] lora: true is of the wrong type. Write a'),
        ("[generate]\nprompt = 'x'", "a.toml [generate] prompt: no option of jstyleid generate. "
         "Did you mean prompts?"),
        ("[train]\nranks = 1", "a.toml [train] ranks: no option of jstyleid train. Did you mean"),
        ("[rum]", "a.toml: [rum] is no table that is read. Did you mean run? There are [run], "),
        ("[plan]", "a.toml: [plan] is no table that is read."),
        ("gamma =", "--config a.toml: broken TOML: Invalid value (at line 2, column 8). Correct"),
        ("gamma = 1.5", "gamma = 1.5: Input should be less than or equal to 1 Given in a.toml [run]"
         " gamma."),
        ("styles = '7'", "data/S: no style 7. There are 00, 04."),
        ("method = 'dreambooth'\ngamma = 0.75", "a.toml [run] gamma: --method dreambooth styl"),
        ("data = 'nowhere'", "holds the splits. Given in a.toml [run] data."),
        ("layers = '2-4'", "layers 3 to 11 Given in a.toml [run] layers."),
    ],
)
def test_files_that_cannot_be_used(invoke: Invoke, text: str, message: str) -> None:
    Path("a.toml").write_text(f"[run]\n{text}\n")
    code, stderr = invoke("run", "--split", "S", "--config", "a.toml")
    assert message in stderr
    assert code == 2


def test_files_that_cannot_be_read(invoke: Invoke) -> None:
    code, stderr = invoke("run", "--config", "none.toml")
    assert code == 2
    assert stderr.startswith("error: --config none.toml: cannot be read: No such file")
    Path("a.toml").write_bytes(b"[run]\nsplit = '\xff'")
    code, stderr = invoke("train", "--config", "a.toml")
    assert "--config a.toml: not UTF-8 text (byte 15). Save the file as UTF-8." in stderr
    Path("a.toml").write_text("gamma = 1")
    code, stderr = invoke("train", "--config", "a.toml")
    assert "a.toml: key gamma is in no table. Put it below one of [run], [train]," in stderr
    assert code == 2


def test_variables(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JSTYLEID_RUN_GAMA", "0.5")
    code, stderr = invoke("run", "--split", "S")
    assert code == 2
    assert ("environment variable JSTYLEID_RUN_GAMA: no option of jstyleid run. Did you mean "
            "JSTYLEID_RUN_GAMMA? Unset it, or correct its name.") in stderr
    monkeypatch.delenv("JSTYLEID_RUN_GAMA")
    monkeypatch.setenv("JSTYLEID_RUN_RANK", "3")
    code, stderr = invoke("run", "--split", "S", "--method", "styleid")
    assert code == 2
    assert "JSTYLEID_RUN_RANK: --method styleid uses no LoRA." in stderr
    monkeypatch.setenv("JSTYLEID_RUN_GAMMA", "2")
    assert invoke("run", "--split", "S")[1].endswith("Given in JSTYLEID_RUN_GAMMA.")
    monkeypatch.setenv("JSTYLEID_RUN_GAMMA", "much")
    assert "--gamma 'much': 'much' is not a number" in invoke("run", "--split", "S")[1]


def test_show_for_people(invoke: Invoke) -> None:
    Path("a.toml").write_text('[run]\nsplit = "S"\n[train]\nrank = 3\n')
    text = CliRunner().invoke(app, ["config", "show", "--config", "a.toml"]).stdout
    assert '[run]\nsplit = "S"  # a.toml [run] split\ndata = "data"  # default\n' in text
    assert "rank = 3  # a.toml [train] rank\n" in text
    assert "[generate]\nout = (none)  # default\n" in text
    assert invoke("config", "show", "run", "--gama", "1")[0] == 2
    assert "error: jstyleid run: No such option: --gama" in invoke(
        "config", "show", "run", "--gama", "1")[1]
    Path("a.toml").write_text("[run]\nranks = 3")
    code, stderr = invoke("config", "show", "--config", "a.toml")
    assert (code, "a.toml [run] ranks: no option" in stderr) == (2, True)
