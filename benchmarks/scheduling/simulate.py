"""The scheduler at the size of B and beyond, on simulated cards; run in the Jittor environment.

``python simulate.py`` runs the real plan, state, ledger, policy and loop with workers that only
tell the time by a cost model, and prints

- how busy 1, 4 and 64 cards are with B (28 styles, 25 prompts, LoRAs of 500 steps), and how far the
  run is from the quickest one that the jobs' dependencies allow;
- the same work arranged as the challenge's reference is: one card draws and trains, three stylise,
  each picture loads the model anew and inverts its style again;
- B with prior preservation, whose 300 class images all cards draw, and what it would take if one
  card drew them while the others wait;
- what the scheduler itself costs a job, and how long a ledger takes to open, with 100,000 jobs.

Nothing here needs a card; one UNet evaluation is taken to last 0.1 s wherever it is.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from jstyleid_runner.planning.class_images import (
    ClassPlan,
    EncodeClassImages,
    GenerateClassImage,
)
from jstyleid_runner.planning.jobs import GenerateImage, InvertStyle, TrainLoRA, TransferStyle
from jstyleid_runner.planning.plan import Plan, StylePlan
from jstyleid_runner.scheduling.estimates import CostModel, SimulatedExecutor
from jstyleid_runner.scheduling.ledger import Ledger, Output
from jstyleid_runner.scheduling.scheduler import Scheduler
from jstyleid_runner.scheduling.state import SchedulerState
from jstyleid_runner.scheduling.task import Stage, Task

STYLES, PROMPTS = 28, 25
TRAIN, INVERT, DRAW, STYLISE = 3 * 500, 20, 2 * 25, 2 * 20
CLASS_IMAGES = 300
EVALUATION, LOAD, CHANGE = 0.1, 20.0, 3.0  # seconds: one evaluation, a model, a style's LoRA


class Silent:
    """A store and a monitor that do nothing."""

    def keep(self, task: Task, product: bytes) -> Output:
        raise AssertionError("simulated workers send no products")

    def began(self, worker: str, tasks: Sequence[Task]) -> None:
        """Show nothing."""

    def doing(self, worker: str, detail: str, share: float) -> None:
        """Show nothing."""

    def finished(self, worker: str, task: Task, output: Output | None) -> None:
        """Show nothing."""

    def trouble(self, text: str) -> None:
        sys.exit(f"in a simulation nothing goes wrong: {text}")


def plan(styles: int, prompts: int, class_images: tuple[int, ...] = ()) -> Plan:
    """Return the plan of a split, without files; of class images the cost of each is given."""
    shared: tuple[ClassPlan, ...] = ()
    needs: tuple[str, ...] = ()
    if class_images:
        images = tuple(GenerateClassImage(n, "", cost) for n, cost in enumerate(class_images))
        jobs = ClassPlan((), images, EncodeClassImages(tuple(draw.id for draw in images)))
        shared, needs = (jobs,), jobs.needs
    found = []
    for number in range(styles):
        style = f"{number:04}"
        train = TrainLoRA(style, (), (), TRAIN, needs)
        invert = InvertStyle(style, (), INVERT, INVERT)
        contents = tuple(
            GenerateImage("content", style, f"{n}", f"{n}", n, 25, DRAW, needs=(train.id,),
                          group=n)
            for n in range(prompts))
        transfers = tuple(
            TransferStyle(style, draw.prompt, STYLISE, STYLISE, (draw.id, invert.id),
                          draw.group)
                         for draw in contents)
        found.append(StylePlan(style, (), train, invert, contents, transfers))
    return Plan(tuple(found), shared)


def simulate(tasks: list[Task], cards: int, folder: Path) -> tuple[SimulatedExecutor, float]:
    """Return the crew after all tasks, and the seconds of real time that took."""
    names = [f"gpu{number}" for number in range(cards)]
    costs = CostModel(dict.fromkeys(Stage, EVALUATION), start=LOAD, change=CHANGE)
    executor, silent = SimulatedExecutor(names, costs), Silent()
    with Ledger(folder / f"{len(tasks)}-{cards}.sqlite") as ledger:
        ledger.plan(tasks)
        scheduler_state = SchedulerState(tasks, ledger.states())
        start = time.perf_counter()
        Scheduler(scheduler_state, ledger, executor, silent, silent, names).run()
        return executor, time.perf_counter() - start


def quickest(cards: int) -> float:
    """Return seconds that no schedule can beat: the work, or what must come after one another."""
    spread = STYLES * (INVERT + PROMPTS * (DRAW + STYLISE))
    evenly = (STYLES * TRAIN + spread) / cards
    if cards <= STYLES:
        return LOAD + EVALUATION * evenly
    # The cards that train nothing can only invert styles until the LoRAs are there.
    after = (spread - min(STYLES * INVERT, (cards - STYLES) * TRAIN)) / cards
    return LOAD + EVALUATION * (TRAIN + after)


def reference_arrangement() -> float:
    """Return the seconds of one producer and three consumers that load the model for each picture.

    The producer trains each style and then draws its pictures, in a process each; a consumer that
    is free takes the oldest picture.
    """
    producer, free = 0.0, [0.0, 0.0, 0.0]
    for _ in range(STYLES):
        producer += LOAD + EVALUATION * TRAIN
        for _ in range(PROMPTS):
            producer += LOAD + EVALUATION * DRAW
            first = min(range(3), key=free.__getitem__)
            free[first] = max(free[first], producer) + LOAD + EVALUATION * (INVERT + STYLISE)
    return max(free)


def main() -> None:
    """Print the figures."""
    tasks = plan(STYLES, PROMPTS).tasks
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        print(f"B, {len(tasks)} jobs, {sum(task.cost for task in tasks)} evaluations:")
        for cards in (1, 4, 64):
            executor, _ = simulate(tasks, cards, folder)
            busy = sum(executor.busy.values()) / (cards * executor.now)
            print(f"  {cards:2} cards: {executor.now:7.0f} s, {busy:6.1%} busy, "
                  f"{quickest(cards) / executor.now:6.1%} of the quickest possible")
            if cards == 4:
                print(f"  reference arrangement on 4 cards: {reference_arrangement():.0f} s, "
                      f"{reference_arrangement() / executor.now:.1f} x as long")
        for cards in (4, 64):
            together, alone = (
                simulate(plan(STYLES, PROMPTS, costs).tasks, cards, folder)[0].now
                for costs in ((DRAW,) * CLASS_IMAGES, (DRAW * CLASS_IMAGES,)))
            print(f"  {cards:2} cards, {CLASS_IMAGES} class images: {together:.0f} s; "
                  f"drawn by one card: {alone:.0f} s")
        many = plan(1923, PROMPTS).tasks
        _, seconds = simulate(many, 64, folder)
        print(f"{len(many)} jobs: {1000 * seconds / len(many):.2f} ms of scheduling each")
        start = time.perf_counter()
        with Ledger(folder / f"{len(many)}-64.sqlite") as ledger:
            ledger.plan(many)
            SchedulerState(many, ledger.states())
            print(f"  their ledger opened and resumed in {time.perf_counter() - start:.2f} s")


if __name__ == "__main__":
    main()
