"""Input that is meant to cost time or memory, terminals that cannot show a letter, full disks."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from jstyleid_core.errors import InputError, OutputError
from jstyleid_core.runtime.processors import processors
from jstyleid_core.styleid.layers import parse_layers
from jstyleid_runner.errors import CrashError, crashes_reported_in

Invoke = Callable[..., tuple[int, str]]


def jstyleid(
    *words: str, shell: str = "", **environment: str
) -> subprocess.CompletedProcess[str]:
    """The program in a process of its own; `shell` is what follows the words in a shell."""
    line = [sys.executable, "-m", "jstyleid_runner", *words]
    if shell:
        line = ["sh", "-c", f'"$@" {shell}', "sh", *line]
    return subprocess.run(line, capture_output=True, check=False, timeout=600,
                          env=os.environ | environment, encoding="utf-8", errors="replace")


@pytest.mark.parametrize("text", ["0-99999999999", "7-99999999999999", "-1", "7,1000000000000"])
def test_layers_beyond_the_network_cost_nothing(text: str) -> None:
    with pytest.raises(InputError, match="layers"):
        parse_layers(text)


@pytest.mark.parametrize(("words", "said"), [
    (["--workers", "1000000000"], "--workers"), (["--gpus", "1000000000"], "--gpus"),
    (["--batch", "1000000000"], "--batch"), (["--steps", "1001"], "steps = 1001"),
    (["--temperature", "inf"], "temperature = inf"), (["--gamma", "nan"], "gamma = nan"),
    (["--size", "65536"], "--size 65536: at most 4096 pixels a side"),
    (["--rank", "1000000"], "--rank 1000000"), (["--train-steps", "9" * 12], "--train-steps"),
    (["--train-batch", "1000000"], "--train-batch"), (["--crops", "99999999"], "--crops"),
    (["--temperature", "1e308"], "temperature = 1e+308"), (["--steps", "9" * 5000], "--steps"),
])
def test_numbers_beyond_sense(words: list[str], said: str, data: Path, invoke: Invoke) -> None:
    code, stderr = invoke("plan", "--split", "S", *words)
    assert code == 2
    assert said in stderr


def test_more_workers_than_processors(data: Path, invoke: Invoke) -> None:
    there = processors()
    code, stderr = invoke("run", "--split", "S", "--device", "cpu", "--method", "styleid",
                          "--workers", str(there + 1))
    assert code == 2
    assert f"this machine has {there} processors for them" in stderr


@pytest.mark.parametrize("content", ["x = " + "[" * 20_000, "[run]\nsteps = " + "9" * 5000])
def test_a_configuration_of_many_brackets_or_digits(
    content: str, data: Path, tmp_path: Path, invoke: Invoke
) -> None:
    (tmp_path / "run.toml").write_text(content)
    code, stderr = invoke("plan", "--split", "S", "--config", "run.toml")
    assert code == 2
    assert "--config run.toml: broken TOML" in stderr


@pytest.mark.parametrize("words", [
    ["run", "--split", "S", "--out", ""], ["run", "--split", "S", "--out="],
    ["run", "--split", "S", "--data", ""], ["train", "--split", "S", "--out", ""],
    ["generate", "x", "--out", ""], ["generate", "x", "-o", ""], ["demo", "--out", ""],
    ["transfer", "a.png", "b.png", "--out", ""], ["status", ""], ["retry", ""], ["clean", ""],
])
@pytest.mark.usefixtures("no_jittor")
def test_an_empty_path(words: list[str], data: Path, tmp_path: Path, invoke: Invoke) -> None:
    before = sorted(tmp_path.rglob("*"))
    code, stderr = invoke(*words)
    assert code == 2
    assert "it is empty. Give a path; . is the working directory." in stderr
    assert sorted(tmp_path.rglob("*")) == before


def test_an_empty_path_in_a_configuration(data: Path, tmp_path: Path, invoke: Invoke) -> None:
    (tmp_path / "run.toml").write_text('[run]\nout = ""')
    code, stderr = invoke("plan", "--split", "S", "--config", "run.toml")
    assert code == 2
    assert "it is empty. Give a path; . is the working directory" in stderr


def test_a_record_of_many_brackets(data: Path, tmp_path: Path, invoke: Invoke) -> None:
    record = tmp_path / "out" / ".jstyleid" / "run.json"
    record.parent.mkdir(parents=True)
    record.write_text("[" * 100_000)
    code, stderr = invoke("plan", "--split", "S")
    assert code == 2
    assert "run.json: not a record this version can read" in stderr


def test_a_pipe_holds_no_command(data: Path, tmp_path: Path, invoke: Invoke) -> None:
    os.mkfifo(tmp_path / "pipe")
    for words in (["plan", "--split", "S", "--config", "pipe"],
                  ["transfer", "pipe", "pipe", "--out", "x.png", "--model", "embedded"]):
        code, stderr = invoke(*words)
        assert code == 2
        assert "pipe: cannot be read: it is no ordinary file" in stderr


def test_a_terminal_that_shows_ascii_only() -> None:
    ascii_only = {"PYTHONUTF8": "0", "LC_ALL": "C", "PYTHONIOENCODING": "ascii"}
    ran = jstyleid("run", "--help", **ascii_only)
    assert ran.returncode == 0, ran.stderr
    assert "--gamma" in ran.stdout
    ran = jstyleid("plan", "--split", "Näh", **ascii_only)
    assert ran.returncode == 2
    assert "Traceback" not in ran.stderr


# The last two print less than what Python holds back until the end.
@pytest.mark.parametrize("words", [["run", "--help"], ["config", "show", "run"],
                                   ["config", "show", "generate"], ["--version"]])
def test_a_full_standard_output(words: list[str]) -> None:
    ran = jstyleid(*words, shell="> /dev/full")
    assert ran.returncode == 1
    assert ran.stderr.strip() == "error: cannot write the output: No space left on device"


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", ">&- 2>&- <&-"])
def test_closed_streams(closed: str, tmp_path: Path) -> None:
    program = ("import os, sys\nfrom jstyleid_runner import cli, __main__\n"
               "def app():\n"
               "    print('out'); print('err', file=sys.stderr); os.system('echo native >&2')\n"
               "    with open(sys.argv[1], 'w') as file: file.write(str(file.fileno() > 2))\n"
               "cli.app = app\n__main__.main()")
    line = [sys.executable, "-c", program, str(tmp_path / "file")]
    ran = subprocess.run(["sh", "-c", f'"$@" {closed}', "sh", *line], check=False,
                         capture_output=True, text=True, timeout=600)
    assert ran.returncode == 0, ran.stderr
    assert (tmp_path / "file").read_text() == "True"


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_disk_that_is_full_is_no_fault_of_the_program(code: int, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot write jittor.log: .* Free some space"), \
            crashes_reported_in(tmp_path / "report.log"):
        raise OSError(code, os.strerror(code), "jittor.log")
    assert not (tmp_path / "report.log").exists()


def test_a_report_that_cannot_be_written() -> None:
    with pytest.raises(CrashError, match=r"unexpected KeyError: 'x'(.|\n)* cannot be written"), \
            crashes_reported_in(Path("/dev/full")):
        raise KeyError("x")


def test_a_home_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "home").touch()
    environment = {"HOME": str(tmp_path / "home"), "JITTOR_HOME": ""}
    ran = jstyleid("doctor", "--device", "cpu", **environment)
    assert ran.returncode == 1
    assert "Set JITTOR_HOME to one that is" in " ".join(
        ran.stdout.replace("│", " ").split()), ran.stdout + ran.stderr


_STOPPED_SLOWLY = """
import multiprocessing, sys, time
from jstyleid_runner import __main__, cli
from jstyleid_runner.errors import guarded

@guarded
def work():
    multiprocessing.get_context("fork").Process(target=_child).start()
    print("ready", flush=True)
    try:
        time.sleep(60)
    finally:
        time.sleep(0.3)

def _child():
    import signal
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    time.sleep(2)

def app():
    import typer
    try:
        work()
    except typer.Exit as end:
        sys.exit(end.exit_code)

cli.app = app
__main__.main()
"""


@pytest.mark.parametrize("pause", [0.05, 0.2, 0.5])
def test_ctrl_c_again_and_again(pause: float) -> None:
    process = subprocess.Popen([sys.executable, "-c", _STOPPED_SLOWLY], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True,
                               preexec_fn=lambda: signal.signal(signal.SIGINT,
                                                                signal.default_int_handler))
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    for _ in range(4):
        process.send_signal(signal.SIGINT)
        time.sleep(pause)
    _, said = process.communicate(timeout=600)
    assert process.returncode == 130, said
    assert "Traceback" not in said


@pytest.mark.parametrize("after", [0.15, 0.3, 0.5, 0.7])
def test_ctrl_c_while_the_program_starts(after: float) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", "from jstyleid_runner.__main__ import main\nprint(flush=True)\n"
                               "import sys\nsys.argv = ['jstyleid', 'run', '--help']\nmain()"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler))
    assert process.stdout is not None
    assert process.stdout.readline() == "\n"
    time.sleep(after)
    for _ in range(3):
        process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=600)
    assert process.returncode in (0, 130), said  # 0 where it was quicker
    assert "Traceback" not in said
