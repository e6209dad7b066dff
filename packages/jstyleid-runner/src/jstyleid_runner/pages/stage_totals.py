"""What each stage of a run took."""

from collections.abc import Iterable
from dataclasses import dataclass

from jstyleid_runner.pages.attempts import Attempt
from jstyleid_runner.scheduling.ledger import Entry
from jstyleid_runner.scheduling.task import Stage, State


@dataclass
class StageTotal:
    """The sums of one stage.

    Attributes:
        states: how many tasks are in each state.
        attempts: of all tasks; more than tasks were begun where some failed.
        seconds: of the last attempts.
        evaluations: of the UNet, in the finished tasks.
    """

    stage: Stage
    states: dict[State, int]
    attempts: int = 0
    seconds: float = 0.0
    evaluations: int = 0

    @property
    def tasks(self) -> int:
        """How many there are."""
        return sum(self.states.values())


def stage_totals(entries: Iterable[Entry], attempts: Iterable[Attempt]) -> list[StageTotal]:
    """The sums of every stage that has tasks, in the order of a style's making."""
    totals = {stage: StageTotal(stage, dict.fromkeys(State, 0)) for stage in Stage}
    for entry in entries:
        total = totals[Stage(entry.stage)]
        total.states[entry.state] += 1
        total.attempts += entry.attempts
        total.evaluations += entry.cost if entry.state is State.DONE else 0
    for attempt in attempts:
        totals[Stage(attempt.entry.stage)].seconds += attempt.span.seconds
    return [total for total in totals.values() if total.tasks]
