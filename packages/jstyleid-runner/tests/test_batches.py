"""Pictures that are computed together: a run that was stopped keeps every picture's group."""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from jstyleid_runner.reports.progress import LineDisplay
from jstyleid_runner.scheduling.estimates import CostModel, SimulatedExecutor
from jstyleid_runner.scheduling.ledger import Ledger, Output
from jstyleid_runner.scheduling.scheduler import Scheduler
from jstyleid_runner.scheduling.state import SchedulerState
from jstyleid_runner.scheduling.task import Stage, Task
from jstyleid_runner.workflows.execution import RunRequest
from jstyleid_runner.workflows.run import run_split
from jstyleid_runner.workflows.session import RunCounts

MakeRequest = Callable[..., RunRequest]

CONTENT, STEPS = 3, 4
"""Steps of `make_request`."""


@pytest.fixture
def model(fake_model: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """A model whose pictures depend on what they are computed with, as in last bits real ones do.

    `most` at a time fit into its memory; more fail.
    """

    def make(most: int = 99) -> Any:
        made = fake_model()
        made.together = []
        executor = made.executor

        def opened(*told: Any) -> Any:
            found = executor(*told)
            make_worker = found._make_worker

            def open_and_watch() -> Any:
                worker = make_worker()
                _watch(worker.engine, most, made.together)
                return worker

            found._make_worker = open_and_watch
            return found

        made.executor = opened
        return made

    return make


def _watch(engine: Any, most: int, together: list[tuple[str, int]]) -> None:
    def watched(name: str) -> Callable[..., list[Image.Image]]:
        whole = getattr(engine, name)

        def call(items: Sequence[Any], *rest: Any) -> list[Image.Image]:
            if len(items) > most:
                raise MemoryError("out of memory")
            together.append((name, len(items)))
            pictures: list[Image.Image] = whole(items, *rest)
            for picture in pictures:
                picture.putpixel((0, 0), (len(items), 0, 0))
            return pictures

        return call

    engine.generate, engine.transfer = watched("generate"), watched("transfer")


def run(request: RunRequest, model: Any, display: LineDisplay) -> Any:
    run_split(request, model, display, RunCounts())
    return model


def files(request: RunRequest) -> dict[str, bytes]:
    root = request.folder.root
    found = [*root.glob("*/*.png"), *root.glob(".jstyleid/contents/*/*.png")]
    return {str(path.relative_to(root)): path.read_bytes() for path in found}


@pytest.mark.parametrize("batch", [1, 2, 3])
@pytest.mark.parametrize("method", ["dreambooth", "styleid"])
@pytest.mark.parametrize("at", range(1, 9))
def test_a_stopped_run_ends_with_the_pictures_of_one_that_was_not(
    make_request: MakeRequest, model: Any, display: LineDisplay, batch: int, method: str, at: int
) -> None:
    settings: dict[str, Any] = {"batch": batch, "method": method, "prompts": 3}
    if method == "dreambooth":
        settings |= {"styleid": None, "reference": None}
    whole = make_request(out="whole", **settings)
    run(whole, model(), display)
    request, stopped, kept = make_request(**settings), model(), []
    store = Path.write_bytes

    def stop(path: Path, data: bytes) -> int:
        if request.folder.root in path.parents and path.suffix == ".png":
            if len(kept) == at:
                raise KeyboardInterrupt
            kept.append(path)
        return store(path, data)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Path, "write_bytes", stop)
        if len(files(whole)) > at:
            with pytest.raises(KeyboardInterrupt):
                run(request, stopped, display)
        else:
            run(request, stopped, display)
    assert len(files(request)) == min(at, len(files(whole)))
    run(request, model(), display)
    assert files(request) == files(whole)


def test_company_whose_contents_are_gone_is_drawn_again(
    make_request: MakeRequest, model: Any, display: LineDisplay
) -> None:
    request = make_request(styles=["00"], prompts=3, batch=2)
    run(request, model(), display)
    before = files(request)
    for content in request.folder.content("00", "").parent.iterdir():
        content.unlink()
    kept = request.folder.picture("00", "Hotel").stat().st_mtime_ns
    request.folder.picture("00", "Ring").unlink()
    again = run(request, model(), display)
    # The third picture is of another group.
    assert again.together == [("generate", 2), ("transfer", 2)]
    assert files(request).items() <= before.items()
    assert len(files(request)) == 3 + 2
    assert request.folder.picture("00", "Hotel").stat().st_mtime_ns == kept


def test_too_little_memory_is_no_place_for_company(
    make_request: MakeRequest, model: Any, display: LineDisplay
) -> None:
    request = make_request(styles=["00"], prompts=3, batch=2)
    run(request, model(), display)
    request.folder.picture("00", "Ring").unlink()
    again = run(request, model(most=1), display)
    assert again.together == [("transfer", 1)]
    assert request.folder.picture("00", "Ring").exists()


def test_a_group_is_stylised_when_all_of_it_is_drawn(make_request: MakeRequest) -> None:
    needs = {task.id: task.needs for task in make_request(batch=2).plan.tasks}
    names = [draw.prompt for draw in make_request().plan.styles[0].images]
    first, second = (f"content/00/{name}" for name in names[:2])
    assert needs[f"picture/00/{names[0]}"] == (first, "style/00", second)
    assert needs[f"picture/00/{names[1]}"] == (first, "style/00", second)
    assert needs[f"picture/00/{names[2]}"] == (f"content/00/{names[2]}", "style/00")
    alone = {task.id: task.needs for task in make_request().plan.tasks}
    assert alone == {job.id: job.needs for job in make_request().plan.jobs}


def test_workers_begin_groups_as_a_whole(make_request: MakeRequest, tmp_path: Path) -> None:
    tasks = make_request(batch=2).plan.tasks
    names, watching = ["gpu0", "gpu1", "gpu2"], Groups()
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        ledger.plan(tasks)
        executor = SimulatedExecutor(names, CostModel(dict.fromkeys(Stage, 1.0)))
        Scheduler(SchedulerState(tasks, {}), ledger, executor, watching, watching, names, 2).run()
    of_groups = Counter((task.stage, task.style, task.group) for task in tasks)
    assert len(watching.begun) == len(of_groups)
    for tasks_begun in watching.begun:
        [group] = {(task.stage, task.style, task.group) for task in tasks_begun}
        assert len(tasks_begun) == of_groups[group]


class Groups:
    """A store and a monitor that keep what is begun together."""

    def __init__(self) -> None:
        self.begun: list[Sequence[Task]] = []

    def keep(self, task: Task, product: bytes) -> Output:
        raise AssertionError("simulated workers send no products")

    def began(self, worker: str, tasks: Sequence[Task]) -> None:
        self.begun.append(tasks)

    def doing(self, worker: str, detail: str, share: float) -> None:
        pass

    def finished(self, worker: str, task: Task, output: Output | None) -> None:
        pass

    def trouble(self, text: str) -> None:
        raise AssertionError(text)


def test_the_real_model_keeps_company_too(
    make_request: MakeRequest, inline_model: Any, display: LineDisplay
) -> None:
    whole = make_request(out="whole", styles=["00"], batch=3, size=(64, 64))
    run(whole, inline_model, display)
    request = make_request(styles=["00"], batch=3, size=(64, 64))
    run(request, inline_model, display)
    request.folder.picture("00", "Ring").unlink()
    request.folder.content("00", "Hotel").unlink()
    run(request, inline_model, display)
    assert files(request) == files(whole)
