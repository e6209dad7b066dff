"""Work on several threads whose results come in order, and never more than a few at a time."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

_MOST_THREADS = 8


def in_order(work: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """`work(item)` of each item, computed a little ahead of whoever takes the results."""
    threads = min(os.cpu_count() or 1, _MOST_THREADS)
    waiting = iter(items)
    with ThreadPoolExecutor(threads) as pool:
        begun: deque[Future[R]] = deque(
            pool.submit(work, item) for item in islice(waiting, 2 * threads)
        )
        while begun:
            result = begun.popleft().result()
            begun.extend(pool.submit(work, item) for item in islice(waiting, 1))
            yield result
