"""The policy: which task an idle worker gets, as a pure function of the state and of what is warm.

1. A worker stays with its style, whose LoRA and features it holds. It trains what is to be trained,
   and else stylises, inverts the style's reference, draws, in this order, so that pictures appear
   early and little lies about half done. Jobs that all styles share are a style of their own
   here, and the longest chains begin with them.
2. Otherwise it goes to the style where the longest chain of work begins, so that no long training
   is left for the end; among equals to the one with the fewest workers for what is left of it.
3. Contents are generated ahead of style transfer to a bound only, but no worker stays idle for it.
"""

from dataclasses import dataclass

from jstyleid_runner.scheduling.state import SchedulerState, StyleQueue
from jstyleid_runner.scheduling.task import Stage

_ORDER = (Stage.SHARED, Stage.TRAIN, Stage.STYLISE, Stage.INVERT, Stage.DRAW)


@dataclass(frozen=True, slots=True)
class Choice:
    """A style, and which of its queues to take from."""

    style: str
    stage: Stage


def choose(state: SchedulerState, at_home: str | None, backlog: int) -> Choice | None:
    """The next work of a worker; None while no task may begin.

    Args:
        state: the state of all tasks.
        at_home: the style the worker holds the LoRA and the features of.
        backlog: number of contents of a style that may be generated ahead of style transfer.
    """
    if not state.open:
        return None
    if at_home is not None and at_home in state.open:
        stage = _next_stage(state.styles[at_home], backlog)
        if stage is not None:
            return Choice(at_home, stage)
    best = max(state.open, key=lambda style: _urgency(state, style, backlog))
    # Past the bound, rather than idle.
    return Choice(best, _next_stage(state.styles[best], backlog) or Stage.DRAW)


def _next_stage(queues: StyleQueue, backlog: int) -> Stage | None:
    for stage in _ORDER:
        if queues.ready[stage] and not _is_ahead(queues, stage, backlog):
            return stage
    return None


def _urgency(state: SchedulerState, style: str, backlog: int) -> tuple[bool, int, float]:
    queues = state.styles[style]
    allowed = [
        queue[0]
        for stage, queue in queues.ready.items()
        if queue and not _is_ahead(queues, stage, backlog)
    ]
    tail = max((state.tails[id] for id in allowed), default=0)
    return bool(allowed), tail, queues.left / (1 + queues.running)


def _is_ahead(queues: StyleQueue, stage: Stage, backlog: int) -> bool:
    return stage is Stage.DRAW and queues.drawn_ahead >= backlog
