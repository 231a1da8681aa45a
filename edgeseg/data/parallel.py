"""Work on many samples at once, on threads: OpenCV's decoders, hashing and NumPy's counting release the GIL."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

AHEAD_PER_WORKER = 4  # keeps every worker busy while results are taken in order, and memory bounded


def map_in_order(work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Yield `work(item)` in the order of `items`, on all cores, never more than a few items ahead.

    `ThreadPoolExecutor.map` takes in all items at once and keeps every result until it is asked for. An exception in
    `work` is raised here, and what has not begun is given up.
    """
    workers = len(os.sched_getaffinity(0)) + 1  # one more than cores: some wait for the disk
    waiting: deque[Future[Result]] = deque()
    pool = ThreadPoolExecutor(workers)
    try:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) >= AHEAD_PER_WORKER * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
