"""The state of all tasks in memory, kept so that the next choice is quick to make.

It says which tasks may begin; the policy says which one is best.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from jstyleid_runner.scheduling.task import Stage, State, Task


@dataclass(slots=True)
class StyleQueue:
    """The tasks of one style that may be begun, in the plan's order, and how many more there are.

    Attributes:
        ready: ids of the tasks that may begin, by stage.
        running: tasks of the style at work.
        drawn_ahead: contents that are drawn, or being drawn, and not yet being stylised.
        left: evaluations of all its tasks that are not done.
    """

    ready: dict[Stage, deque[str]] = field(
        default_factory=lambda: {stage: deque() for stage in Stage}
    )
    running: int = 0
    drawn_ahead: int = 0
    left: int = 0

    @property
    def any_ready(self) -> bool:
        """Whether something may be begun."""
        return any(self.ready.values())


class SchedulerState:
    """All tasks of a run with their states.

    Args:
        tasks: all tasks, none before those it needs.
        states: states of the tasks that are not waiting; running ones wait again.
    """

    def __init__(self, tasks: Sequence[Task], states: Mapping[str, State]) -> None:
        self.tasks = {task.id: task for task in tasks}
        self.states = {task.id: State.WAITING for task in tasks}
        self.styles: dict[str, StyleQueue] = {}
        self.open: dict[str, None] = {}
        """Styles with something ready, in the order they became so."""
        self.counts = dict.fromkeys(State, 0)
        self._dependents: dict[str, list[str]] = {task.id: [] for task in tasks}
        self._missing: dict[str, int] = {}
        self.tails: dict[str, int] = {}
        """Evaluations of the longest chain from a task to the end, itself included."""
        for task in tasks:
            for need in task.needs:
                self._dependents[need].append(task.id)
        for task in reversed(tasks):
            after = (self.tails[dependent] for dependent in self._dependents[task.id])
            self.tails[task.id] = task.cost + max(after, default=0)
        for task in tasks:
            self._place(task, states.get(task.id, State.WAITING))

    def _place(self, task: Task, state: State) -> None:
        style = self.styles.setdefault(task.style, StyleQueue())
        if state in (State.DONE, State.QUARANTINED):
            self.states[task.id] = state
        self.counts[self.states[task.id]] += 1
        needs = [self.states[need] for need in task.needs]
        self._missing[task.id] = sum(need is not State.DONE for need in needs)
        if self.states[task.id] is State.WAITING:
            style.left += task.cost
            if not self._missing[task.id]:
                self._enqueue(task)
        elif task.stage is Stage.DRAW and state is State.DONE:
            style.drawn_ahead += self._waits_for(task)
        elif task.stage is Stage.STYLISE and state is State.DONE:
            style.drawn_ahead -= 1

    def _waits_for(self, task: Task) -> int:
        """1 for a content, 0 for a drawing that is a result."""
        return int(bool(self._dependents[task.id]))

    def _enqueue(self, task: Task) -> None:
        self.styles[task.style].ready[task.stage].append(task.id)
        self.open.setdefault(task.style)

    @property
    def finished(self) -> bool:
        """Whether nothing runs and nothing can be begun any more."""
        return not self.open and not self.counts[State.RUNNING]

    def begin(self, style: str, stage: Stage, most: int = 1) -> list[Task]:
        """The next tasks of a style's stage, of one group; from now on they are running."""
        queues = self.styles[style]
        ready = queues.ready[stage]
        group = self.tasks[ready[0]].group
        begun: list[Task] = []
        while ready and len(begun) < most and self.tasks[ready[0]].group == group:
            task = self.tasks[ready.popleft()]
            begun.append(task)
            if stage is Stage.DRAW:
                queues.drawn_ahead += self._waits_for(task)
            elif stage is Stage.STYLISE:
                queues.drawn_ahead -= 1
            self._move(task.id, State.RUNNING)
        queues.running += len(begun)
        if not queues.any_ready:
            self.open.pop(style)
        return begun

    def done(self, id: str) -> None:
        """A running task is done; what waited for nothing else may be begun now."""
        task = self.tasks[id]
        queues = self.styles[task.style]
        queues.running -= 1
        queues.left -= task.cost
        self._move(id, State.DONE)
        for dependent in self._dependents[id]:
            self._missing[dependent] -= 1
            if not self._missing[dependent] and self.states[dependent] is State.WAITING:
                self._enqueue(self.tasks[dependent])

    def returned(self, id: str) -> None:
        """A running task was not done, and is the first of its kind to be begun again."""
        task = self.tasks[id]
        queues = self.styles[task.style]
        queues.running -= 1
        self._undraw(task)
        self._move(id, State.WAITING)
        queues.ready[task.stage].appendleft(id)
        self.open.setdefault(task.style)

    def quarantined(self, id: str) -> None:
        """A running task has failed for good; what needs it stays waiting for ever."""
        task = self.tasks[id]
        queues = self.styles[task.style]
        queues.running -= 1
        self._undraw(task)
        self._move(id, State.QUARANTINED)

    def _undraw(self, task: Task) -> None:
        queues = self.styles[task.style]
        if task.stage is Stage.DRAW:
            queues.drawn_ahead -= self._waits_for(task)
        elif task.stage is Stage.STYLISE:
            queues.drawn_ahead += 1

    def _move(self, id: str, state: State) -> None:
        self.counts[self.states[id]] -= 1
        self.counts[state] += 1
        self.states[id] = state
