"""Which task an idle worker gets: rules over the state, without workers and without time."""

from jstyleid_runner.scheduling.policy import Choice, choose
from jstyleid_runner.scheduling.state import SchedulerState
from jstyleid_runner.scheduling.task import Stage, State, Task


def style(name: str, prompts: int = 2, train: int = 100) -> list[Task]:
    """A style's tasks, as a run with training has them; without, for `train=0`."""
    lora = Task(f"lora/{name}", name, Stage.TRAIN, (), train)
    needs = (lora.id,) if train else ()
    images = [Task(f"content/{name}/{n}", name, Stage.DRAW, needs, 10) for n in range(prompts)]
    invert = Task(f"style/{name}", name, Stage.INVERT, (), 4)
    return [
        *([lora] if train else []), invert, *images,
        *(Task(f"picture/{name}/{n}", name, Stage.STYLISE, (draw.id, invert.id), 8)
          for n, draw in enumerate(images)),
    ]


def scheduler_state(*tasks: list[Task], **states: State) -> SchedulerState:
    return SchedulerState([task for each in tasks for task in each], states)


def done(scheduler_state: SchedulerState, *stages: tuple[str, Stage]) -> None:
    for name, stage in stages:
        for task in scheduler_state.begin(name, stage):
            scheduler_state.done(task.id)


def test_nothing_to_do() -> None:
    assert choose(scheduler_state(), None, 9) is None
    waiting = scheduler_state(style("00", prompts=1))
    waiting.begin("00", Stage.TRAIN)
    waiting.begin("00", Stage.INVERT)
    assert choose(waiting, "00", 9) is None
    assert not waiting.finished


def test_the_longest_chain_comes_first() -> None:
    tasks = scheduler_state(style("00", train=50), style("01", train=80), style("02", train=0))
    assert choose(tasks, None, 9) == Choice("01", Stage.TRAIN)
    tasks.begin("01", Stage.TRAIN)
    assert choose(tasks, None, 9) == Choice("00", Stage.TRAIN)
    tasks.begin("00", Stage.TRAIN)
    assert choose(tasks, None, 9) == Choice("02", Stage.INVERT)


def test_a_worker_stays_and_consumes_before_it_produces() -> None:
    tasks = scheduler_state(style("00"), style("01"))
    done(tasks, ("00", Stage.TRAIN))
    # At home there is less to do than elsewhere, and yet.
    assert choose(tasks, "00", 9) == Choice("00", Stage.INVERT)
    assert choose(tasks, None, 9) == Choice("01", Stage.TRAIN)
    done(tasks, ("00", Stage.INVERT))
    assert choose(tasks, "00", 9) == Choice("00", Stage.DRAW)
    done(tasks, ("00", Stage.DRAW))
    assert choose(tasks, "00", 9) == Choice("00", Stage.STYLISE)
    done(tasks, ("00", Stage.STYLISE), ("00", Stage.DRAW), ("00", Stage.STYLISE))
    assert choose(tasks, "00", 9) == Choice("01", Stage.TRAIN)


def test_contents_are_drawn_ahead_to_a_bound_but_nobody_stays_idle() -> None:
    tasks = scheduler_state(style("00", prompts=5, train=0), style("01", prompts=5, train=0))
    inverting = tasks.begin("00", Stage.INVERT)
    done(tasks, ("00", Stage.DRAW), ("00", Stage.DRAW))
    assert tasks.styles["00"].drawn_ahead == 2
    # The bound is reached: to the other style, though this one is home.
    assert choose(tasks, "00", 2) == Choice("01", Stage.INVERT)
    for _ in range(5):
        tasks.begin("01", Stage.DRAW)
    tasks.begin("01", Stage.INVERT)
    # Nothing else is left.
    assert choose(tasks, "00", 2) == Choice("00", Stage.DRAW)
    tasks.done(inverting[0].id)
    assert choose(tasks, "01", 2) == Choice("00", Stage.STYLISE)


def test_equal_styles_are_shared_out() -> None:
    tasks = scheduler_state(*(style(name, prompts=4, train=0) for name in ("00", "01", "02")))
    chosen = []
    for _ in range(3):
        choice = choose(tasks, None, 9)
        assert choice
        chosen.append(choice.style)
        tasks.begin(choice.style, choice.stage)
    assert sorted(chosen) == ["00", "01", "02"]


def test_a_board_taken_up_again() -> None:
    tasks = style("00", prompts=3)
    states = {"lora/00": State.DONE, "content/00/0": State.DONE, "content/00/1": State.DONE,
              "style/00": State.DONE, "picture/00/0": State.DONE, "content/00/2": State.RUNNING}
    again = SchedulerState(tasks, states)
    queues = again.styles["00"]
    assert queues.drawn_ahead == 1
    assert queues.left == 10 + 8 + 8
    assert again.counts == {State.WAITING: 3, State.RUNNING: 0, State.DONE: 5,
                            State.QUARANTINED: 0}
    assert choose(again, None, 9) == Choice("00", Stage.STYLISE)
    assert [task.id for task in again.begin("00", Stage.STYLISE)] == ["picture/00/1"]
    assert choose(again, None, 9) == Choice("00", Stage.DRAW)


def test_what_is_given_back_comes_first_and_what_is_set_aside_blocks_the_rest() -> None:
    tasks = scheduler_state(style("00", prompts=3, train=0))
    first = tasks.begin("00", Stage.DRAW)[0]
    tasks.returned(first.id)
    assert tasks.styles["00"].drawn_ahead == 0
    assert tasks.begin("00", Stage.DRAW) == [first]
    tasks.quarantined(first.id)
    while choice := choose(tasks, "00", 9):
        done(tasks, (choice.style, choice.stage))
    assert tasks.finished
    waiting = [id for id, state in tasks.states.items() if state is State.WAITING]
    assert waiting == ["picture/00/0"]


def test_only_tasks_of_one_group_are_begun_together() -> None:
    tasks = [Task(f"content/00/{n}", "00", Stage.DRAW, (), 10, n // 2) for n in range(5)]
    groups = scheduler_state(tasks)
    begun = [[task.id[-1] for task in groups.begin("00", Stage.DRAW, 4)] for _ in range(3)]
    assert begun == [["0", "1"], ["2", "3"], ["4"]]
