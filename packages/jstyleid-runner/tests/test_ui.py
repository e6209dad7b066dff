"""The page's parts without a browser: queue, forms, model, jobs, runs, scores, the command."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from jstyleid_core import StyleIDSettings
from jstyleid_core.errors import InputError
from jstyleid_runner.cli import app
from jstyleid_runner.options.common import ModelOptions
from jstyleid_runner.options.styleid import StyleIDOptions
from jstyleid_runner.planning.provenance import read_facts
from jstyleid_runner.scheduling.ledger import Ledger, read_entries
from jstyleid_runner.scheduling.task import Stage, State, Task
from jstyleid_runner.storage.layout import OutFolder
from jstyleid_runner.ui.forms import Form
from jstyleid_runner.ui.generate import GeneratePage
from jstyleid_runner.ui.jobs import Job, JobDisplay, JobQueue, Work
from jstyleid_runner.ui.results import Results
from jstyleid_runner.ui.runs import RunsPage
from jstyleid_runner.ui.score import ScorePage
from jstyleid_runner.ui.session import ModelSession
from jstyleid_runner.ui.transfer import TransferPage
from painting_model import FakeStableDiffusion, paint

Invoke = Callable[..., tuple[int, str]]
OLD_RESULT = Path(__file__).parents[2] / "jdiff-checker" / "tests" / "old_result.json"


@pytest.fixture
def queue() -> JobQueue:
    return JobQueue()


@contextmanager
def at_work(queue: JobQueue) -> Iterator[None]:
    """The queue's jobs are done in a thread; at the end of the block all of them are."""
    thread = threading.Thread(target=queue.work)
    thread.start()
    try:
        yield
    finally:
        last = queue.submit("last", "", lambda: lambda display: None)
        wait_until(lambda: last.state == "done")
        queue.close()
        thread.join(600)
        assert not thread.is_alive()


def do_all(queue: JobQueue) -> None:
    """Do all jobs in this thread, as the command does: Jittor is to be started in the main one."""
    queue.submit("last", "", lambda: lambda display: queue.close())
    queue.work()


def wait_until(true: Callable[[], bool]) -> None:
    for _ in range(60_000):
        if true():
            return
        threading.Event().wait(0.01)
    raise AssertionError("it never came true")


def steps(number: int, gate: threading.Event | None = None) -> Work:
    def work(display: JobDisplay) -> None:
        display.begin(1, 0, number)
        display.stage("inverting", number, number)
        for _ in range(number):
            if gate:
                gate.wait(600)
            display.step()
        display.finished(Path("made.png"))

    return work


def test_jobs_are_done_one_at_a_time_in_order(queue: JobQueue) -> None:
    running: list[int] = []
    order: list[int] = []

    def work_of(number: int) -> Work:
        def work(display: JobDisplay) -> None:
            running.append(number)
            assert running == [number]
            order.append(number)
            running.remove(number)

        return work

    jobs = [queue.submit("transfer", "t", lambda n=n: work_of(n)) for n in range(5)]
    assert [job.state for job in jobs] == ["waiting"] * 5
    do_all(queue)
    assert order == [0, 1, 2, 3, 4]
    assert {job.state for job in jobs} == {"done"}
    assert queue.jobs("transfer") == jobs[::-1]
    assert queue.jobs("generate") == []


def test_cancelling_stops_between_steps_and_a_waiting_job_never_begins(queue: JobQueue) -> None:
    gate = threading.Event()
    first = queue.submit("transfer", "a", lambda: steps(100, gate))
    second = queue.submit("transfer", "b", lambda: steps(1))
    third = queue.submit("transfer", "c", lambda: steps(1))
    with at_work(queue):
        wait_until(lambda: first.stage == (0, 100))
        queue.cancel([first.number, second.number])
        assert (first.state, second.state) == ("running", "cancelled")
        gate.set()
    assert (first.state, first.stage, first.results) == ("cancelled", (1, 100), [])
    assert second.results == []
    assert (third.state, third.results) == ("done", [Path("made.png")])
    queue.cancel([third.number])
    assert third.state == "done"


def test_a_failure_is_one_message_and_the_next_job_goes_on(queue: JobQueue) -> None:
    def refuse() -> Work:
        raise InputError("a.png: not a picture. Give one.")

    def crash(display: JobDisplay) -> None:
        raise ValueError("\x1b[31mred")

    at_once = queue.submit("transfer", "a", refuse)
    assert (at_once.state, at_once.message) == ("failed", "error: a.png: not a picture. Give one.")
    later = queue.submit("transfer", "b", lambda: lambda display: refuse())
    fault = queue.submit("transfer", "c", lambda: crash)
    good = queue.submit("transfer", "d", lambda: steps(2))
    do_all(queue)
    assert (later.state, later.message) == (at_once.state, at_once.message)
    assert fault.state == "failed"
    assert "\x1b" not in fault.message
    report = Path(fault.message.rpartition(" ")[2])
    assert "red" in report.read_text()
    report.unlink()
    assert good.state == "done"
    assert good.meter.evaluated == 2


def test_closing_ends_the_work(queue: JobQueue) -> None:
    job = queue.submit("transfer", "a", lambda: steps(1))
    queue.close()
    queue.work()
    assert job.state == "cancelled"


@pytest.fixture
def context() -> typer.Context:
    """The context of the program."""
    command = typer.main.get_command(app)
    return command.make_context("jstyleid", ["ui"])  # type: ignore[return-value]


@pytest.fixture
def painted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Models that paint, and pictures in the working directory."""
    paint(monkeypatch)
    monkeypatch.setenv("JSTYLEID_MODEL", "embedded")
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (200, 100), (0, 0, 0)).save("content.png")
    Image.new("RGB", (64, 64), (200, 0, 0)).save("red.png")
    Image.new("RGB", (64, 64), (0, 200, 0)).save("green.png")
    Path("broken.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")


class Loads:
    """Loads models that paint, and remembers which."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def __call__(self, source: Any, *_: object) -> FakeStableDiffusion:
        self.names.append(source.name)
        return FakeStableDiffusion()


@pytest.fixture
def loads() -> Loads:
    return Loads()


@pytest.fixture
def session(loads: Loads) -> ModelSession:
    return ModelSession(ModelOptions(), 0, load=loads)


@pytest.fixture
def transfer(
    painted: None, context: typer.Context, queue: JobQueue, session: ModelSession
) -> Callable[..., Job]:
    """Submit a transfer with some values of the form that are not the defaults."""
    import gradio as gr

    tab = TransferPage(context, queue, session, Results(Path("out")))
    with gr.Blocks() as page:
        tab.build(page, gr.Textbox())
    names = [component.elem_id for component in tab.form.components]

    def submit(
        content: str | None = "content.png", styles: list[str] | None = None,
        mask: str | None = None, model: str = "", **changed: Any,
    ) -> Job:
        values = [component.value for component in tab.form.components]
        for name, value in {"size": "64", "steps": 4, **changed}.items():
            values[names.index(f"transfer-{name}")] = value
        return tab.submit(model, content, styles or ["red.png"], mask, *values)

    return submit


def settings_in(path: Path) -> dict[str, Any]:
    """The facts of a picture but for where its inputs are."""
    return {key: value for key, value in read_facts(path).items() if key != "inputs"}


def test_a_picture_is_the_one_of_the_command_line(
    transfer: Callable[..., Job], queue: JobQueue, invoke: Invoke
) -> None:
    job = transfer(styles=["red.png", "green.png"], gamma=0.5, rule="joint", seed=3,
                   **{"gamma-parts": "10-11:0.9\nsteps 0-1:1"}, start_latents="frequency")
    do_all(queue)
    assert job.state == "done", job.message
    code, error = invoke("transfer", "content.png", "red.png", "green.png", "-o", "command/",
                         "--size", "64", "--steps", "4", "--gamma", "0.5", "--rule", "joint",
                         "--gamma", "10-11:0.9", "--gamma", "steps 0-1:1", "--seed", "3",
                         "--start-latents", "frequency")
    assert code == 0, error
    for name in ("red.png", "green.png", "contact-sheet.png"):
        made, wanted = Path("out/0001-transfer") / name, Path("command") / name
        assert made.exists()
        with Image.open(made) as one, Image.open(wanted) as other:
            assert one.tobytes() == other.tobytes()
    for path in job.results:
        assert settings_in(path) == settings_in(Path("command") / path.name)
        # Made again from what the page has kept: the same file.
        before = path.read_bytes()
        code, error = invoke("again", str(path), "-o", "again.png")
        assert code == 0, error
        assert Path("again.png").read_bytes() == before


def test_messages_are_those_of_the_command_line(
    transfer: Callable[..., Job], queue: JobQueue, invoke: Invoke
) -> None:
    words = ("transfer", "content.png", "red.png", "-o", "x.png", "--size", "64")
    for changed, more in (
        ({"layers": "2-40"}, ("--layers", "2-40")),
        ({"size": "huge"}, ("--size", "huge")),
        ({"steps": 5000}, ("--steps", "5000")),
        ({"gate": 3.0}, ("--gate", "3")),
        ({"inversion": "magic"}, ("--inversion", "magic")),
        ({"gamma-parts": "7-8:3"}, ("--gamma", "7-8:3")),
    ):
        job = transfer(**changed)
        code, error = invoke(*words, *more)
        assert code == 2
        assert (job.state, " ".join(job.message.split())) == ("failed", error)
    assert transfer(content=None).message == (
        "error: no content picture is given. Drop a file into its field.")
    broken = transfer(content="broken.png")
    assert broken.message.startswith("error: broken.png: not a picture but")
    assert list(Path("out").iterdir()) == []  # nothing is left of jobs that never began


def test_the_model_stays_until_another_one_is_asked_for(
    transfer: Callable[..., Job], queue: JobQueue, loads: Loads, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    for model in ("", "embedded", "", str(tmp_path / "other"), str(tmp_path / "other"), ""):
        transfer(model=model)
    do_all(queue)
    assert loads.names == ["embedded", "other", "embedded"]
    assert [job.state for job in queue.jobs("transfer")] == ["done"] * 6


def test_results_are_found_again(transfer: Callable[..., Job], queue: JobQueue) -> None:
    transfer()
    transfer(styles=["green.png"])
    do_all(queue)
    found = [str(path) for path in Results(Path("out")).pictures("transfer")]
    assert found == ["out/0002-transfer/content-green.png", "out/0001-transfer/content-red.png"]


def test_generating(
    painted: None, context: typer.Context, queue: JobQueue, session: ModelSession, invoke: Invoke
) -> None:
    import gradio as gr

    tab = GeneratePage(context, queue, session, Results(Path("out")))
    with gr.Blocks() as page:
        tab.build(page, gr.Textbox())
    values = {component.elem_id: component.value for component in tab.form.components}
    values |= {"generate-size": "64", "generate-seed": 7, "generate-steps": 3}
    job = tab.submit("", "a lighthouse", None, 1.0, *values.values())
    empty = tab.submit("", " ", None, 1.0, *values.values())
    wrong = tab.submit("", "a", "red.png", 1.0, *values.values())
    values["generate-steps"] = 0
    none = tab.submit("", "a", None, 1.0, *values.values())
    do_all(queue)
    assert job.state == "done", job.message
    code, error = invoke("generate", "a lighthouse", "-o", "command.png", "--size", "64",
                         "--seed", "7", "--steps", "3")
    assert code == 0, error
    assert job.results[0].read_bytes() == Path("command.png").read_bytes()
    assert empty.message == "error: nothing to draw. Give a prompt."
    assert "red.png" in wrong.message
    assert "--steps" in none.message
    assert (empty.state, wrong.state, none.state) == ("failed",) * 3


def test_every_option_of_styleid_has_a_field(
    context: typer.Context, queue: JobQueue, session: ModelSession, tmp_path: Path
) -> None:
    import gradio as gr

    tab = TransferPage(context, queue, session, Results(tmp_path))
    with gr.Blocks() as page:
        tab.build(page, gr.Textbox())
    shown = {component.elem_id for component in tab.form.components}
    assert {f"transfer-{field.name}" for field in fields(StyleIDOptions)} <= shown


def test_a_form_says_what_the_command_line_says(context: typer.Context) -> None:
    import gradio as gr

    from jstyleid_runner.options.config_file import command_named

    command = command_named(context, "transfer")
    with gr.Blocks():
        form = Form(command, StyleIDSettings)
        form.add("gamma", "steps", "rule", "injection", "gate", "style_factor", "size")
        form.add_parts("gamma")
    gamma, steps_, rule, injection, gate, _factor, size, parts = form.components
    defaults = [component.value for component in form.components]
    assert form.words(defaults) == []
    assert (gamma.minimum, gamma.maximum, gamma.value) == (0, 1, 0.75)
    assert [choice for choice, _ in rule.choices] == ["styleid", "joint", "gated"]
    helps = {parameter.name: parameter.help for parameter in command.params}
    assert steps_.info == f"{helps['steps']} 1 to 1000."
    assert (rule.info, size.info) == (helps["rule"], helps["size"])
    assert (injection.value, gate.value, parts.value) == (True, None, "")
    assert form.words([0.5, 7, "joint", False, 3.0, 1.2000000000000002, "64x32", "7:1\n 8:0 \n"]
                      ) == ["--gamma=0.5", "--steps=7", "--rule=joint", "--no-injection",
                            "--gate=3", "--size=64x32", "--gamma=7:1", "--gamma=8:0"]
    assert form.preset("strong") == [0.3, *defaults[1:]]
    assert form.preset("paper")[1] == 50


@pytest.fixture
def run(tmp_path: Path) -> OutFolder:
    """A run with a job done, one waiting and one set aside."""
    folder = OutFolder(tmp_path / "runs" / "first")
    folder.prepare()
    with Ledger(folder.ledger) as ledger:
        ledger.plan([Task(name, "00", Stage.DRAW, (), 1) for name in "abc"])
        ledger.began("a", "cpu0")
        ledger.finished("a", None, 1.0)
        ledger.began("b", "cpu0")
        ledger.failed("b", "RuntimeError: <b>no</b>", State.QUARANTINED, 1.0)
    return folder


def test_a_run_is_read_and_not_changed(run: OutFolder, tmp_path: Path) -> None:
    def state() -> list[tuple[str, int]]:
        return [(str(path), path.stat().st_mtime_ns) for path in sorted(tmp_path.rglob("*"))]

    tab, before = RunsPage(tmp_path / "runs"), state()
    assert tab.runs() == ["first"]
    shown = tab.status("first")
    assert "1 of 3 jobs done; no run is at work" in shown
    assert "RuntimeError: &lt;b&gt;no&lt;/b&gt;" in shown
    assert 'sandbox="allow-scripts"' in tab.timeline("first")
    assert "gallery.html: not there yet" in tab.gallery("first")
    for other in ("../outside", "/etc", "first/../..", "second"):
        assert "no folder of a run below" in tab.status(other)
        assert "no folder of a run below" in tab.retry(other)
    assert state() == before
    run.gallery.write_text('<title>"Run"</title>')
    assert "srcdoc=\"&lt;title&gt;&#34;Run&#34;" in tab.gallery("first")


def test_retry_is_that_of_the_command(run: OutFolder, tmp_path: Path) -> None:
    tab = RunsPage(tmp_path / "runs")
    assert "to be tried again: 1" in tab.retry("first")
    assert read_entries(run.ledger)[1].state is State.WAITING
    assert "no job was set aside" in tab.retry("first")
    run.ledger.write_bytes(b"no ledger" * 100)
    assert "error: " in tab.status("first")


def test_scores(tmp_path: Path) -> None:
    tab = ScorePage()
    shown = tab.show(str(OLD_RESULT))
    assert "-0.0141" in shown
    assert "the final score needs all six metrics" in shown
    for text, message in (("{", "not readable as JSON"), ("[]", "not a result of jdiff-check"),
                          ('{"scoring": "<b>"}', "not a result of jdiff-check: upload")):
        (tmp_path / "result.json").write_text(text)
        told = tab.show(str(tmp_path / "result.json"))
        assert message in told
        assert "<b>" not in told


def test_without_the_extra(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    from jstyleid_runner.commands import ui

    monkeypatch.setattr(ui, "find_spec", lambda name: None)
    code, error = invoke("ui")
    assert code == 2
    assert error == ("error: jstyleid ui: the package gradio is not installed. Install it: pip "
                     "install 'jstyleid-runner[ui]'")


def test_an_open_address_needs_a_password(invoke: Invoke, tmp_path: Path) -> None:
    for host in ("0.0.0.0", "::", "192.0.2.1", "example.org"):
        code, error = invoke("ui", "--host", host)
        assert code == 2
        assert "Give a --password, too." in error
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, error = invoke("ui", "--port", str(port), "--model", "embedded")
    assert code == 2
    assert f"--host 127.0.0.1 --port {port}: Address already in use." in error


def test_help_needs_no_gradio(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "gradio", None)
    result = CliRunner().invoke(app, ["ui", "--help"])
    assert result.exit_code == 0
    assert "share" not in result.output
