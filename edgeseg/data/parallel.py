"""Work on many samples at once, on threads: OpenCV's decoders, hashing and NumPy's counting release the GIL."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from itertools import count
from typing import TypeVar, cast

Item = TypeVar("Item")
Result = TypeVar("Result")
OnProgress = Callable[[int], None]
"""Told how many items are done; what it raises ends the work."""

AHEAD_PER_WORKER = 4  # keeps every worker busy while results are taken in order, and memory bounded
FEW_AHEAD = 8  # for work that may be told to stop after any item: little is done beyond that
_END = object()


def ignore_progress(done: int) -> None:
    """Show nothing."""


def reading_threads() -> int:
    """Return how many threads read pictures: more than there are cores, since they wait for a disk or a network."""
    return len(os.sched_getaffinity(0)) + 4


def map_in_order(
    work: Callable[[Item], Result], items: Iterable[Item], ahead: int | None = None, workers: int | None = None
) -> Generator[Result, None, None]:
    """Yield `work(item)` in the order of `items`, never more than a few items ahead.

    `ThreadPoolExecutor.map` takes in all items at once and keeps every result until it is asked for. An exception in
    `work` is raised here, and what has not begun is given up.

    Args:
        work: called on threads.
        items: taken one by one, on the caller's thread.
        ahead: how many items are in work or done when one is asked for; AHEAD_PER_WORKER for each worker by default.
        workers: threads; by default one more than there are cores, since some wait for the disk.
    """
    workers = workers or len(os.sched_getaffinity(0)) + 1
    ahead = ahead or AHEAD_PER_WORKER * workers
    waiting: deque[Future[Result]] = deque()
    pool = ThreadPoolExecutor(workers)
    try:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) >= ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def prefetched(items: Iterator[Item]) -> Generator[Item, None, None]:
    """Yield the items; while one is worked on, the next one is taken on a thread. Close it to end the thread.

    A training step keeps all devices at work but holds no Python: what Python does for a batch need not wait for it.
    """
    with closing(map_in_order(lambda _: next(items, _END), count(), ahead=2, workers=1)) as taken:
        for item in taken:
            if item is _END:
                return
            yield cast(Item, item)
