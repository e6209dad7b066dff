"""Which tasks nobody waits for any more."""

from collections.abc import Mapping, Sequence

from jstyleid_runner.scheduling.task import State, Task


def with_unneeded(tasks: Sequence[Task], states: Mapping[str, State]) -> dict[str, State]:
    """The states, with a task done too if all that was to be made of it is done.

    A picture may be there while its content or LoRA is not: removed, or never in this ledger.

    Args:
        tasks: all of a run, none before what it needs.
        states: of those that are not waiting.
    """
    dependents: dict[str, list[str]] = {task.id: [] for task in tasks}
    for task in tasks:
        for need in task.needs:
            dependents[need].append(task.id)
    found = dict(states)
    for task in reversed(tasks):
        after = dependents[task.id]
        if after and all(found.get(id) is State.DONE for id in after):
            found[task.id] = State.DONE
    return found
