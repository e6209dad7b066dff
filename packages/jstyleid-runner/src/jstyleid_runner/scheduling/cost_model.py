"""How long tasks take, for estimates and simulations."""

from collections.abc import Iterable
from dataclasses import dataclass

from jstyleid_runner.scheduling.ledger import Entry
from jstyleid_runner.scheduling.task import Stage, State, Task


@dataclass(frozen=True)
class CostModel:
    """Seconds from evaluations.

    Attributes:
        evaluation: seconds of one evaluation of the UNet, at each stage: they differ by what else
            a stage does (decoding, backward passes).
        start: seconds until a worker is ready.
        change: seconds to change to another style.
    """

    evaluation: dict[Stage, float]
    start: float = 0.0
    change: float = 0.0

    def seconds(self, task: Task) -> float:
        """Of one task, by a worker that is at home in its style."""
        return task.cost * self.evaluation[task.stage]


def measured(entries: Iterable[Entry]) -> CostModel | None:
    """The rates that a ledger's finished tasks show; None while there are none.

    A stage nobody has finished yet is taken to be as fast as the others.
    """
    cost, seconds = dict.fromkeys(Stage, 0), dict.fromkeys(Stage, 0.0)
    for entry in entries:
        if entry.state is State.DONE and entry.seconds is not None:
            cost[Stage(entry.stage)] += entry.cost
            seconds[Stage(entry.stage)] += entry.seconds
    if not any(cost.values()):
        return None
    mean = sum(seconds.values()) / sum(cost.values())
    return CostModel({stage: seconds[stage] / cost[stage] if cost[stage] else mean
                      for stage in Stage})
