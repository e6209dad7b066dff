"""The figures of a plan: jobs and UNet evaluations, the part that is left, the estimated time."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from jstyleid_core.differences import differences
from jstyleid_runner.planning.plan import Plan
from jstyleid_runner.reports.figures import StageFigures, stage_figures, total
from jstyleid_runner.scheduling.estimates import CostModel, forecast, mark_satisfied, measured
from jstyleid_runner.scheduling.ledger import Entry, read_entries
from jstyleid_runner.scheduling.task import Stage, State, Task
from jstyleid_runner.settings import RunSettings
from jstyleid_runner.storage.layout import OutFolder
from jstyleid_runner.storage.records import RunRecord


@dataclass(frozen=True)
class Estimate:
    """Seconds that what is left takes on so many workers."""

    workers: int
    seconds: float


@dataclass(frozen=True)
class PlanFigures:
    """The figures that `jstyleid plan` shows.

    Attributes:
        tasks: tasks in the plan's order.
        pictures: number of results.
        stages: stages that have jobs.
        set_aside: jobs that failed too often, which a run leaves out.
        changes: settings in which the folder's pictures differ; such pictures do not count.
        rate: source of the rate of the estimates; None where there is none.
        estimates: time on one worker, and on the number asked for; empty if nothing is left.
    """

    tasks: tuple[Task, ...]
    pictures: int
    stages: tuple[StageFigures, ...]
    set_aside: tuple[str, ...]
    changes: tuple[str, ...]
    rate: Literal["measured", "given"] | None
    estimates: tuple[Estimate, ...]

    @property
    def whole(self) -> StageFigures:
        """The sums over all stages."""
        return total(self.stages)

    def facts(self, with_jobs: bool) -> dict[str, Any]:
        """For JSON."""
        whole: dict[str, Any] = {
            "pictures": self.pictures,
            "stages": [
                {"stage": stage.stage, "jobs": stage.jobs, "evaluations": stage.evaluations,
                 "jobs_left": stage.jobs_left, "evaluations_left": stage.evaluations_left}
                for stage in (*self.stages, self.whole)
            ],
            "set_aside": list(self.set_aside),
            "other_settings": list(self.changes),
            "rate": self.rate,
            "estimates": [asdict(estimate) for estimate in self.estimates],
        }
        if with_jobs:
            whole["jobs"] = [
                {"id": task.id, "style": task.style, "stage": task.stage.value,
                 "needs": list(task.needs), "evaluations": task.cost}
                for task in self.tasks
            ]
        return whole


def plan_figures(
    plan: Plan, settings: RunSettings, folder: OutFolder, *, workers: int,
    seconds_per_evaluation: float | None,
) -> PlanFigures:
    """Work out the figures of a plan.

    Args:
        plan: plan of the run.
        settings: settings of the run.
        folder: folder of the run.
        workers: number of workers.
        seconds_per_evaluation: the rate; None takes the one that the folder's ledger shows.

    Raises:
        InputError: what the folder holds cannot be read.
    """
    tasks = plan.tasks
    entries = read_entries(folder.ledger) if folder.ledger.exists() else []
    changes = _changes(folder, settings)
    states = {} if changes else mark_satisfied(tasks, _states(tasks, entries))
    rate: Literal["measured", "given"] | None = None
    costs: CostModel | None
    if seconds_per_evaluation is not None:
        rate, costs = "given", CostModel(dict.fromkeys(Stage, seconds_per_evaluation))
    elif (costs := measured(entries)) is not None:
        rate = "measured"
    stages = stage_figures(_entry(task, states) for task in tasks)
    estimates: tuple[Estimate, ...] = ()
    if costs and any(stage.jobs_left for stage in stages):
        estimates = tuple(Estimate(count, forecast(tasks, states, costs, count, plan.batch))
                          for count in sorted({1, workers}))
    return PlanFigures(
        tasks=tuple(tasks),
        pictures=plan.pictures,
        stages=stages,
        set_aside=tuple(task.id for task in tasks if states.get(task.id) is State.QUARANTINED),
        changes=tuple(changes),
        rate=rate,
        estimates=estimates,
    )


def _changes(folder: OutFolder, settings: RunSettings) -> list[str]:
    record = RunRecord.read(folder.record)
    if record is None:
        return []
    now = settings.model_dump(mode="json")
    # The device decides it, and a plan is made without one.
    return differences(record.settings | {"dtype": now["dtype"]}, now)


def _states(tasks: Sequence[Task], entries: Sequence[Entry]) -> dict[str, State]:
    planned = {task.id for task in tasks}
    return {entry.id: entry.state for entry in entries
            if entry.id in planned and entry.state in (State.DONE, State.QUARANTINED)}


def _entry(task: Task, states: Mapping[str, State]) -> Entry:
    """A task as a ledger would hold it that knows nothing but its state."""
    state = states.get(task.id, State.WAITING)
    return Entry(task.id, task.style, task.stage.value, task.cost, state, 0, None, None, None,
                 None, None)
