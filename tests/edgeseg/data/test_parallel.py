"""Work ahead on threads: in order, bounded, and given up when nobody wants it any more."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from edgeseg.data.parallel import map_in_order, prefetched


def test_results_come_in_the_order_of_the_items_whichever_is_done_first() -> None:
    last_is_done = threading.Event()

    def work(item: int) -> int:
        if item == 2:
            last_is_done.set()
        else:
            assert last_is_done.wait(30)
        return item * item

    assert list(map_in_order(work, range(3), workers=3)) == [0, 1, 4]


@pytest.mark.parametrize("ahead", [1, 3, 8])
def test_no_more_items_are_taken_than_it_may_be_ahead(ahead: int) -> None:
    taken = []

    def items() -> Iterator[int]:
        for item in range(100):
            taken.append(item)
            yield item

    with closing(map_in_order(lambda item: item, items(), ahead=ahead)) as results:
        for number in range(20):
            assert next(results) == number
            assert len(taken) == number + ahead


def test_an_error_is_raised_at_its_place_and_what_has_not_begun_is_given_up() -> None:
    begun: list[int] = []

    def work(item: int) -> int:
        begun.append(item)
        if item == 1:
            raise ValueError("broken")
        return item

    results = map_in_order(work, range(1000), ahead=4, workers=1)
    assert next(results) == 0
    with pytest.raises(ValueError, match="broken"):
        next(results)
    assert len(begun) <= 5


def test_the_next_item_is_taken_while_one_is_worked_on() -> None:
    second_is_taken = threading.Event()

    def items() -> Iterator[str]:
        yield "first"
        second_is_taken.set()
        yield "second"

    with closing(prefetched(items())) as ready:
        assert next(ready) == "first"
        assert second_is_taken.wait(30)
        assert list(ready) == ["second"]


def test_closing_ends_the_thread() -> None:
    threads: list[threading.Thread] = []

    def items() -> Iterator[int]:
        for item in range(100):
            threads.append(threading.current_thread())
            yield item

    ready = prefetched(items())
    assert next(ready) == 0
    ready.close()
    (thread,) = set(threads)
    assert thread is not threading.current_thread()
    assert not thread.is_alive()
