"""Command lines that cannot work: one message, exit code 2, and Jittor is not even started."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest
from PIL import Image
from typer.testing import CliRunner

from jstyleid_core import StyleIDSettings, runtime
from jstyleid_core.errors import JStyleIDError
from jstyleid_core.styleid.layers import parse_layers
from jstyleid_core.styleid.settings import Rule, StartLatents
from jstyleid_runner import __version__
from jstyleid_runner.cli import app
from jstyleid_runner.commands.run import run
from jstyleid_runner.commands.transfer import transfer
from jstyleid_runner.options.styleid import RuleName, StartLatentsName
from jstyleid_runner.storage.layout import OutFolder
from jstyleid_runner.storage.lock import folder_lock
from jstyleid_runner.workflows import model as core_model

Invoke = Callable[..., tuple[int, str]]


pytestmark = pytest.mark.usefixtures("no_jittor")


@pytest.mark.parametrize("arguments", [
    "transfer content.png style.png --out o.png", "generate Ring --out o.png",
])
def test_a_size_the_model_cannot_draw(arguments: str, invoke: Invoke, pictures: None) -> None:
    assert invoke(*arguments.split(), "--model", "embedded", "--size", "100x64") == (
        2, "error: size 100x64: width and height must be multiples of 64 for this checkpoint. Use "
           "64x64 or 128x64.")
    assert not Path("o.png").exists()


@pytest.fixture
def pictures(tmp_path: Path) -> None:
    """A content and two styles in `tmp_path`."""
    for name in ("content.png", "style.png", "other.png"):
        Image.new("RGB", (80, 60), "teal").save(tmp_path / name)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("run", "Missing option '--split'"),
        ("run --split X", "--split X: no folder data/X. There are S."),
        ("run --split S --data nowhere", "--data nowhere: no such folder"),
        ("run --split S --styles 7", "data/S: no style 7. There are 00, 04."),
        ("run --split S --styles ,", "--styles ,: names no style"),
        ("run --split S --prompts 0", "'--prompts'"),
        ("run --split S --batch 0", "'--batch'"),
        ("run --split S --steps many", "'--steps'"),
        ("run --split S --reference x.png", "--reference x.png: style 00 has no such image"),
        ("run --split S --method nonsense", "'nonsense' is not one of 'dreambooth'"),
        ("run --split S --size 0", "--size 0: not a size"),
        ("run --split S --size 512*512", "--size 512*512: not a size"),
        ("run --split S --gamma 1.5", "gamma"),
        ("run --split S --gamma nan", "gamma"),
        ("run --split S --temperature 0", "temperature"),
        ("run --split S --steps 0", "steps"),
        ("run --split S --layers 2-4", "layers"),
        ("run --split S --layers 7-12", "layers"),
        ("run --split S --layers x", "layers"),
        ("run --split S --seed -1", "--seed -1"),
        ("run --split S --content-steps 0", "--content-steps 0"),
        ("run --split S --guidance -1", "--guidance -1"),
        ("run --split S --gpus -1", "'--gpus'"),
        ("run --split S --gpus 4", "--gpus 4: this machine has 2 (Card A, Card B). Give at most 2"),
        ("run --split S --gpus 2 --workers 2", "--workers 2: is for the CPU; a GPU has one worker"),
        ("run --split S --gpus 1 --device cpu", "--gpus 1 and --device cpu contradict each other"),
        (
            "run --split S --gpus 0 --device cuda",
            "--gpus 0 and --device cuda contradict each other",
        ),
        ("run --split S --device tpu", "'tpu' is not one of 'auto', 'cpu', 'cuda'"),
        ("run --split S --out content.png", "--out content.png/.jstyleid: cannot write there"),
        ("transfer content.png", "Missing argument 'STYLE'"),
        ("transfer content.png style.png", "Missing option '--out'"),
        ("transfer none.png style.png -o o.png", "none.png: no such picture"),
        ("transfer content.png none.png -o o.png", "none.png: no such picture"),
        ("transfer cut.png style.png -o o.png", "cut.png: the picture is damaged or truncated"),
        ("transfer text.png style.png -o o.png", "text.png: not a picture"),
        ("transfer content.png style.png -o o.jpg", "--out o.jpg: pictures are written as PNG"),
        ("transfer content.png style.png -o text.png/o.png", "--out text.png: cannot write there"),
        ("transfer content.png style.png other.png -o o.png", "several styles need a folder"),
        (
            "transfer content.png style.png other.png -o o --save-style s.safetensors",
            "--save-style s.safetensors: holds one style",
        ),
        ("transfer content.png style.png -o o.png --save-style s.bin", "must be a .safetensors"),
        (
            "transfer content.png style.png -o o.png --load-style s.safetensors",
            "--load-style s.safetensors: no such file",
        ),
        ("transfer content.png style.png -o o.png --gamma -0.1", "gamma"),
        ("generate", "Missing option '--out'"),
        ("generate Ring", "Missing option '--out'"),
        ("generate Ring -o o.jpg", "--out o.jpg: pictures are written as PNG"),
        ("generate a/b -o folder", "'a/b' cannot be a file name in it"),
        ("generate Ring -o o.png --size 1x", "--size 1x: not a size"),
        ("generate Ring -o o.png --steps 0", "'--steps'"),
        ("nonsense", "No such command 'nonsense'"),
        ("generte", "Did you mean 'generate'?"),
    ],
)
def test_bad_input(
    data: Path,
    pictures: None,
    tmp_path: Path,
    invoke: Invoke,
    monkeypatch: pytest.MonkeyPatch,
    arguments: str,
    message: str,
) -> None:
    cards = [runtime.GPU(f"Card {name}", 1, 2, 0, f"GPU-{name}") for name in "AB"]
    monkeypatch.setattr(runtime, "visible_gpus", lambda: cards)
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "cut.png").write_bytes((tmp_path / "content.png").read_bytes()[:60])
    code, stderr = invoke(*arguments.split())
    assert message in stderr
    assert code == 2
    assert "Traceback" not in stderr
    assert not list(tmp_path.rglob("*.part*"))


@pytest.mark.parametrize(
    ("option", "instead"), [("--gpus 1", "--gpus 0"), ("--device cuda", "--device cpu")]
)
def test_no_card_at_all(
    data: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch, option: str, instead: str
) -> None:
    monkeypatch.setattr(runtime, "visible_gpus", list)
    code, stderr = invoke("run", "--split", "S", *option.split())
    assert (code, stderr) == (
        2,
        f"error: {option}: this machine has no GPU that can be used. Leave the option out, or give "
        f"{instead}.",
    )


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_one_may_not_write_to(data: Path, tmp_path: Path, invoke: Invoke) -> None:
    (tmp_path / "out").mkdir(mode=0o500)
    code, stderr = invoke("run", "--split", "S")
    assert code == 2
    assert "cannot write there: Permission denied" in stderr


def test_version_and_help(invoke: Invoke) -> None:
    assert CliRunner().invoke(app, ["--version"]).stdout == f"jstyleid {__version__}\n"
    for command in ("run", "train", "transfer", "generate", "doctor"):
        assert command in CliRunner().invoke(app, ["--help"]).stdout
        assert CliRunner().invoke(app, [command, "--help"]).exit_code == 0


def test_help_imports_nothing_heavy() -> None:
    heavy = {"jinja2", "jittor", "numpy", "PIL", "pydantic", "ray", "safetensors", "sqlite3"}
    code = (
        "import sys, jstyleid_runner.cli; "
        f"sys.exit(', '.join({heavy} & set(sys.modules)) or 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_python_m_is_the_command() -> None:
    command = [sys.executable, "-m", "jstyleid_runner", "--version"]
    assert subprocess.run(command, check=True, capture_output=True).stdout.startswith(b"jstyleid ")


@pytest.mark.parametrize("command", [run, transfer])
def test_defaults_are_those_of_the_method(command: Callable[..., None]) -> None:
    from inspect import signature

    options = signature(command).parameters
    defaults = StyleIDSettings()
    for name in ("steps", "injection", "rule", "start_latents", "inversion", "colour_match"):
        assert options[name].default == getattr(defaults, name)
    assert parse_layers(options["layers"].default) == defaults.layers
    for name in ("gamma", "temperature", "style_factor", "gate", "moments"):
        help = get_args(options[name].annotation)[1].help
        assert help.endswith(f"Default: {getattr(defaults, name):g}.")


def test_choices_are_those_of_the_method() -> None:
    assert get_args(RuleName) == get_args(Rule)
    assert get_args(StartLatentsName) == get_args(StartLatents)


def test_an_unforeseen_error_leaves_its_traceback_in_a_file(
    invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pictures: None
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    # `start` is replaced by one that raises an AssertionError.
    code, stderr = invoke("transfer", "content.png", "style.png", "-o", "o.png")
    assert code == 1
    assert stderr.startswith("error: unexpected AssertionError: Jittor was started")
    report = Path(stderr.split()[-1])
    assert "Traceback" in report.read_text()
    assert report.parent == tmp_path


def test_a_crash_of_a_run_is_in_its_folder(
    data: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: object) -> None:
        raise AssertionError("nobody foresaw this")

    monkeypatch.setattr(core_model.ModelSource, "fingerprint", crash)
    code, stderr = invoke("run", "--split", "S")
    assert code == 1
    assert stderr.endswith("out/.jstyleid/fault.log")
    assert "AssertionError: nobody foresaw this" in Path("out/.jstyleid/fault.log").read_text()


def test_two_runs_in_one_folder(data: Path, tmp_path: Path, invoke: Invoke) -> None:
    (tmp_path / "out" / ".jstyleid").mkdir(parents=True)
    with folder_lock(OutFolder(tmp_path / "out")):
        code, stderr = invoke("run", "--split", "S")
    assert code == 2
    assert f"--out out: another run, process {os.getpid()}, is at work there" in stderr


def test_setup_errors_end_with_1_and_leave_no_report(
    invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise JStyleIDError("no compiler. Install g++.")

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(runtime, "start", fail)
    assert invoke("generate", "Ring", "-o", "o.png") == (1, "error: no compiler. Install g++.")
    assert not list(tmp_path.glob("jstyleid-*.log"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("run --split S", "stopped; 0 of 6 done; run the same command to continue"),
        ("generate Ring -o o.png", "stopped"),
    ],
)
def test_ctrl_c(
    data: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch, arguments: str, message: str
) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(runtime, "start", stop)
    monkeypatch.setattr(core_model.ModelSource, "fingerprint", stop)
    assert invoke(*arguments.split()) == (130, message)


@pytest.mark.parametrize("good", [True, False])
def test_doctor(invoke: Invoke, monkeypatch: pytest.MonkeyPatch, good: bool) -> None:
    from jstyleid_core import doctor

    checks = [
        doctor.Check("compiler", True, "g++ [12]", None, {}),
        doctor.Check("oneDNN", good, "not found", None if good else "pip install it", {"a": 1}),
    ]
    monkeypatch.setattr(doctor, "run_checks", lambda *_: checks)
    table = CliRunner().invoke(app, ["doctor"])
    assert table.exit_code == (0 if good else 1)
    assert "g++ [12]" in table.stdout
    assert ("fix: pip install it" in table.stdout) == (not good)
    listed = CliRunner().invoke(app, ["doctor", "--json"])
    assert listed.exit_code == table.exit_code
    found = json.loads(listed.stdout)
    assert found["ok"] is good
    assert found["checks"][1] == {
        "name": "oneDNN",
        "ok": good,
        "value": "not found",
        "fix": checks[1].fix,
        "details": {"a": 1},
    }
